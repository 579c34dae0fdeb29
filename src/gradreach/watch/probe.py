"""Examples in any form that a training step takes, and each example's own loss."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gradreach.diagnostics.probes import NotMeasured, Probe, cast_to
from gradreach.errors import first_line
from gradreach.watch.nested import mapped, shape_of, tensors

OwnLoss = Callable[[nn.Module, Any], Tensor]
"""``(model, probe) -> (batch,)``: each example's own loss, not their mean."""
INPUTS = ("input_ids", "inputs_embeds", "input_values", "inputs", "x")
"""Names of the input in a mapping; without any of them, the first suitable tensor is the input."""
MASK = "attention_mask"
HAND_OVER = (
    "pass a probe as the training step takes it, or loss=, a function (model, probe) -> (batch,) of each "
    "example's own loss"
)
LAYOUTS = {"NLC": "batch, length, channels", "LNC": "length, batch, channels", "NCL": "batch, channels, length"}
"""Orders of the axes of sequences, in the letters of torch's documentation."""


class AnyProbe(Probe):
    """A batch as the training step takes it: a tensor, or tuples, lists, mappings, dataclasses of such.

    - ``data``: the batch. A ``PackedSequence`` knows its lengths.
    - ``own_loss``: see ``OwnLoss``.
    - ``lengths``: ``(batch,)`` valid steps, padding on the right; None: by an ``attention_mask``, else all.
    - ``reduction``: what ``own_loss`` gives of several examples: None is each example's own; ``mean`` or ``sum``.
    - ``layout``: one of ``LAYOUTS``.

    Raises:
        ValueError: there is no input of sequences in it, or no example; padding is on the left; the layout is another.
    """

    def __init__(
        self,
        data: Any,
        own_loss: OwnLoss,
        lengths: Tensor | None = None,
        reduction: str | None = None,
        layout: str = "NLC",
    ) -> None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout={layout!r}: choose from {', '.join(LAYOUTS)}")
        self.data, self.own_loss, self.reduction, self.layout = data, own_loss, reduction, layout
        self.place = found = _input_of(data)
        if isinstance(found, PackedSequence):
            found, lengths = pad_packed_sequence(found, batch_first=True)
        elif layout != "NLC":
            found = self._turned(found)
        else:
            _check_first_axis(data, found)
        if not len(found):
            raise ValueError("probe: it has no examples; 16 are enough")
        self.flat = found.dim() == 2 and found.is_floating_point()
        self.x = found.unsqueeze(-1) if self.flat else found
        self.lengths = _lengths_by_mask(data) if lengths is None else lengths

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device, dtype: torch.dtype) -> "AnyProbe":
        """Copy all tensors, so that a training step may change them."""
        moved = mapped(self.data, lambda part: _copied(part, device, dtype))
        lengths = None if self.lengths is None else self.lengths.to(device)
        return AnyProbe(moved, self.own_loss, lengths, self.reduction, self.layout)

    def losses(self, model: nn.Module, x: Tensor) -> Tensor:
        """Compute the losses.

        Raises:
            ValueError: it gives none, or a convolution runs along the channels.
        """
        given: Any = x.squeeze(-1) if self.flat else x
        if given.is_floating_point():
            given = given.clone()  # which may be changed, as a leaf may not
        if isinstance(self.place, PackedSequence):
            assert self.lengths is not None
            given = _packed(given, self.lengths, self.place)
        elif self.layout != "NLC":
            given = self._turned(given)
        else:
            _watch_convolutions(model, given)
        data = mapped(self.data, lambda part: given if part is self.place else part)
        try:
            losses = self.own_loss(model, data)
        except NotMeasured:
            raise
        except Exception as error:
            raise NotMeasured(f"the loss of the probe fails ({first_line(error)}); {HAND_OVER}") from error
        if not isinstance(losses, Tensor):
            raise ValueError(f"loss gives a {type(losses).__name__}; it must give each example's own loss, (batch,)")
        if self.reduction is None:
            return losses
        return (losses if self.reduction == "mean" else losses / len(self)).expand(len(self))  # of which the sum counts

    def take(self, index: slice) -> "AnyProbe":
        """Return some examples."""
        size, packed = len(self), self.place

        def cut(part: Any) -> Any:
            if isinstance(part, PackedSequence):
                padded, lengths = pad_packed_sequence(part, batch_first=True)
                return _packed(padded[index], lengths[index], part)
            if self.layout == "LNC" and part.dim() > 1 and part.shape[:2] == packed.shape[:2]:
                return part[:, index]
            return part[index] if part.dim() and len(part) == size else part

        lengths = None if self.lengths is None else self.lengths[index]
        return AnyProbe(mapped(self.data, cut), self.own_loss, lengths, self.reduction, self.layout)

    def _turned(self, values: Tensor) -> Tensor:
        """Turn the sequences from their layout to ours, or back."""
        if self.layout == "LNC":
            return values.transpose(0, 1)
        return values.transpose(1, 2) if values.dim() == 3 else values


