"""Python's garbage collector, kept away from permanent objects.

With torch and Lightning in memory, a full collection takes 0.2 s, and their imports trigger it again and again: a third
of a short run's time.
"""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ours = False


def own_process() -> None:
    """Declare that this process only serves gradreach: its modules stay until it ends.

    They are looked at no more then, at its end neither: the system frees them anyway.
    """
    global _ours
    if not _ours:
        atexit.register(gc.freeze)
    _ours = True


@contextmanager
def importing() -> Iterator[None]:
    """Collect nothing meanwhile; where modules have come, a process of our own looks at what is there no more."""
    collecting, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if _ours and len(sys.modules) > known:
            gc.freeze()
        if collecting:
            gc.enable()
