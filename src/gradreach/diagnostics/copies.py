"""Copies a model for measuring, sharing nothing with it, and computes without side effects."""

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import CellType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from gradreach.diagnostics.probes import NotMeasured, cast_to
from gradreach.errors import first_line
from gradreach.system.machine import exactly

Memo = dict[int, Any]
HOOKS = ("_forward_hooks", "_forward_pre_hooks")
BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")
"""Hooks that see or clip the training gradient; they do not apply to measurements."""
TRACKERS = ("wandb",)
"""Packages whose hooks only log."""


def copy_of(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy that computes in a dtype, in evaluation, without gradients of its weights, and not compiled.

    Its hooks and replaced methods are copied with what they hold, so that they act on the copy.

    Raises:
        ValueError: it cannot be copied, or has no gradient.
    """
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or ".quantized." in type(module).__module__:
            kind = "TorchScript" if isinstance(module, torch.jit.ScriptModule) else "quantized"
            raise ValueError(
                f"{name or 'the model'} is {kind}, and cannot be taken apart; measure the module it was made from"
            )
        if any(weight.is_meta or nn.parameter.is_lazy(weight) for weight in module.parameters(recurse=False)):
            raise ValueError(f"{name or 'the model'} has no weights yet; measure it after its initialization")
    memo: Memo = {}
    try:
        memo.update((id(tensor), tensor.detach().clone()) for tensor in _computed(model))
        copied = copy.deepcopy(model, memo)
        for module in copied.modules():
            _let_go(module, memo)
        cast: nn.Module = copied._apply(lambda tensor: cast_to(tensor, dtype))
    except (TypeError, RuntimeError) as error:
        hint = "keep files, locks and connections out of it"
        raise ValueError(f"the model cannot be copied ({first_line(error)}): {hint}") from error
    for module in [*cast.modules()]:
        for name, child in module.named_children():
            if isinstance(original := getattr(child, "_orig_mod", None), nn.Module):  # of torch.compile(child)
                setattr(module, name, original)
    return getattr(cast, "_orig_mod", cast).eval().requires_grad_(False)


def _computed(model: nn.Module) -> Iterator[Tensor]:
    """Find tensors of the autograd graph that a module keeps, such as the last loss, which ``deepcopy`` refuses."""
    seen: set[int] = set()

    def within(part: Any) -> Iterator[Tensor]:
        if isinstance(part, Tensor):
            if not part.is_leaf:
                yield part
        elif isinstance(part, Mapping | list | tuple | set) and id(part) not in seen:
            seen.add(id(part))
            for each in part.values() if isinstance(part, Mapping) else part:
                yield from within(each)

    for module in model.modules():
        yield from within(vars(module))


def _let_go(module: nn.Module, memo: Memo) -> None:
    """Remove from a copied module what would act on the original: ``deepcopy`` does not copy functions."""
    own = vars(module)
    own.pop("_compiled_call_impl", None)  # what module.compile() leaves
    for name, value in own.items():
        if isinstance(value, FunctionType):
            own[name] = _twin(value, memo)
    for kind in BACKWARD_HOOKS:
        own[kind].clear()
    for hooks in (own[kind] for kind in HOOKS):
        for number, hook in [*hooks.items()]:
            if getattr(hook, "__module__", None) and hook.__module__.partition(".")[0] in TRACKERS:
                del hooks[number]
            else:
                hooks[number] = _twin(hook, memo)


def _twin(function: Callable[..., Any], memo: Memo) -> Callable[..., Any]:
    """Return a function with copies of the objects that another one holds; for a compiled one, of the original."""
    original = getattr(function, "_torchdynamo_orig_callable", None)
    if original is not None:
        return _twin(copy.deepcopy(original, memo), memo)
    if not isinstance(function, FunctionType) or not (function.__closure__ or function.__defaults__):
        return function
    if id(function) in memo:  # it refers to itself
        known: Callable[..., Any] = memo[id(function)]
        return known
    cells = tuple(CellType() for _ in function.__closure__ or ())
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, None, cells or None)
    twin.__dict__.update(function.__dict__)
    twin.__kwdefaults__ = function.__kwdefaults__
    memo[id(function)] = twin

    def held(value: Any) -> Any:
        try:
            return _twin(value, memo) if isinstance(value, FunctionType) else copy.deepcopy(value, memo)
        except Exception:
            return value  # a trainer or a connection, which the model does not change

    twin.__defaults__ = tuple(held(value) for value in function.__defaults__ or ()) or None
    for cell, given in zip(cells, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it is empty
            cell.cell_contents = held(given.cell_contents)
    return twin


class Alone(TorchDispatchMode):
    """Blocks communication with other processes: they are not measuring, and would misread it."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        """Compute anything else."""
        if "c10d" in operation.namespace:
            raise NotMeasured(
                f"the model or its loss talks to other processes ({operation.__name__.partition('.')[0]}), but "
                "one process measures alone; pass loss=, a function (model, probe) -> (batch,) that does not"
            )
        return operation(*arguments, **(options or {}))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute with gradients and denormal numbers wherever called from; the random state is preserved.

    cuDNN is left out: it takes no gradient through a recurrent layer in evaluation, which the probe is in.
    """
    on_gpu = torch.cuda.is_initialized()
    cudnn: Any = torch.backends.cudnn
    with ExitStack() as stack:
        generators: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
            (torch.get_rng_state, torch.set_rng_state),
            (np.random.get_state, np.random.set_state),  # others draw from it
            (random.getstate, random.setstate),
            *([(torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)] if on_gpu else []),
        ]
        for get, put in generators:
            stack.callback(put, get())
        stack.callback(setattr, cudnn, "enabled", cudnn.enabled)
        cudnn.enabled = False
        for device in ("cpu", *(["cuda"] if on_gpu else [])):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(exactly())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            stack.enter_context(Alone())  # type: ignore[no-untyped-call]  # as torch has it
        yield
