"""Standard output that fails, as on a full disk, ends no work: the failure is reported at the end."""

import io
import sys
from typing import Any


class Output(io.FileIO):
    """Standard output; what it refuses is dropped, and ``refused`` says why. That a reader is gone is raised, once."""

    refused: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write what can be written."""
        if self.refused is None:
            try:
                return super().write(data)
            except OSError as error:
                self.refused = error
                if isinstance(error, BrokenPipeError):
                    raise
        return memoryview(data).nbytes


def guarded() -> Output | None:
    """Let the program print into an ``Output`` from now on; None where somebody else has taken what is printed."""
    text = sys.stdout
    if text is not sys.__stdout__ or not isinstance(text, io.TextIOWrapper):
        return None
    text.flush()
    raw = Output(text.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        text.encoding,
        text.errors,
        line_buffering=text.line_buffering,
        write_through=text.write_through,
    )
    return raw