def _input_of(data: Any) -> Any:
    """Return the sequences: floating ``(batch, length[, channels])``, or token ids ``(batch, length)``.

    A matrix of numbers may as well be what else is known of each example, so that it comes last.
    """
    named = [data[name] for name in INPUTS if name in data] if isinstance(data, Mapping) else []
    for group in (named, data):
        every = [*tensors(group)]
        for fits in (_is_sequence, _is_flat):
            for part in every:
                if fits(part):
                    return part
    shapes = ", ".join(map(shape_of, tensors(data))) or f"no tensor ({type(data).__name__})"
    raise ValueError(
        f"probe: it has {shapes}; pass a batch with sequences, floating (batch, length[, channels]) or token "
        "ids (batch, length), as the training step takes it"
    )


def _is_sequence(part: Any) -> bool:
    if isinstance(part, PackedSequence):
        return True
    whole = not part.is_floating_point() and not part.is_complex() and part.dtype != torch.bool
    return bool((whole and part.dim() == 2) or (part.is_floating_point() and part.dim() == 3))


def _is_flat(part: Any) -> bool:
    return isinstance(part, Tensor) and part.is_floating_point() and part.dim() == 2


def _check_first_axis(data: Any, found: Tensor) -> None:
    """Refuse sequences that stand beside each other along their second axis, as the other tensors tell."""
    sizes = {len(part) for part in tensors(data) if isinstance(part, Tensor) and part.dim() and part is not found}
    if sizes and len(found) not in sizes and found.shape[1] in sizes:
        raise ValueError(
            f"probe: it has {', '.join(map(shape_of, tensors(data)))}; if time comes first, pass layout='LNC'"
        )


def _watch_convolutions(model: nn.Module, given: Tensor) -> None:
    """Refuse sequences that a convolution takes as they are: it runs along the last axis."""

    def check(name: str, taken: Any) -> None:
        if isinstance(taken, Tensor) and taken.shape == given.shape and torch.equal(taken, given):
            raise NotMeasured(
                f"probe: {name}, an nn.Conv1d, takes it as it is, {tuple(given.shape)}; if channels come before "
                "time, pass layout='NCL'"
            )

    if given.dim() == 3:
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv1d):
                module.register_forward_pre_hook(lambda _, taken, name=name: check(name, taken[0] if taken else None))


def _lengths_by_mask(data: Any) -> Tensor | None:
    mask = data.get(MASK) if isinstance(data, Mapping) else None
    if not isinstance(mask, Tensor) or mask.dim() != 2:
        return None
    lengths = mask.long().sum(1)
    steps = torch.arange(mask.shape[1], device=mask.device)
    if not torch.equal(mask.bool(), steps < lengths.unsqueeze(1)):
        raise ValueError(f"probe: its {MASK} has padding on the left; pad it on the right, or pass whole sequences")
    return lengths


def _packed(padded: Tensor, lengths: Tensor, like: PackedSequence) -> PackedSequence:
    in_order = like.sorted_indices is None
    return pack_padded_sequence(padded, lengths.cpu(), batch_first=True, enforce_sorted=in_order)


def _copied(part: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(part, PackedSequence):
        moved: Any = part.to(device=device)  # type: ignore[call-arg]  # which hands on what Tensor.to takes
        return moved._replace(data=cast_to(moved.data.detach().clone(), dtype))
    return cast_to(part.detach().to(device, copy=True), dtype)
