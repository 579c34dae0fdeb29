"""If standard output fails, as on a full disk, the work goes on: the failure is reported at the end."""

import io
import sys
from typing import Any


class Output(io.FileIO):
    """Standard output; what cannot be written is dropped, and ``refused`` says why. A closed pipe is raised, once."""

    refused: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write as much as possible."""
        if self.refused is None:
            try:
                return super().write(data)
            except OSError as error:
                self.refused = error
                if isinstance(error, BrokenPipeError):
                    raise
        return memoryview(data).nbytes


def guarded() -> Output | None:
    """Redirect standard output to an ``Output``; None if it is already redirected."""
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
