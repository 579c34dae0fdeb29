"""Maps a layer's steps to the steps of the model's input: models reverse, shift, sort and subsample their input.

The autograd graph shows the mapping. A layer's input is a function of the model's; where a single step of the one
depends on a single step of the other, the gradient of ``Σ_t t · x_t`` is ``t`` times that of ``Σ_t x_t``, so their
ratio is the number of the step. The same holds for the number of the example.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gradreach.diagnostics.taps import Cut

NEAR = {torch.float64: 1e-6, torch.float32: 1e-2}
"""How far rounding may move a number of steps from a whole number."""


class Span(NamedTuple):
    """Where a layer reads the valid steps.

    - ``end``, ``number``: ``(batch,)`` of each of its columns the last step that reads one, and how many do up to it.
    - ``column``: ``(batch,)`` in which column it has each example.
    - ``direction``: ``forward`` or ``backward``, as it reads the model's input.
    - ``aligned``: whether those are the model's valid steps, each once, in their order or from the end.
    """

    end: Tensor
    number: Tensor
    column: Tensor
    direction: str
    aligned: bool


class Source(NamedTuple):
    """What a layer may read: the model's input, or the states of a layer before it.

    - ``leaves``: ``(length, batch, size)``, one after the other; with ``batch_first`` one, ``(batch, length, size)``.
    - ``span``: where it is valid.
    """

    leaves: Sequence[Tensor]
    span: Span
    batch_first: bool = False


class Places(NamedTuple):
    """Where a layer reads each step of a source, ``(length, batch)``; NaN: nowhere. Of several places the mean.

    - ``step``, ``column``: of the layer.
    - ``spread``: the variance of the steps.
    """

    step: Tensor
    column: Tensor
    spread: Tensor


def spans_of(chains: Sequence[Sequence[Cut]], x: Tensor | None, lengths: Tensor, columns: int) -> list[Span | None]:
    """Return the span of every layer; None, with a warning, if its steps are not time steps.

    Args:
        chains: the cuts of every layer, in the order in which they ran.
        x: the model's input, a leaf, ``(batch, length, size)``; None: it is not known.
        lengths: ``(batch,)`` valid steps of it.
        columns: how many steps it has with its padding.

    Raises:
        ValueError: a layer sees other steps than the model, and it is unknown which of them are valid.
    """
    everyone = torch.arange(len(lengths), device=lengths.device)
    whole = Span(lengths - 1, lengths, everyone, "forward", aligned=True)
    sources = [] if x is None else [Source([x], whole, batch_first=True)]
    spans: list[Span | None] = []
    for chain in chains:
        spans.append(_span(chain, sources, lengths, columns))
        if (span := spans[-1]) is not None:
            sources.append(Source([cut.states for cut in chain], span))
    return spans


def _span(chain: Sequence[Cut], sources: Sequence[Source], lengths: Tensor, columns: int) -> Span | None:
    cut, steps = chain[0], sum(part.steps.length for part in chain)
    if cut.steps.batch != len(lengths):
        return _unmeasured(cut, f"it runs {cut.steps.batch} sequences where the probe has {len(lengths)} examples")
    found = next((found for source in sources if (found := _read(chain, source)) is not None), None)
    if found is None:
        return _by_rule(cut, steps, lengths, columns)
    span, places = found
    at = torch.arange(len(places.step), device=lengths.device).unsqueeze(1)
    known = (at > span.end - span.number) & (at <= span.end) & ~places.step.isnan()
    near, padded = NEAR[cut.x.dtype], cut.lengths is None and bool((lengths != columns).any())
    apart = (places.step - places.step.round()).abs() + (places.column - places.column.round()).abs()
    if bool((known & ((apart > near) | (places.spread.abs() > near * steps))).any()):
        if _varies(places.column, known, near) and not _varies(places.step, known, near):
            return _unmeasured(cut, "it runs over the examples, not over time (see batch_first)")
        if padded and steps == columns:
            _check_trend(cut, places.step, known, span)
        return _by_rule(cut, steps, lengths, columns)  # steps are mixed, as by a convolution
    step, column = places.step.round(), places.column.round()
    if _varies(column, known, 0):
        return _unmeasured(cut, "it runs over the examples, not over time (see batch_first)")
    order = _order(column, known)
    if order is None:
        return _unmeasured(cut, "it does not read each example exactly once")
    for sign in (1, -1):
        first = step - sign * at
        if not _varies(first, known, 0):
            return _in_order(cut, span, order, _each(first, known), sign, steps, bool((known.sum(0) > 1).any()))
    if steps == columns:
        turned = "it reads the input's steps in a different order"
        if padded:
            return _unmeasured(cut, f"{turned}, padding among them")
        _warn(cut, f"{turned}; its lags count back along the order in which it reads them")
    return _by_rule(cut, steps, lengths, columns)._replace(aligned=False)


def _read(chain: Sequence[Cut], source: Source) -> tuple[Span, Places] | None:
    """Return where a layer reads a source; None if it does not."""
    leaves = list(source.leaves)
    if not any(cut.x.requires_grad for cut in chain):
        return None

    def by_source(code: str) -> Tensor | None:
        total, before = chain[0].x.new_zeros(()), 0
        for cut in chain:
            length, batch, width = cut.x.shape
            steps = torch.arange(before, before + length, dtype=cut.x.dtype, device=cut.x.device)[:, None, None]
            number = torch.arange(batch, dtype=cut.x.dtype, device=cut.x.device)[:, None]
            scale = {"one": 1 + 0 * steps, "step": steps, "square": steps**2, "column": number}[code]
            total = total + (cut.x * torch.linspace(1, 2, width, dtype=cut.x.dtype, device=cut.x.device) * scale).sum()
            before += length
        found = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
        if all(gradient is None for gradient in found):
            return None
        parts = [torch.zeros_like(leaf) if part is None else part for leaf, part in zip(leaves, found, strict=True)]
        return torch.cat([part.transpose(0, 1) if source.batch_first else part for part in parts]).double()

    one = by_source("one")
    if one is None or not bool((one != 0).any()):
        return None
    largest = one.abs().argmax(2, keepdim=True)
    divisor = one.gather(2, largest).squeeze(2)

    def place(code: str) -> Tensor:
        found = by_source(code)
        assert found is not None
        return torch.where(divisor == 0, torch.nan, found.gather(2, largest).squeeze(2) / divisor)

    step = place("step")
    return source.span, Places(step, place("column"), place("square") - step**2)


def _in_order(cut: Cut, source: Span, order: Tensor, first: Tensor, sign: int, steps: int, several: bool) -> Span:
    """Return the span of a layer that has step s of column c of its source at ``first[c] + sign · s``."""
    start = source.end - source.number + 1
    low, high = (first + start, first + source.end) if sign > 0 else (first - source.end, first - start)
    within_low, within_high = low.clamp(min=0), high.clamp(max=steps - 1)
    empty = source.number == 0
    aligned = source.aligned and bool((((low == within_low) & (high == within_high)) | empty).all())
    count = (within_high - within_low + 1).clamp(min=0).masked_fill(empty, 0)
    end = torch.empty_like(source.end).scatter(0, order, within_high.masked_fill(empty, -1))
    count = torch.empty_like(source.number).scatter(0, order, count)
    if cut.lengths is not None:
        if bool(((end - count >= 0) & (count > 0) & (cut.lengths > 0)).any()):
            _warn(cut, "its packed sequences begin with padding")
        aligned = aligned and torch.equal(cut.lengths, count)
        end, count = cut.lengths - 1, cut.lengths
    turned = (source.direction == "backward") != (sign < 0)
    direction = ("backward" if turned else "forward") if several else cut.direction
    return Span(end, count, order[source.column], direction, aligned)


def _by_rule(cut: Cut, steps: int, lengths: Tensor, columns: int) -> Span:
    """Return the span of a layer assumed to read step t of example b at step t of column b."""
    everyone = torch.arange(len(lengths), device=lengths.device)
    if cut.lengths is not None:
        aligned = torch.equal(cut.lengths, lengths)
        return Span(cut.lengths - 1, cut.lengths, everyone, cut.direction, aligned)
    if steps != columns:
        if bool((lengths != columns).any()):
            raise ValueError(
                f"{cut.layer}: it sees {steps} steps of an input of {columns}, and it is unknown which are valid; "
                "pass it a PackedSequence"
            )
        lengths = torch.full_like(lengths, steps)
    # torch's backward direction passes the padding first and ends at the first input, from which its lags are counted
    end = lengths - 1 if not cut.padding_first else torch.full_like(lengths, steps - 1)
    return Span(end, lengths, everyone, cut.direction, aligned=steps == columns)


def _check_trend(cut: Cut, step: Tensor, known: Tensor, source: Span) -> None:
    """Warn if mixed steps lie nearer to another order than to the assumed one."""
    at = torch.arange(len(step), device=step.device).unsqueeze(1)
    last, ago = len(step) - 1, source.end - at
    orders = {"right": at + 0 * ago, "left": last - ago, "turned": last - at + 0 * ago, "each turned": ago}
    taken = "turned" if cut.padding_first else "each turned" if cut.direction == "backward" else "right"
    off = {name: float((step - order).abs()[known].median()) for name, order in orders.items()}
    best = min(off, key=lambda name: off[name])
    if off[best] < off[taken] / 2 and off[best] <= len(step) / 10:
        _warn(
            cut,
            "it seems to read the input reversed or shifted, so its lags may count from the wrong steps; pass it "
            "a PackedSequence, or measure sequences without padding",
        )


def _order(column: Tensor, known: Tensor) -> Tensor | None:
    """Return the column of the layer for each column of the source; None if two share one."""
    found = _each(column, known)
    there = known.any(0)
    if len(found[there].unique()) != int(there.sum()):
        return None
    everyone = torch.arange(len(found), device=found.device)
    if bool((found == everyone)[there].all()):
        return everyone
    free = everyone[~torch.isin(everyone, found[there])]
    return found.masked_scatter(~there, free)


def _each(values: Tensor, known: Tensor) -> Tensor:
    """Return the single known value of each column, as a whole number; for unknown columns the median of the others."""
    one = values.masked_fill(~known, -torch.inf).amax(0)
    there = known.any(0)
    middle = one[there].median() if bool(there.any()) else one.new_zeros(())
    return torch.where(there, one, middle).long()


def _varies(values: Tensor, known: Tensor, near: float) -> bool:
    """Whether the values of a column differ."""
    high, low = values.masked_fill(~known, -torch.inf).amax(0), values.masked_fill(~known, torch.inf).amin(0)
    return bool((high - low > near).any())


def _unmeasured(cut: Cut, why: str) -> Span | None:
    _warn(cut, f"{why}; its states are not measured")
    return None


def _warn(cut: Cut, what: str) -> None:
    warnings.warn(f"{cut.layer or 'the model'}: {what}.", stacklevel=2)
