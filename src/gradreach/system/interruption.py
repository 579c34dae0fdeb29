"""Requests to stop: a signal is stored, and handled where nothing is lost."""

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

GRACE_SECONDS = 20.0
"""How long a running epoch may continue after a signal; schedulers kill after 30 s or more."""

STOPPING = (signal.SIGTERM, signal.SIGINT)
"""The signals by which any process is asked to stop; one whose work ends with its terminal hears SIGHUP too."""

_asked_to_stop = False


def asked_to_stop() -> bool:
    """Return whether this process was ever asked to stop: then a worker starts no new run."""
    return _asked_to_stop


def with_terminal() -> tuple[signal.Signals, ...]:
    """Return the signals that ask a process to stop whose work ends with its terminal; under nohup it does not."""
    return STOPPING if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*STOPPING, signal.SIGHUP)


def hung_up() -> signal.Handlers:
    """Discard further output if the terminal is gone: writing to it would raise.

    Returns:
        How SIGHUP is to be handled from here on: a terminal and its shell both send it.
    """
    for stream in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                nobody = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nobody, stream)
                os.close(nobody)
    return signal.SIG_IGN


def exit_code(asked: KeyboardInterrupt) -> int:
    """Return the exit code of a process that was asked to stop: 128 and the signal, Ctrl-C where none is told.

    >>> exit_code(KeyboardInterrupt(signal.SIGTERM)), exit_code(KeyboardInterrupt())
    (143, 130)
    """
    return 128 + int(asked.args[0] if asked.args else signal.SIGINT)


class Interrupted(RuntimeError):
    """The process was asked to stop; finished work is kept."""


class Interruption:
    """Whether, when and by which signal the process was asked to stop.

    A second signal has its default effect, except SIGHUP, which is ignored.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.since = 0.0
        self.previous: dict[int, Any] = {}
        self.handler: Any = None

    def install(self) -> None:
        """Handle the signals from here on, even if another handler has been installed since."""
        if self.signal is None and self.previous:
            for number in self.previous:
                signal.signal(number, self.note)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Store the first signal; this is the handler."""
        global _asked_to_stop
        _asked_to_stop = True
        self.signal, self.since, self.handler = number, time.monotonic(), self.previous.get(number)
        if number == signal.SIGHUP:
            self.previous[number] = hung_up()
        self.restore()

    def at_epoch_end(self) -> None:
        """Leave here if asked to stop.

        Raises:
            Interrupted: with the signal's name.
        """
        if self.signal is not None:
            raise Interrupted(signal.Signals(self.signal).name)

    def within_epoch(self) -> None:
        """Leave here only if the end of the epoch is too far away.

        Raises:
            Interrupted: with the signal's name.
        """
        if self.signal is not None and time.monotonic() - self.since > GRACE_SECONDS:
            self.at_epoch_end()

    def pass_on(self) -> None:
        """Tell whoever handled the signal before, now that nothing can be lost by it: a sweep in this process."""
        if self.signal is not None and callable(self.handler):
            self.handler(self.signal, None)

    def restore(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)


@contextmanager
def watched() -> Iterator[Interruption]:
    """Store SIGTERM, SIGINT and SIGHUP instead of dying from them.

    Off the main thread, where Python forbids it, do nothing.
    """
    interruption = Interruption()
    blocked = None
    if threading.current_thread() is threading.main_thread():
        for number in with_terminal():
            interruption.previous[number] = signal.getsignal(number)
        interruption.install()
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see not_inherited
    try:
        yield interruption
    finally:
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        interruption.restore()


@contextmanager
def at_once() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM as on Ctrl-C, whoever else handles them, for who knows best how to stop.

    SIGHUP is left as it is: jobs of a cluster go on without the terminal that submitted them.
    Off the main thread, where Python forbids it, do nothing.
    """

    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt(number)

    with _handling(stop):
        try:
            yield
        except KeyboardInterrupt as asked:
            if asked.args or not came:
                raise
            raise KeyboardInterrupt(came[0]) from None  # a library in C has put its own in the place of ours


@contextmanager
def not_inherited() -> Iterator[None]:
    """Keep Ctrl-C from the processes that are started within, until they ask for it by ``watched``.

    A terminal sends it to all of them: one that is just starting would write what it was about, and end.
    """
    over = threading.Event()
    threading.Thread(target=over.wait, daemon=True).start()  # lets the signal in, for this process to handle
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        over.set()


@contextmanager
def deferred() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C wait until the end, for this process and for the programs that it starts meanwhile.

    A terminal sends Ctrl-C to all of them: one that is to be seen through must not hear it.
    """
    came: list[int] = []
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # what is started inherits it
    try:
        with _handling(lambda number, frame: came.append(number)):  # other threads still let signals in
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number in came[:1]:
            signal.raise_signal(number)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Install a signal handler within; off the main thread do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
