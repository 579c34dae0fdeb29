"""One forward pass, one backward pass: the total gradient at every step of every layer, and at the input."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gradreach.batch import Batch
from gradreach.diagnostics.axes import spans_of
from gradreach.diagnostics.copies import copy_of, undisturbed
from gradreach.diagnostics.outputs import Outputs
from gradreach.diagnostics.probes import Loss, NotMeasured, Probe, device_of, examples_of, lengths_of
from gradreach.diagnostics.scaled import Scaled, log_norm
from gradreach.diagnostics.steps import Adjoints, Steps, adjoints, in_time
from gradreach.diagnostics.taps import Cut, chains_of, split_recurrent, steps_of, warn_of_silent

SUPPORTED = (torch.float32, torch.float64)


@dataclass(frozen=True)
class LayerTrace:
    """The trace of one direction of one layer. Time comes first and runs as the layer runs.

    - ``end``: ``(batch,)`` the step at which an example's run ends, from which lags are counted. Examples stand as the
      layer has them: in another order where the model sorts them before.
    - ``count``: ``(batch,)`` number of valid steps up to that one.

    >>> layer = trace(model, batch, loss).layers[0]
    >>> norms, valid = layer.by_lag(layer.adjoints.state.log_norm())
    >>> norms.shape, bool(valid.all())  # (lags, batch), natural logarithms
    (torch.Size([20, 64]), True)
    """

    layer: str
    direction: str
    steps: Steps
    adjoints: Adjoints
    end: Tensor
    count: Tensor

    def valid(self, values: Tensor) -> Tensor:
        """Return what of ``(length, batch, ...)`` belongs to valid steps, in any order, flat."""
        if bool((self.count == self.steps.length).all()):
            return values.flatten()
        ago = self.end - torch.arange(len(values), device=values.device).unsqueeze(1)
        return values[(ago >= 0) & (ago < self.count)].flatten()

    def by_lag(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Turn ``(length, batch, ...)`` into ``(lags, batch, ...)``, and say which are valid, ``(lags, batch)``."""
        return _by_lag(values, self.end, self.count)


@dataclass(frozen=True)
class Trace:
    """The trace of a model's gradient.

    - ``layers``: recurrent ones, in the order in which they ran.
    - ``input``: ``dL/dx_t`` (of token ids: by the embedding's output), ``(length, batch, d_in)``.
    - ``lengths``: ``(batch,)`` valid steps.
    - ``outputs``: of layers without a recurrence the gradient by what they give, ``(length, batch, width)``, by name.

    >>> trace(model, batch, loss).names
    [('lstm', 'forward')]
    """

    layers: tuple[LayerTrace, ...]
    input: Scaled
    lengths: Tensor
    outputs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def names(self) -> list[tuple[str, str]]:
        """Layer and direction of each of ``layers``."""
        return [(layer.layer, layer.direction) for layer in self.layers]

    def input_by_lag(self) -> tuple[Tensor, Tensor]:
        """Return ``ln ‖dL/dx‖`` by lag, ``(lags, batch)``, and which are valid."""
        return _by_lag(self.input.log_norm(), self.lengths - 1, self.lengths)

    def output_by_lag(self, layer: str) -> tuple[Tensor, Tensor]:
        """Return ``ln ‖dL/dy‖`` by lag for a layer without a recurrence, and which are valid.

        A layer that gives fewer steps than there are has lags of its own, all of them valid.
        """
        values = self.outputs[layer]
        strided = len(values) != len(self.input.log)
        count = torch.full_like(self.lengths, len(values)) if strided else self.lengths
        return _by_lag(log_norm(values), count - 1, count)


def trace(model: nn.Module, batch: Batch, loss: Loss, dtype: torch.dtype = torch.float64) -> Trace:
    """Run a copy of the model once forward and once back.

    The model does not change: no weight, mode, gradient or random state.

    Args:
        model: called as ``model(x)``, or ``model(x, lengths)`` where the batch has lengths.
        batch: the probe; floating ``x (batch, length, channels)``, or token ids ``(batch, length)`` that the
            model hands to an ``nn.Embedding``.
        loss: ``(output, target) -> (batch,)``, each example's own loss, not their mean.
        dtype: what the forward pass computes in, float32 or float64; what comes after is float64.

    Raises:
        TypeError: the model is not a module, or the loss is not a function.
        ValueError: the loss is not one value per example, or depends on no input and no state; or no input can be
            measured.

    >>> traced = trace(model, batch, loss)
    >>> [(layer.layer, layer.steps.parts) for layer in traced.layers]
    [('lstm', {'h': 8, 'c': 8})]
    >>> model.lstm.weight_hh_l0.grad is None  # the model is left alone
    True
    """
    check_model(model)
    return trace_probe(model, examples_of(batch, loss), dtype)


