"""The user's errors, in one line each."""

import errno
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, NoReturn, TextIO

from gradreach.output import guarded

OPTION = "a group takes the name of an option, such as model=lstm; quote off, null and numbers in YAML: 'off'"
COMPOSING = {"hydra", "omegaconf", "gradreach"}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""Error codes of a full disk."""
DISK = FULL | {errno.EACCES}
"""Error codes of a full or read-only disk."""
PROGRAM = "gradreach: "
LONGEST = 1000
"""The most characters of a value in a message."""
INDENT = "  "
"""Of the lines of a message after its first."""

WHOLE_TRACES = os.environ.get("HYDRA_FULL_ERROR") == "1"
"""Whether the user asked for full stack traces."""


class _Absent(Enum):
    """The type of ``ABSENT``: an enumeration's member stays itself when it is pickled."""

    ABSENT = "absent"


ABSENT = _Absent.ABSENT
"""The value if there is none: for a file, a command, a missing setting. None is a value."""


@dataclass(eq=False)
class ConfigError(ValueError):
    """An invalid setting; ``str`` gives one line, ``setting=value: allowed; hint``.

    >>> print(ConfigError("seq_len", 50, "task=digits has 64 pixels", "choose 64 or more"))
    seq_len=50: task=digits has 64 pixels; choose 64 or more
    >>> print(ConfigError("model.wdith", allowed="there is no such setting", choices=("layers", "width")))
    model.wdith: there is no such setting; did you mean width? Choose from layers, width

    - ``setting``: its dotted name as people type it, or a file, a command, an option.
    - ``value``: the given value; ``ABSENT`` if there was none.
    - ``allowed``: a clause that says what may be given, or what is wrong.
    - ``hint``: what to do next.
    - ``choices``: the allowed words for the value (or, without a value, for the setting's name).
    - ``others``: further settings that are wrong only together with this one.
    """

    setting: str | Path
    value: object = ABSENT
    allowed: str = ""
    hint: str = ""
    choices: Collection[str] = ()
    others: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the error as one line."""
        return "; ".join(filter(None, [self.problem, self.suggestion, self.hint]))

    @property
    def problem(self) -> str:
        """Return what is wrong, without the hint."""
        settings = {str(self.setting): self.value, **self.others}
        head = ", ".join(name if value is ABSENT else f"{name}={value_text(value)}" for name, value in settings.items())
        return _one_line(f"{head}: {self.allowed}" if self.allowed else head)

    @property
    def suggestion(self) -> str:
        """Name the choice nearest to the given value, and all choices; empty if there are none."""
        given = str(self.setting).rpartition(".")[2] if self.value is ABSENT else str(self.value)
        return _one_line(suggest(given, self.choices)) if self.choices else ""


def value_text(value: object) -> str:
    """Return a value as people type it on a command line."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {value_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else _shortened(str(value))


def _shortened(text: str) -> str:
    """Return a text shortened to one readable line."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}… ({len(text):,} characters)"


def _one_line(text: str) -> str:
    """Return a text whose control characters (a value may hold any) neither break the line nor reach the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Name the known word nearest to a wrong one, or list them all."""
    options = sorted(known)
    near = get_close_matches(wrong, options, n=1)
    return f"did you mean {near[0]}? Choose from {', '.join(options)}" if near else f"choose from {', '.join(options)}"


def refuse(error: ConfigError) -> NoReturn:
    """Say what the user has to fix, and exit with code 2."""
    report(error)
    sys.exit(2)


@cache
def advise(message: str | None) -> None:
    """Warn once, in one line, about something that works but may not be intended."""
    if message is not None:
        report(f"note: {message}")


def report(message: ConfigError | str, stream: TextIO | None = None) -> None:
    """Print a message: on a terminal wrapped at words, elsewhere as one line.

    On a terminal choices that would not fit into the first line get lines of their own.

    Args:
        message: what to say.
        stream: where to; None: standard error.
    """
    stream = stream or sys.stderr
    text = f"{PROGRAM}{message}"
    if not stream.isatty():
        print(text, file=stream)
        return
    width, parts = _width(stream), [text]
    if len(text) > width and isinstance(message, ConfigError) and message.choices:
        parts = [f"{PROGRAM}{message.problem}", *(INDENT + part for part in (message.suggestion, message.hint) if part)]
    print("\n".join(line for part in parts for line in wrap_words(part, width)), file=stream)


def wrap_words(text: str, width: int) -> list[str]:
    """Cut a text at spaces into lines of at most this many terminal cells; a longer word gets a line of its own."""
    from rich.cells import cell_len

    first, *words = text.split(" ")
    lines = [first]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(INDENT + word)
    return lines


def _width(stream: TextIO) -> int:
    """Return the width of a terminal, which need not be that of standard output; ``$COLUMNS`` says another."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        width = 0
    columns = os.environ.get("COLUMNS", "")
    return (int(columns) if columns.isdecimal() else 0) or width or 80


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn errors of configuration into one line on stderr and exit code 2.

    ``HYDRA_FULL_ERROR=1`` keeps the whole stack trace. A character that the output's encoding lacks is shown as ``?``
    and does not end the program.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    say_when_stopped()
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        yield
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing several lines
    output = guarded()
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        refuse(explained)
    finally:
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if output is not None and output.refused is not None:
            _end(output.refused)


