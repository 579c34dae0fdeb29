"""Machine settings for training: no denormal numbers, a limit on threads, memory that is kept.

A vanishing gradient passes 10^-38 on its way to zero; arithmetic with such denormal numbers is many times slower. Where
training happens they are zero; in the instrument, which measures how gradients vanish, they are numbers.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Names of ``malloc.h`` of the GNU C library."""
KEPT_AHEAD = 64 * 2**20
"""How many bytes are requested from the system at once."""
_ours = False


def take_over() -> None:
    """Declare that this process only serves runs: its settings need not be restored.

    The C library then keeps what is freed, where it can be told to: the tensors of a step lie where those of the step
    before lay, and no memory is given back and asked for again, page by page.
    """
    global _ours
    if _ours:
        return
    _ours = True
    with suppress(AttributeError, OSError, TypeError):  # not the GNU C library
        tell = ctypes.CDLL(None).mallopt
        tell(M_MMAP_MAX, 0)
        tell(M_TRIM_THRESHOLD, 2**31 - 1)
        tell(M_TOP_PAD, KEPT_AHEAD)


def flushes() -> bool:
    """Return whether this thread flushes denormal numbers to zero."""
    return sys.float_info.min / 2 == 0


@contextmanager
def training(threads: int, compiled: bool = False) -> Iterator[None]:
    """Train within: with this many threads, of torch and of every other library, and without denormal numbers.

    Args:
        threads: how many.
        compiled: whether compiled loops will run: they use scipy's BLAS, which is loaded first, to be held as well.

    Threads take the flag from the thread that starts them, and keep it. So it is set before torch starts its own, and
    with more than one thread only in a process that is there for runs alone.
    """
    from threadpoolctl import threadpool_limits

    if compiled:
        import scipy.linalg.cython_blas  # noqa: F401  # where numba takes products from
    before, flushed = torch.get_num_threads(), flushes()
    if _ours or threads == 1:
        torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)


@contextmanager
def exactly() -> Iterator[None]:
    """Compute within with denormal numbers: in this thread alone where it flushes them, since others may then too."""
    if not flushes():
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
