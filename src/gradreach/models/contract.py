"""The contract of an encoder: users' own encoders are checked against it before any training."""

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gradreach.errors import ConfigError, one_line
from gradreach.models.encoder import Encoder

HINT = "see docs/models.md, A new encoder"
STATEMENTS = {
    "d_out": "the size of a state",
    "causal": "whether a state depends on no later input",
    "receptive_field": "how many steps a state can depend on, None: all",
}


def make_encoder(kind: type[Encoder], sizes: Sequence[int], arguments: Mapping[str, Any]) -> Encoder:
    """Make an encoder.

    Args:
        kind: its class.
        sizes: of the input: ``d_in``, and the length where its weights are made for one.
        arguments: all others, by name.

    Raises:
        ConfigError: it is not an encoder, cannot be constructed, or lacks an attribute of encoders.
    """
    _check_class(kind)
    try:
        inspect.signature(kind).bind(*sizes, **arguments)
    except TypeError as error:
        given = "d_in, length" if kind.fixed_length else "d_in"
        raise _broken(kind, f"its constructor must take {given} and then keyword-only settings ({error})") from None
    try:
        encoder = kind(*sizes, **arguments)
    except ConfigError:
        raise
    except Exception as error:
        if _is_ours(kind):
            raise
        raise _broken(kind, f"its constructor raises {type(error).__name__} ({one_line(error)})") from error
    for name, meaning in STATEMENTS.items():
        if not hasattr(encoder, name):
            raise _broken(kind, f"an encoder must have {name}: {meaning}")
    seen = encoder.receptive_field
    if not (_is_number(encoder.d_out) and isinstance(encoder.causal, bool) and (seen is None or _is_number(seen))):
        told = ", ".join(f"{name}={getattr(encoder, name)!r}" for name in STATEMENTS)
        raise _broken(kind, f"{told}: must be a number above 0, True or False, and a number above 0 or None")
    return encoder


def try_encoder(encoder: Encoder, d_in: int, length: int, padded: bool) -> None:
    """Let a user's encoder, on the device ``meta``, encode two sequences of this length.

    Operations that only that device does not support are ignored.

    Raises:
        ConfigError: it fails, or its output contradicts its attributes.
    """
    kind = type(encoder)
    if _is_ours(kind) or next(encoder.parameters(), torch.empty(0)).device.type != "meta":
        return
    x = torch.empty(2, length, d_in, device="meta")
    try:
        cost: Any = encoder.multiply_adds(length)
        steps: Any = encoder.output_length(length)
    except Exception as error:
        where = "multiply_adds or output_length"
        raise _broken(kind, f"{where} raises {type(error).__name__} ({one_line(error)})") from error
    if not (_is_number(cost, 0) and _is_number(steps)):
        raise _broken(kind, f"multiply_adds and output_length must give whole numbers, not {cost!r} and {steps!r}")
    try:
        with torch.no_grad():
            given: Any = encoder(x, torch.full((2,), length, device="meta") if padded else None)
    except Exception as error:
        if isinstance(error, NotImplementedError) or "meta" in str(error).lower():
            return
        raise _broken(kind, f"its forward raises {type(error).__name__} ({one_line(error)})") from error
    wanted = (2, steps, encoder.d_out)
    if not (isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Tensor)):
        raise _broken(kind, f"its forward gives a {type(given).__name__}; it must give (states, lengths)")
    if given[0].shape != wanted:
        raise _broken(
            kind,
            f"its forward gives states of shape {tuple(given[0].shape)}; (batch, output_length, d_out) is {wanted}",
        )


@cache
def _check_class(kind: Any) -> None:
    if not (inspect.isclass(kind) and issubclass(kind, Encoder)):
        raise _broken(kind, "must be a subclass of gradreach.models.Encoder")
    if missing := sorted(kind.__abstractmethods__):
        parameters = {
            name: ", ".join(list(inspect.signature(getattr(Encoder, name)).parameters)[1:]) for name in missing
        }
        wanted = " and ".join(f"{name}({parameters[name]})" for name in missing)
        raise _broken(kind, f"an encoder must have {wanted}")
    try:
        inspect.signature(kind.forward).bind(None, None, None)
    except TypeError as error:
        raise _broken(kind, f"its forward must take (x, lengths) ({error})") from None


def _is_ours(kind: type[Encoder]) -> bool:
    return kind.__module__.startswith("gradreach.")


def _is_number(value: object, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _broken(kind: Any, what: str) -> ConfigError:
    name = f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind)}"
    return ConfigError("model._target_", name, what, HINT)