def _end(refused: OSError) -> NoReturn:
    """Exit if not everything could be printed: silently if the reader has closed the pipe, as in `| head -1`."""
    if isinstance(refused, BrokenPipeError):
        sys.exit(141)
    kept = "finished work is kept; print elsewhere"
    refuse(ConfigError("standard output", allowed=refused.strerror or first_line(refused), hint=kept))


@cache
def say_when_stopped() -> None:
    """Let Ctrl-C end the program with one line, even while it is starting; call it before slow imports."""
    other = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt) and not WHOLE_TRACES:
            report("stopped")
        else:
            other(kind, error, trace)

    sys.excepthook = hook


def explain(error: BaseException) -> ConfigError | None:
    """Return an error that the user can fix, None for a bug of the program."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import MarkedYAMLError

    if isinstance(error, ConfigError):
        return error
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return ConfigError(group, choice, "there is no such option", choices=error.options or ())
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, first_line(error))
    if isinstance(error, OSError) and error.errno in DISK:
        kept = "finished runs are kept: re-run the same command to resume"
        return ConfigError(error.filename or "results_dir", allowed=no_room(error), hint=kept)
    word = _word_at_fault(error)
    if word is not None and isinstance(error, OSError) and _raised_by_hydra(error):
        return _refused_word(word, error.strerror or first_line(error))
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        hint = "HYDRA_FULL_ERROR=1 shows where it was needed"
        return ConfigError(str(error.filename), allowed=f"cannot be read or written ({error.strerror})", hint=hint)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}"
        return ConfigError(mark.name, allowed=f"{place}: {error.problem}", hint="correct the YAML there")
    if isinstance(error, HydraException) and (unknown := re.match(r"Could not override '([^']*)'", str(error))):
        return _unknown_key(unknown[1] or "''", error.__cause__)
    if word is not None and (isinstance(error, HydraException) or _raised_by_hydra(error)):
        return _refused_word(word, first_line(error.__cause__ or error))
    if isinstance(error, OmegaConfBaseException):
        return ConfigError(error.full_key or "configuration", allowed=first_line(error))
    if several := re.match("(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error)):
        return _refused_word(several[1], str(error))
    if isinstance(error, HydraException):
        named = re.search(r"(?:for|delete|In) '?([^ ']+?)'?[.:]|^(\S+) appears more than once", str(error))
        return ConfigError(next(filter(None, named.groups())) if named else "defaults", allowed=first_line(error))
    if isinstance(error, ValueError) and _raised_by_hydra(error):
        return ConfigError("defaults", allowed=first_line(error), hint=OPTION)
    return None


def _unreadable(text: str, why: str) -> ConfigError:
    """Explain how to write a word that Hydra's grammar does not accept; unusual characters need quotes."""
    key, equals, value = text.partition("=")
    if equals and re.fullmatch(r"[~+]*[\w/@.:-]+", key) and re.fullmatch(r"[^'\"\\()\[\]{}]+", value):
        return ConfigError(key, value, "is neither a number nor a word", f"quote text: \"{key}='{value}'\"")
    return ConfigError(key, value if equals else ABSENT, f"cannot be read as key=value ({why})")


def _refused_word(word: str, why: str) -> ConfigError:
    """Explain why Hydra could read a word but not use it."""
    key, _, value = word.partition("=")
    if re.search("Config group override|^argument of type|options list items", why):
        return ConfigError(key, value, "must be the name of an option, such as lstm", "quote off and numbers: 'off'")
    if "sweep type" in why:
        return ConfigError(key, value, "is a search space, but a sweep needs values", "list them, or give a range(0,3)")
    if "--multirun" in why:
        return ConfigError(key, value, "has several values", "to sweep over them, add -m; write a list as [1,2]")
    return ConfigError(key, value if value else ABSENT, why[:1].lower() + why[1:])


def _word_at_fault(error: BaseException) -> str | None:
    """Return the command-line word at which Hydra raised, None if there is none.

    Its errors do not tell, but its local variables do.
    """
    for frame, _ in reversed(list(walk_tb(error.__traceback__))):
        override = frame.f_locals.get("override")
        if text := override if isinstance(override, str) else getattr(override, "input_line", None):
            return str(text)
        for each in frame.f_locals.get("overrides_list") or []:  # a group of several options, not all of them names
            if isinstance(options := each.value(), list) and not all(
                isinstance(one, str) and "${" not in one for one in options
            ):
                return str(each.input_line)
    return None


def _raised_by_hydra(error: BaseException) -> bool:
    """Return whether an error is Hydra's or OmegaConf's, which raise bare ones for what they cannot use, not ours."""
    modules = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    return next((name != "gradreach" for name in reversed(modules) if name in COMPOSING), False)


def no_room(error: OSError) -> str:
    """Explain a full or read-only disk, and what to do."""
    return f"{error.strerror}; make room or choose another results_dir"


def _unknown_key(key: str, cause: Any) -> ConfigError:
    """Suggest existing keys for one that does not exist."""
    parent = getattr(cause, "parent_node", None)
    known = [str(name) for name in parent if name != "_target_"] if parent is not None else []
    hint = "" if known else "python run.py --cfg job shows all settings"
    return ConfigError(key, allowed="there is no such setting", hint=hint, choices=known)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its name if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_line(error: BaseException) -> str:
    """Return an error's whole message in one line, or its name if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
