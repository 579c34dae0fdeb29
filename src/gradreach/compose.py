"""Composes every job of a sweep; everything that touches Hydra's internals is here, with one contract test."""

import math
import pickle
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from itertools import compress
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gradreach.config import plain
from gradreach.errors import ConfigError

MOST_RUNS = 100_000
"""The most runs of a sweep: more is a typing error, and planning them takes memory and minutes."""


@contextmanager
def configuration(conf_dir: Path) -> Iterator[None]:
    """Let Hydra compose from a folder; from then on the modules beside it can be imported, as in ``run.py``.

    Raises:
        ConfigError: there is no configuration in the folder.
    """
    from hydra import initialize_config_dir

    if not (conf_dir / "config.yaml").is_file():
        hint = "run this in the folder with conf/ and run.py"
        raise ConfigError("conf_dir", conf_dir, "no config.yaml there", hint)
    beside = str(conf_dir.resolve().parent)
    if beside not in sys.path:
        sys.path.insert(0, beside)
    with initialize_config_dir(str(conf_dir.resolve()), version_base="1.3"):
        yield


def quoted(value: object) -> str:
    """Return a value as text in Hydra's grammar, whatever characters it has."""
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), str(value))
    return f"'{escaped}'"


def refuse_several(overrides: Sequence[str]) -> None:
    """Refuse an override that means several runs where one is needed."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.is_sweep_override():
            key, _, value = str(override.input_line).partition("=")
            raise ConfigError(key, value, "has several values", "describe one run at a time; write a list as [1,2]")


def compose(overrides: Sequence[str], conf_dir: Path) -> dict[str, Any]:
    """Return the configuration that ``run.py`` gets for these overrides, as plain values.

    Raises:
        ConfigError: there is no configuration in the folder.
    """
    from hydra import compose as hydra_compose

    with configuration(conf_dir):
        return plain(hydra_compose("config", overrides=list(overrides)))


def all_jobs(loader: Any, master: DictConfig, arguments: Sequence[str]) -> list[Sequence[str]]:
    """Return the overrides of every job of all grids of a sweep.

    Read from the configuration, not from the sweeper that Hydra made of it: making resolves values, so that an escaped
    ``\\${seq_len}`` would become the master's length instead of each run's.

    Args:
        loader: Hydra's, which knows the groups.
        master: what the sweep was composed to, with Hydra's own part.
        arguments: what the command line says of runs; it wins.

    Raises:
        ConfigError: there are more than any sweep has.
    """
    own = master.hydra.sweeper
    read = [_read(loader, grid, arguments) for grid in grids(own.get("params") or {}, own.get("parts"))]
    runs = sum(math.prod(map(_size, {word.get_key_element(): word for word in words}.values())) for words in read)
    if runs > MOST_RUNS:
        raise ConfigError(
            "sweep", allowed=f"it has {runs:,} runs; at most {MOST_RUNS:,} are allowed", hint="sweep less"
        )
    return [job for words in read for job in _combinations(words)]


def jobs_by_part(loader: Any, master: DictConfig, arguments: Sequence[str]) -> dict[str, Sequence[Sequence[str]]]:
    """Return the jobs of ``all_jobs``, by part of the sweep."""
    own, parts = master.hydra.sweeper, master.hydra.sweeper.get("parts") or {}
    read = [_read(loader, grid, arguments) for grid in grids(own.get("params") or {}, parts)] if parts else []
    names = [str(name) for name, part in parts.items() if part is not None]
    return dict(zip(names, [_combinations(words) for words in read], strict=True))


def grids(params: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any] | None] | None) -> list[dict[str, Any]]:
    """Return the grids of a sweep: one per part that is not null, or the sweep itself if it has no parts."""
    if not parts:
        return [dict(params)]
    return [{**params, **part} for part in parts.values() if part is not None]


def _read(loader: Any, params: Mapping[str, Any], arguments: Sequence[str]) -> list[Override]:
    """Read the sweep of the configuration and of the command line."""
    words = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    return OverridesParser.create(config_loader=loader).parse_overrides(words)


def _size(word: Override) -> int:
    """Return the number of values of an override; a range is counted without expanding it."""
    swept = word.value()
    if not word.is_discrete_sweep():
        return 1
    if not isinstance(swept, RangeSweep):
        return sum(1 for _ in word.sweep_iterator())
    ends = [float("nan") if number is None else number for number in (swept.start, swept.stop, swept.step)]
    if not all(map(math.isfinite, ends)) or not swept.step:
        raise ConfigError(word.key_or_group, word.get_value_string(), "must be finite, with a step that is not 0")
    start, stop, step = map(Fraction, ends)
    return max(0, math.ceil((stop - start) / step))


def _combinations(words: Sequence[Override]) -> Sequence[Sequence[str]]:
    """Return the overrides of every job of a grid; if a key occurs twice, the last one wins."""
    # Not at the top: Hydra's search for plugins executes this module again, and its classes then are others.
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    return BasicSweeper.split_arguments(list(words), None)[0]


class Composer:
    """Composes many jobs that differ in few files: each choice of files is composed once, each word read once.

    Hydra needs 0.15 s and more a job to read all files again. A value (``seed=3``) is applied after the files are
    composed, so that a copy of the composed files and the value give the same. The copies are unpickled, in a sixth of
    the time that ``copy.deepcopy`` takes.
    """

    def __init__(self, loader: Any, master: DictConfig) -> None:
        self.loader = loader
        self.master = master
        self.parser = OverridesParser.create(config_loader=loader)
        self.composed: dict[tuple[str, ...], tuple[bytes, bytes]] = {}  # by files: without Hydra's own part, and whole
        self.is_group = cache(lambda key: bool(loader.get_group_options(key)))
        self.parsed = cache(lambda override: self.parser.parse_overrides([override])[0])

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return what Hydra would compose, without its own part.

        Raises:
            HydraException: a key or an option does not exist.
        """
        return self._compose(overrides)

    def compose_job(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Return all that Hydra would compose for a job of a sweep."""
        whole = self._compose(overrides, whole=True)
        with open_dict(whole), read_write(whole):
            whole.hydra.overrides.task = list(overrides)
            whole.hydra.job.num = number
            whole.hydra.job.id = f"{whole.hydra.job.name}_{number}"
        return whole

    def _compose(self, overrides: Sequence[str], whole: bool = False) -> DictConfig:
        parsed = [self.parsed(override) for override in overrides]
        is_value = [self._is_value(override) for override in parsed]
        files = tuple(override for override, value in zip(overrides, is_value, strict=True) if not value)
        if files not in self.composed:
            composed = self.loader.load_sweep_config(self.master, list(files))
            ours = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
            self.composed[files] = pickle.dumps(ours), pickle.dumps(composed)
        config: DictConfig = pickle.loads(self.composed[files][whole])
        ConfigLoaderImpl._apply_overrides_to_config(list(compress(parsed, is_value)), config)
        return config

    def _is_value(self, override: Override) -> bool:
        key = override.key_or_group
        plain = not (override.is_add() or override.is_force_add() or override.is_delete() or override.package)
        return plain and not key.startswith("hydra") and not self.is_group(key)


PLAIN_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)")


def _plain_integer(loader: Any, node: yaml.ScalarNode) -> int:
    """Refuse an integer in a file that YAML reads differently from the command line: 010 is 8."""
    number: int = yaml.SafeLoader.construct_yaml_int(loader, node)
    if type(loader).__module__.startswith("omegaconf") and not PLAIN_INTEGER.fullmatch(node.value):
        problem = f"YAML reads {node.value} as {number}; write {number}, or the number you mean"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return number


yaml.SafeLoader.add_constructor("tag:yaml.org,2002:int", _plain_integer)  # OmegaConf's loader is made from this one


def raised_or_returned(job: JobReturn) -> Any:
    """Return a job's return value, or the exception that ended it, which ``return_value`` would print and raise."""
    return job._return_value


def is_basic(launcher: Any) -> bool:
    """Return whether a launcher is Hydra's own, which runs all jobs in this process."""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    return isinstance(launcher, BasicLauncher)


def start_on_ray(context: Any, remote: DictConfig, config: DictConfig, task_function: Any, state: Any) -> Any:
    """Start a job as a Ray task, as Hydra's Ray launcher does."""
    from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray

    return launch_job_on_ray(context, remote, config, task_function, state)
