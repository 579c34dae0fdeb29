"""What the user did wrong, in one line."""

import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from typing import Any, NoReturn

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""What only a disk answers that takes no more."""
DISK = FULL | {errno.EACCES}
"""What a full or forbidden disk answers."""


class ConfigError(ValueError):
    """A setting that cannot work; the message names it, its value, what is allowed and what to do."""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Name the known word nearest to a wrong one, or list them all."""
    options = sorted(known)
    near = get_close_matches(wrong, options, n=1)
    return f"did you mean {near[0]}? Choose from {', '.join(options)}" if near else f"choose from {', '.join(options)}"


def refuse(message: str) -> NoReturn:
    """Say in one line what the user has to mend, and exit with code 2."""
    print(f"gradreach: {message}", file=sys.stderr)
    sys.exit(2)


@cache
def advise(message: str | None) -> None:
    """Say once in one line what works but is perhaps not what was meant."""
    if message is not None:
        print(f"gradreach: note: {message}", file=sys.stderr)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn errors of configuration into one line on stderr and exit code 2.

    ``HYDRA_FULL_ERROR=1`` keeps the whole stack trace.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        yield
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing several lines
    try:
        yield
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        refuse(message)
    finally:
        os.environ.pop("HYDRA_FULL_ERROR", None)


def explain(error: BaseException) -> str | None:
    """Return one line for an error that the user can mend, None for a defect of the program."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}={choice}: there is no such option; {suggest(choice, error.options)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value ({first_line(error)})"
    if isinstance(error, HydraException):
        override = re.match(r"Could not override '([^']+)'", str(error))
        if override:
            return f"{override[1]}: there is no such setting; {_known_keys(error.__cause__, override[1])}"
        if "Ambiguous value for argument" in str(error):
            return f"{first_line(error)}: to sweep over several values, add -m"
        cause = f" ({first_line(error.__cause__)})" if error.__cause__ else ""
        return first_line(error) + cause
    if isinstance(error, OSError) and error.errno in DISK:
        return (
            f"{error.filename or 'results_dir'}: {no_room(error)}: "
            "what was finished is kept, and the same line goes on from there"
        )
    if isinstance(error, OmegaConfBaseException):
        return f"{error.full_key or 'configuration'}: {first_line(error)}"
    return None


def no_room(error: OSError) -> str:
    """Say what a full or forbidden disk answered, and what to do."""
    return f"{error.strerror}; make room or choose another results_dir"


def _known_keys(cause: Any, key: str) -> str:
    """Suggest what stands beside a key that does not exist."""
    parent = getattr(cause, "parent_node", None)
    prefix, _, name = key.rpartition(".")
    known = [str(k) for k in parent] if parent is not None else []
    if not known:
        return "python run.py --cfg job shows all of them"
    return suggest(name, (k for k in known if k != "_target_")) + (f" below {prefix}" if prefix else "")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_line(error: BaseException) -> str:
    """Return all that an error says in one line, its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
