"""Examples in whatever form a training step takes them, and each example's own loss."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradreach.diagnostics.probes import Probe, cast_to

OwnLoss = Callable[[nn.Module, Any], Tensor]
"""``(model, probe) -> (batch,)``: each example's own loss, not their mean."""
INPUTS = ("input_ids", "inputs_embeds", "input_values", "inputs", "x")
"""What the input is called in a mapping; where none of them is there, it is the first tensor that can be one."""
MASK = "attention_mask"


class AnyProbe(Probe):
    """A batch as the training step takes it: a tensor, or tuples, lists and mappings of such.

    - ``data``: the batch.
    - ``own_loss``: see ``OwnLoss``.
    - ``lengths``: ``(batch,)`` valid steps, padding on the right; None: by an ``attention_mask``, else all.
    - ``reduction``: what ``own_loss`` gives of several examples: None is each example's own; ``mean`` or ``sum``.

    Raises:
        ValueError: there is no input of sequences in it, or padding is on the left.
    """

    def __init__(
        self, data: Any, own_loss: OwnLoss, lengths: Tensor | None = None, reduction: str | None = None
    ) -> None:
        self.data, self.own_loss, self.reduction = data, own_loss, reduction
        self.place = found = _input_of(data)
        self.flat = found.dim() == 2 and found.is_floating_point()
        self.x = found.unsqueeze(-1) if self.flat else found
        self.lengths = _lengths_by_mask(data) if lengths is None else lengths

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device, dtype: torch.dtype) -> "AnyProbe":
        """Move all tensors."""
        moved = _mapped(self.data, lambda tensor: cast_to(tensor.detach().to(device), dtype))
        lengths = None if self.lengths is None else self.lengths.to(device)
        return AnyProbe(moved, self.own_loss, lengths, self.reduction)

    def losses(self, model: nn.Module, x: Tensor) -> Tensor:
        """Call what gives the losses."""
        given = x.squeeze(-1) if self.flat else x
        losses = self.own_loss(model, _mapped(self.data, lambda tensor: given if tensor is self.place else tensor))
        if not isinstance(losses, Tensor):
            raise ValueError(f"loss gives a {type(losses).__name__}; it must give each example's own loss, (batch,)")
        if self.reduction is None:
            return losses
        return (losses if self.reduction == "mean" else losses / len(self)).expand(len(self))  # of which the sum counts

    def take(self, index: slice) -> "AnyProbe":
        """Return some examples."""
        size = len(self.x)

        def cut(part: Any) -> Any:
            return part[index] if isinstance(part, Tensor) and part.dim() and len(part) == size else part

        lengths = None if self.lengths is None else self.lengths[index]
        return AnyProbe(_mapped(self.data, cut), self.own_loss, lengths, self.reduction)


def _input_of(data: Any) -> Tensor:
    """Return the tensor of sequences: floating ``(batch, length[, channels])``, or token ids ``(batch, length)``."""
    if isinstance(data, Mapping):
        data = {**{name: data[name] for name in INPUTS if name in data}, **data}
    for tensor in _tensors(data):
        ids = not tensor.is_floating_point() and tensor.dtype != torch.bool and tensor.dim() == 2
        if ids or (tensor.is_floating_point() and tensor.dim() in (2, 3)):
            return tensor
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in _tensors(data)) or "no tensor"
    raise ValueError(
        f"probe: it holds {shapes}; hand over a batch with sequences, floating (batch, length[, channels]) or token "
        "ids (batch, length), as the training step takes it"
    )


def _lengths_by_mask(data: Any) -> Tensor | None:
    mask = data.get(MASK) if isinstance(data, Mapping) else None
    if not isinstance(mask, Tensor) or mask.dim() != 2:
        return None
    lengths = mask.long().sum(1)
    steps = torch.arange(mask.shape[1], device=mask.device)
    if not torch.equal(mask.bool(), steps < lengths.unsqueeze(1)):
        raise ValueError(
            f"probe: its {MASK} has padding on the left; pad it on the right, or hand over whole sequences"
        )
    return lengths


def _tensors(data: Any) -> Iterator[Tensor]:
    if isinstance(data, Tensor):
        yield data
    elif isinstance(data, Mapping):
        for part in data.values():
            yield from _tensors(part)
    elif isinstance(data, tuple | list):
        for part in data:
            yield from _tensors(part)


def _mapped(data: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return the same structure with its tensors changed; what is no tensor stays."""
    if isinstance(data, Tensor):
        return change(data)
    if isinstance(data, Mapping):
        changed = {name: _mapped(part, change) for name, part in data.items()}
        try:
            return type(data)(changed)  # type: ignore[call-arg]
        except TypeError:
            return changed
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(_mapped(part, change) for part in data))
    if isinstance(data, tuple | list):
        return type(data)(_mapped(part, change) for part in data)
    return data
