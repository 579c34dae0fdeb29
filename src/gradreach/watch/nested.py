"""Batches as people make them: tensors in tuples, lists, mappings and dataclasses, within each other."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def tensors(data: Any) -> Iterator[Any]:
    """Yield all tensors and packed sequences, in their order."""
    if isinstance(data, Tensor | PackedSequence):
        yield data
    elif isinstance(data, Mapping):
        yield from tensors([*data.values()])
    elif isinstance(data, tuple | list):
        for part in data:
            yield from tensors(part)
    elif is_dataclass(data) and not isinstance(data, type):
        yield from tensors([getattr(data, field.name) for field in fields(data)])


def mapped(data: Any, change: Callable[[Any], Any]) -> Any:
    """Return the same structure with its tensors and packed sequences changed; all else stays."""
    if isinstance(data, Tensor | PackedSequence):
        return change(data)
    if isinstance(data, Mapping):
        changed = {name: mapped(part, change) for name, part in data.items()}
        try:
            return type(data)(changed)  # type: ignore[call-arg]
        except TypeError:
            return changed
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(mapped(part, change) for part in data))
    if isinstance(data, tuple | list):
        return type(data)(mapped(part, change) for part in data)
    if is_dataclass(data) and not isinstance(data, type):
        twin = copy.copy(data)
        for field in fields(data):
            object.__setattr__(twin, field.name, mapped(getattr(data, field.name), change))
        return twin
    return data


def shape_of(part: Any) -> str:
    """Return a tensor's shape in words."""
    return "a packed sequence" if isinstance(part, PackedSequence) else str(tuple(part.shape))
