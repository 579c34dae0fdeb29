"""Plans a sweep: checks every job first, keeps identical runs once, and names each run."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gradreach.assemble import check, check_device
from gradreach.config import RunConfig, RunEnvironment, checked, parse, plain
from gradreach.errors import ABSENT, ConfigError, advise, value_text
from gradreach.models import caveat

NAMED = {"model", "task", "seq_len", "task.seq_len", "kernel_size", "model.kernel_size", "seed", "experiment"}
"""Settings that a run's label already shows."""
OWN = {"threads", "device"}
"""Settings of the environment in which two runs may differ."""
SEED = re.compile(r"seed=(0|[1-9]\d*)")


@dataclass(frozen=True)
class Job:
    """One combination of a sweep.

    - ``overrides``: passed to the launcher.
    - ``cost``: multiply-adds of a sequence, times epochs: enough to sort runs by their length.
    """

    overrides: Sequence[str]
    run: RunConfig
    environment: RunEnvironment
    cost: int

    @cached_property
    def run_id(self) -> str:
        """The identity of its run, computed once."""
        return self.run.run_id


def plan(jobs: Sequence[Sequence[str]], compose: Callable[[Sequence[str]], DictConfig]) -> list[Job]:
    """Compose and check all jobs; of identical runs the first is kept.

    Raises:
        ConfigError: naming the first invalid setting; nothing has been started or written then.
    """
    distinct: dict[str, Job] = {}
    multiply_adds: dict[str, int] = {}
    first: RunEnvironment | None = None
    for overrides, run, environment in configured(jobs, compose):
        _agree(_flat(first or environment), _flat(environment), OWN)
        first = first or environment
        if (same := distinct.get(run_id := run.run_id)) is not None:
            _agree(_flat(same.environment, same.run), _flat(environment, run))
            continue
        check_device(environment.device, run.trainer.precision, here=False)  # runs elsewhere need no device here
        if (group := run.group_id) not in multiply_adds:  # runs that differ only in the seed fit as well
            task, model = check(run, environment)
            advise(caveat(model, task.shape))
            multiply_adds[group] = model.multiply_adds(task.shape.length)
        distinct[run_id] = Job(overrides, run, environment, multiply_adds[group] * run.trainer.passes)
    if not distinct:
        empty = "has no runs, because a key has no values, such as seed=range(0,0)"
        raise ConfigError("sweep", allowed=empty, hint="give it at least one value")
    return list(distinct.values())


def configured(
    jobs: Iterable[Sequence[str]], compose: Callable[[Sequence[str]], DictConfig]
) -> Iterator[tuple[Sequence[str], RunConfig, RunEnvironment]]:
    """Compose and check jobs; of those that differ in their seed alone one, unless others of its settings follow it."""
    alike: dict[tuple[str, ...], tuple[RunConfig, RunEnvironment]] = {}
    for overrides in jobs:
        seeds = [found for found in map(SEED.fullmatch, overrides) if found]
        others = tuple(override for override in overrides if not SEED.fullmatch(override)) if len(seeds) == 1 else None
        if others in alike:
            run, environment = alike[others]
            run = checked(RunConfig, {**dict(run), "seed": int(seeds[0][1])})
        else:
            composed = compose(overrides)
            run, environment = parse(plain(composed))
            if others is not None and not _follows_seed(composed):
                alike[others] = run, environment
        yield overrides, run, environment


def _follows_seed(composed: DictConfig) -> bool:
    """Return whether a setting is an interpolation that may name the seed."""
    written = OmegaConf.to_yaml(composed, resolve=False)
    return any("seed" in reference for reference in re.findall(r"\$\{.*", written))


def check_devices(jobs: Iterable[Job]) -> None:
    """Refuse runs on this machine that need a device that it does not have.

    Raises:
        ConfigError: naming those that it has.
    """
    for device, precision in sorted({(job.environment.device, job.run.trainer.precision) for job in jobs}):
        check_device(device, precision)


def _flat(environment: RunEnvironment, run: RunConfig | None = None) -> dict[str, Any]:
    """Return by name what is not part of a run's identity."""
    tracking = {f"tracking.{key}": value for key, value in environment.tracking}
    kept = {"checkpoint_seconds", "keep_checkpoint", "keep_weights"}
    trainer = {} if run is None else {f"trainer.{key}": value for key, value in run.trainer if key in kept}
    return {**{key: value for key, value in environment if key != "tracking"}, **tracking, **trainer}


def _agree(one: dict[str, Any], other: dict[str, Any], apart: Collection[str] = ()) -> None:
    """Refuse several values for a setting if only the first would be used."""
    for key, value in one.items():
        if value != other[key] and key not in apart:
            both = f"{value_text(value)},{value_text(other[key])}"
            raise ConfigError(key, both, "cannot be swept: it does not affect results", "give one value")


def varied(jobs: Sequence[Job]) -> dict[str, dict[str, str]]:
    """Return by run what a sweep varies beyond what runs are named by anyway: ``{"optimizer.lr": "0.1"}``."""
    given = {
        job.run_id: {key.lstrip("+"): value for key, _, value in (text.partition("=") for text in job.overrides)}
        for job in jobs
    }
    keys = dict.fromkeys(key for values in given.values() for key in values)
    several = [key for key in keys if key not in NAMED and len({values.get(key) for values in given.values()}) > 1]
    return {
        job.run_id: {key: _written(job.run, key, values[key]) for key in several if key in values}
        for job in jobs
        for values in [given[job.run_id]]
    }


def _written(run: RunConfig, key: str, value: str) -> str:
    """Return a value as it was written, not as Hydra quotes it; of an interpolation what it came to."""
    written = re.sub(r"\\(?=[{}])", "", value)
    if "${" in written:
        found: Any = run.canonical()
        for name in key.split("."):
            found = found.get(name, ABSENT) if isinstance(found, Mapping) else ABSENT
        if found is not ABSENT:
            return value_text(found)
    return written


def labels(jobs: Sequence[Job]) -> dict[str, str]:
    """Return each run's name within its sweep: its label, and what else is varied."""
    by_run = varied(jobs)
    ends = Counter(key.rpartition(".")[2] for key in {key for values in by_run.values() for key in values})

    def short(key: str) -> str:
        end = key.rpartition(".")[2]
        return end if ends[end] == 1 else key

    return {
        job.run_id: " · ".join([job.run.label, *(f"{short(k)}={v}" for k, v in by_run[job.run_id].items())])
        for job in jobs
    }
