"""The loops, compiled at first use or read from numba's cache, and what can go wrong with that."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gradreach.errors import ConfigError, advise, first_line

Loop = Callable[..., None]
LOOPS = {"RNN": ("rnn_forward", "rnn_backward"), "GRU": ("gru_forward", "gru_backward")}
NOT_KEPT = (
    "numba's cache cannot be written: each process recompiles its recurrent loops, which takes seconds; "
    "set NUMBA_CACHE_DIR to a writable folder"
)


def installed() -> bool:
    """Return whether numba is installed, without importing it."""
    return find_spec("numba") is not None


def compile_all(*kinds: str) -> None:
    """Compile the loops, or take them from numba's cache: at once instead of at their first use.

    Args:
        kinds: ``RNN``, ``GRU``; none: both.

    Raises:
        ConfigError: numba cannot be imported or cannot compile them; it says why.
    """
    for kind in kinds or LOOPS:
        for name in LOOPS[kind]:
            try:
                loop(name)
            except Exception as error:
                hint = "install numba, or choose kernels=torch"
                raise ConfigError("kernels", "compiled", first_line(error), hint) from error


@cache
def usable(kind: str) -> bool:
    """Return whether loops of this kind are available; warn once if not. The forward one is compiled for it."""
    try:
        loop(LOOPS[kind][0])
    except Exception as error:
        advise(f"recurrent layers use torch's slower loops: {first_line(error)}")
        return False
    return True


@cache
def loop(name: str) -> Loop:
    """Return a compiled loop.

    numba keeps what it compiles beside this file or, where that cannot be written, in the user's cache. What is
    damaged there (a file cut short by a full disk) is thrown away and made again; where nothing can be kept, the loop
    is compiled for this process alone.
    """
    from gradreach.kernels.loops import SIGNATURES

    try:
        kept = _dispatcher(name, cache=True)
        try:
            return _compile(kept, SIGNATURES[name])
        except Exception:
            for file in Path(kept.stats.cache_path).glob(f"loops.{name}-*"):
                file.unlink(missing_ok=True)
            return _compile(_dispatcher(name, cache=True), SIGNATURES[name])
    except Exception:
        made = _compile(_dispatcher(name, cache=False), SIGNATURES[name])
        advise(NOT_KEPT)
        return made


def _dispatcher(name: str, *, cache: bool) -> Any:
    """Return numba's dispatcher of a loop, not compiled yet."""
    from numba import njit

    from gradreach.kernels import loops

    return njit(cache=cache, **loops.OPTIONS)(getattr(loops, name))


def _compile(dispatcher: Any, signature: str) -> Loop:
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    compiled: Loop = dispatcher
    return compiled
