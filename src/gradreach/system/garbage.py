"""Python's garbage collector, kept from what stays for good.

With torch and Lightning in memory it takes 0.2 s to look at everything, and while they are imported it looks again and
again: of a short run's seconds a third.
"""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Collect nothing meanwhile; where modules have come, what is in memory at the end is looked at no more."""
    collecting, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if collecting:
            gc.enable()


def leave_at_once() -> None:
    """Let Python end without a last look at all modules, which the system frees anyway."""
    atexit.register(gc.freeze)
