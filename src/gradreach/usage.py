"""``python run.py --help`` and ``--version``: what the command line accepts, read from ``conf/`` itself."""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

SETTING = re.compile(r"(?P<key>\w+):\s+(?P<value>[^#]*?)(?:\s+# (?P<words>.*))?")
"""A line of a file of ``conf/``; its comment says what it is for."""
MORE_WORDS = re.compile(r"(?<=\S)\n +# (.*)")
"""Where what a line says goes on."""
DEFAULT = re.compile(r"  - (?P<group>\w+): (?P<option>\w+).*")
QUICK = "_quick"
EXAMPLES = {
    "python run.py model=lstm seq_len=128": "one run",
    "python run.py -m model=rnn,lstm seq_len=64,128 seed=0,1": "a sweep",
    "python run.py -m experiment=quickstart": "a named sweep",
}
KEYS = ("seq_len", "kernel_size", "seed", "results_dir", "force", "device")
"""Settings of ``config.yaml`` that are told."""
OFTEN = {
    "optimizer.lr=0.01": "learning rate",
    "trainer.epochs=15": "budget; the best-validation epoch is tested",
    "hydra/launcher=cores": "or basic, slurm, slurm_local, ray_cluster",
}
"""Further settings that are told, as they may be written."""
MORE = {
    "python run.py model=cnn --cfg job": "all settings, and their values",
    "gradreach describe model=cnn": "a run before it is trained",
    "gradreach --help": "tables, pages, status, sync",
    "python run.py --hydra-help": "Hydra's own flags",
    "conf/, docs/": "what each setting is for, line by line",
}


def answered(arguments: Sequence[str], conf_dir: Path) -> bool:
    """Print the output of ``--help`` or ``--version``; return whether one was given."""
    if {"--version", "-V"} & set(arguments):
        from hydra import __version__ as hydra

        from gradreach import __version__

        print(f"gradreach {__version__} (Hydra {hydra}, Python {sys.version.split()[0]})")
        return True
    if {"--help", "-h"} & set(arguments):
        print(page(conf_dir, min(shutil.get_terminal_size().columns, 120)))
        return True
    return False


def page(conf_dir: Path, width: int) -> str:
    """Return the page of ``--help``, for a terminal of this many columns."""
    config = (conf_dir / "config.yaml").read_text(encoding="utf-8")
    defaults = {found["group"]: found["option"] for line in config.splitlines() if (found := DEFAULT.fullmatch(line))}
    groups = sorted(path.name for path in conf_dir.iterdir() if path.is_dir() and path.name != "hydra")
    told = [(name, words) for name, words in settings(config) if name.partition("=")[0] in KEYS]
    parts = [
        ["How far back does a model's gradient reach, and what does that cost in accuracy?"],
        ["Examples (finished runs are not repeated)", *_columns(EXAMPLES.items(), width)],
        ["Settings: key=value; with -m also key=value,value", *_columns([*told, *OFTEN.items()], width)],
        [
            "Groups: group=option, the default first",
            *_columns(((group, options(conf_dir / group, defaults.get(group))) for group in groups), width),
        ],
        ["More", *_columns(MORE.items(), width)],
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def settings(text: str) -> Iterator[tuple[str, str]]:
    """Return the settings of a file with their values, and what the file says of each; of one said twice the last."""
    told = {}
    for line in MORE_WORDS.sub(r" \1", text).splitlines():
        if (found := SETTING.fullmatch(line)) and found["value"] and (found["key"], found["words"]) != ("name", None):
            told[found["key"]] = (f"{found['key']}={found['value']}", found["words"] or "")
    yield from (told[key] for key in told if not key.startswith("_"))


def options(group: Path, default: str | None) -> str:
    """List the options of a group, the default first; quick forms of others are not told one by one."""
    names = sorted(path.stem for path in group.glob("*.yaml"))
    told = sorted((name for name in names if not name.endswith(QUICK)), key=lambda name: name != default)
    quick = f"; most also as <name>{QUICK}" if len(told) < len(names) else ""
    return ", ".join(told) + quick


def _columns(told: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Lay out names and their descriptions in two columns, wrapped at words."""
    rows = list(told)
    left = min(max(len(name) for name, _ in rows), 7 * width // 10)
    lines = []
    for name, words in rows:
        indent = " " * (left + 4)
        head = f"  {name:<{left}}  "
        if len(name) > left:
            lines.append(f"  {name}")
            head = indent
        whole = textwrap.wrap(words, width, initial_indent=head, subsequent_indent=indent, break_long_words=False)
        lines += whole or [head.rstrip()]
    return lines
