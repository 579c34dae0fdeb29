"""The loops, compiled at their first use or taken from numba's cache; what can go wrong with that."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gradreach.errors import ConfigError, advise, first_line

Loop = Callable[..., None]
LOOPS = {"RNN": ("rnn_forward", "rnn_backward"), "GRU": ("gru_forward", "gru_backward")}


def installed() -> bool:
    """Return whether numba is installed; nothing is imported to know it."""
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
    """Return whether the loops of this kind can be had; say once why not. The forward one is compiled for it."""
    try:
        loop(LOOPS[kind][0])
    except Exception as error:
        advise(f"recurrent layers run in torch's own loops, which are slower: {first_line(error)}")
        return False
    return True


@cache
def loop(name: str) -> Loop:
    """Return a compiled loop.

    numba keeps what it compiles beside this file or, where that cannot be written, in the user's cache. What is
    damaged there (a file cut short by a full disk) is thrown away and made again; where nothing can be kept, the loop
    is compiled for this process alone.
    """
    from gradreach.kernels import loops

    function, signature = getattr(loops, name), loops.SIGNATURES[name]
    try:
        kept = _dispatcher(function, cache=True)
        try:
            return _compile(kept, signature)
        except Exception:
            for file in Path(kept.stats.cache_path).glob(f"loops.{name}-*"):
                file.unlink()
            return _compile(_dispatcher(function, cache=True), signature)
    except Exception as error:
        made = _compile(_dispatcher(function, cache=False), signature)
        advise(f"compiled loops cannot be kept for the next process, which costs it seconds: {first_line(error)}")
        return made


def _dispatcher(function: Loop, *, cache: bool) -> Any:
    """Return what numba makes of a function before it compiles it.

    Full ``fastmath`` would give other bits in the process that compiles than in those that load, and lose NaN.
    """
    from numba import njit

    return njit(cache=cache, error_model="numpy", fastmath={"contract"})(function)


def _compile(dispatcher: Any, signature: str) -> Loop:
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    compiled: Loop = dispatcher
    return compiled