def trace_probe(
    model: nn.Module, probe: Probe, dtype: torch.dtype = torch.float64, layers: Sequence[str] | None = None
) -> Trace:
    """Trace a model as ``trace`` does, with a probe of any kind.

    Args:
        model: a module that the probe knows how to call.
        probe: the examples.
        dtype: see ``trace``.
        layers: of which modules without a recurrence the output is looked at; None: of the blocks that are found.

    Raises:
        ValueError: see ``trace``.
    """
    if dtype not in SUPPORTED:
        raise ValueError(
            f"dtype={dtype}: not precise enough for gradients over many steps; choose torch.float32 or torch.float64"
        )
    with undisturbed():
        copied = copy_of(model, dtype)
        probe = probe.to(device_of(copied, probe.x), dtype)
        lengths, (examples, columns) = lengths_of(probe), probe.x.shape[:2]
        inputs: list[Tensor] = []
        x = probe.x
        if x.is_floating_point():
            x = x.detach().requires_grad_()
            inputs.append(x)
        else:
            _watch_embeddings(copied, x, inputs)
        cuts = split_recurrent(copied)
        outputs = Outputs(copied, layers, examples, columns)
        losses = probe.losses(copied, x)
        if not inputs:
            raise ValueError(
                f"x holds {x.dtype}, but no nn.Embedding of the model reads it directly: there is no input to measure"
            )
        if losses.shape != (examples,):
            raise ValueError(
                f"the loss has shape {tuple(losses.shape)}; it must give one value per example, ({examples},)"
            )
        if not losses.requires_grad:
            raise ValueError("the loss depends neither on the input nor on any state: there is no gradient to measure")
        warn_of_silent(copied, cuts, losses.sum())
        given = outputs.chosen()
        by_x, measured, by_output = _backward(losses.sum(), inputs[0], cuts, [output.values for output in given])
        chains = chains_of(cuts)
        every = [[cuts[i] for i in chain] for chain in chains]
        traced = tuple(
            LayerTrace(
                calls[0].layer, span.direction, steps_of(calls), in_time([measured[i] for i in chain]), *span[:2]
            )
            for chain, calls, span in zip(chains, every, spans_of(every, inputs[0], lengths, columns), strict=True)
            if span is not None
        )
        of_outputs = {output.layer: output.by_step(values) for output, values in zip(given, by_output, strict=True)}
        return Trace(traced, _by_step(by_x), lengths, of_outputs)


def _by_step(by_x: Scaled) -> Scaled:
    return Scaled(by_x.direction.transpose(0, 1), by_x.log.T)


def _backward(
    loss: Tensor, x: Tensor, cuts: list[Cut], outputs: list[Tensor]
) -> tuple[Scaled, list[Adjoints], list[Tensor]]:
    """Go back from cut to cut, last first: autograd between cuts, the adjoint recursion within them."""
    leaves = [x, *(cut.states for cut in cuts)]
    arrived: list[Scaled | None] = [None] * len(leaves)
    at_outputs = [torch.zeros_like(values, dtype=torch.float64) for values in outputs]

    def push(output: Tensor, cotangent: Tensor | None, log: float, known: int) -> None:
        """Send what has arrived at an output on to the first ``known`` leaves."""
        # a scalar product, as autograd's own argument for the cotangent costs the import of sympy, half a second
        scalar = output if cotangent is None else (output * cotangent).sum()
        gradients = torch.autograd.grad(scalar, [*leaves[:known], *outputs], retain_graph=True, allow_unused=True)
        for i, gradient in enumerate(gradients[:known]):
            if gradient is not None:
                new = Scaled.of(gradient.double(), log)
                before = arrived[i]
                arrived[i] = new if before is None else before + new
        for total, gradient in zip(at_outputs, gradients[known:], strict=True):
            if gradient is not None:
                total += gradient.double() * math.exp(log)

    push(loss, None, 0.0, len(leaves))
    measured = []
    for k, cut in reversed(list(enumerate(cuts, start=1))):
        with torch.no_grad():
            found = adjoints(cut.steps, arrived[k] or Scaled.zero(cut.states))
            inner = found.inner
            downward = Scaled(cut.steps.input_cotangent(inner.direction), inner.log)
        measured.append(found)
        sizes = list(cut.steps.parts.values())
        starts = found.initial.direction.split(sizes, -1) if cut.initial else ()
        targets = [(cut.x, downward), *zip(cut.initial, (Scaled(s, found.initial.log) for s in starts), strict=True)]
        for target, cotangent in targets:
            if target.requires_grad:
                for values, log in cotangent.buckets(target.dtype):
                    push(target, values, log, k)
    return arrived[0] or Scaled.zero(x), measured[::-1], at_outputs


def _by_lag(values: Tensor, end: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    lags = torch.arange(int(count.max()) if len(count) else 0, device=values.device).unsqueeze(1)
    examples = torch.arange(values.shape[1], device=values.device)
    return values[(end - lags).clamp(min=0), examples], lags < count


def check_layer(layer: object) -> None:
    """Check that the argument is a traced layer.

    Raises:
        TypeError: it is not; the message says how to get one.
    """
    if not isinstance(layer, LayerTrace):
        raise TypeError(f"layer must be one of trace(model, batch, loss).layers, not a {type(layer).__name__}")


def check_model(model: object) -> None:
    """Check that the argument is a model.

    Raises:
        TypeError: saying what it is.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, not a {type(model).__name__}")


def _watch_embeddings(probe: nn.Module, ids: Tensor, found: list[Tensor]) -> None:
    """Cut the graph behind the embedding that is given the token ids; called again, it gives the same leaf."""
    givers: list[str] = []

    def hook(name: str, given: Tensor, output: Tensor) -> Tensor:
        time_first = given.dim() == 2 and not torch.equal(given, ids)
        if not torch.equal(given.T if time_first else given, ids):
            return output
        if not found:
            givers.append(name)
            found.append((output.transpose(0, 1) if time_first else output).detach().requires_grad_())
        elif givers[0] != name:
            raise NotMeasured(
                f"{givers[0]} and {name} both embed the token ids, so the input is ambiguous; combine both in "
                "one embedding with their vectors side by side"
            )
        return found[0].transpose(0, 1) if time_first else found[0]

    for name, module in probe.named_modules():
        if isinstance(module, nn.Embedding):
            module.register_forward_hook(lambda _, arguments, output, name=name: hook(name, arguments[0], output))
