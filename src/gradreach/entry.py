"""What ``run.py`` does with a composed job: show a finished run, execute any other."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gradreach.compose import grids
from gradreach.config import RunConfig, RunEnvironment, parse, parts, plain
from gradreach.display import RunDisplay
from gradreach.errors import ConfigError, advise, refuse
from gradreach.records import RecordStore
from gradreach.system.garbage import importing, own_process
from gradreach.system.interruption import watched
from gradreach.system.provenance import code_digest

if TYPE_CHECKING:  # torch takes a second
    from gradreach.models import SequenceModel
    from gradreach.tasks import Task

EXITS = {"finished": 0, "diverged": 0, "interrupted": 130}
"""Exit codes by a run's status; any other status is a failure. A signal gives its own, see ``_do_alone``."""


def run_composed(composed: DictConfig) -> float | None:
    """Execute the run that Hydra composed.

    Returns:
        Its validation accuracy (or mean squared error: lower is better), for other sweepers; None if it has none.
    """
    own_process()  # in a worker, too
    values = plain(composed)
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        record = _do_in_sweep(values)
    else:
        _see_that_no_sweep_is_meant()
        record = _show(*finished) if (finished := met_again(values)) is not None else _do_alone(values)
        if code := EXITS.get(record["status"], 1):
            sys.exit(code)
    return (record.get("metrics") or {}).get(f"val/{record.get('metric')}")


def _see_that_no_sweep_is_meant() -> None:
    """Refuse the name of a sweep without -m: a run with its default settings is not part of the sweep.

    If a swept setting is given a value, as W&B's agents do, a single run is meant.
    """
    hydra = HydraConfig.get()
    words = [word for word in (*hydra.overrides.hydra, *hydra.overrides.task) if not word.startswith("hydra.mode=")]
    named = next(
        (word for word in words if word.lstrip("+").startswith(("experiment=", "published=", "search="))), None
    )
    values: dict[str, set[str]] = {}
    for grid in grids(hydra.sweeper.get("params") or {}, hydra.sweeper.get("parts")):
        for key, value in grid.items():
            values.setdefault(key, set()).add(str(value))
    swept = [key for key, held in values.items() if len(held) > 1 or any(re.search(r"[,(]", value) for value in held)]
    if named is None or not swept or values.keys() & {word.lstrip("+").partition("=")[0] for word in words}:
        return
    key, _, name = named.partition("=")
    without = f"is a sweep over {', '.join(swept)}; without -m it would be one run"
    hint = f"type {shlex.join(['python', 'run.py', '-m', *words])}, or for a single run of it give a value of these"
    refuse(ConfigError(key, name, without, hint))


def met_again(composed: Mapping[str, Any]) -> tuple[RunConfig, RunEnvironment, dict[str, Any]] | None:
    """Return a run that is finished, with its record, without importing what it was done with; None: find out.

    To check a component's arguments takes its class, and so torch. But what stands in a record has been checked: what
    is composed word for word as in a record that the present code made is that run. A run that is composed in other
    words (``4.0`` for ``4``), on a device that may not be there, or with components of others, whose code may have
    changed, is found out the long way.
    """
    with suppress(ValueError):  # invalid settings are rejected by the full check
        run, environment = parts(composed)
        strange = [each for each in (run.model, run.task) if not each.target.startswith("gradreach.")]
        store = RecordStore(environment.results_dir / "runs")
        if strange or run.callbacks or environment.logger or environment.force or environment.device != "cpu":
            return None
        record = store.settled(run.run_id) if store.stamp(run.run_id) else None
        if record is not None and record.get("code") == code_digest() and store.intact(run.run_id):
            return run, environment, record
    return None


def _show(run: RunConfig, environment: RunEnvironment, record: dict[str, Any]) -> dict[str, Any]:
    """Print about a finished run what would be printed if it were executed."""
    try:
        RecordStore(environment.results_dir / "runs").check_writable()
    except ConfigError as error:
        refuse(error)
    for told in (record["caveat"], *record.get("warnings", ())):
        advise(told)
    with RunDisplay(run) as display:
        if os.environ.get("WANDB_SWEEP_ID"):  # an agent may wait for it
            from gradreach.tracking import replay_to_agent

            replay_to_agent(record, environment)
    display.result(record, environment)
    return record


def prepared(composed: Mapping[str, Any]) -> tuple[RunConfig, RunEnvironment, "Task", "SequenceModel"]:
    """Check all of a run that can be checked before it starts; its model has no memory for its weights.

    Raises:
        ConfigError: naming the first setting that cannot be.
    """
    with importing():
        from gradreach.assemble import check, check_device
        from gradreach.tracking import mode_now

    config, environment = parse(composed)
    task, model = check(config, environment)
    check_device(environment.device, config.trainer.precision)
    RecordStore(environment.results_dir / "runs").check_writable()
    mode_now(environment.tracking)  # refuses a wrong key before anything starts
    return config, environment, task, model


def _do_alone(composed: Mapping[str, Any]) -> dict[str, Any]:
    """Check a run, and execute it unless it is finished; an invalid one ends the program with one line."""
    with importing():
        from gradreach.models import caveat
        from gradreach.run_table.join import committed_note
        from gradreach.runner import execute
        from gradreach.system import machine

    machine.take_over()
    try:
        config, environment, task, model = prepared(composed)
    except ConfigError as error:
        refuse(error)  # before Hydra could report it in its own words
    advise(caveat(model, task.shape))
    advise(committed_note(environment.results_dir, config.run_id))
    with watched() as interruption:
        with RunDisplay(config) as display:
            record = execute(config, environment, display.epoch, interruption, display.watch)
        display.result(record, environment)
    if record["status"] == "interrupted" and interruption.signal is not None:
        sys.exit(128 + interruption.signal)
    return record


def _do_in_sweep(composed: Mapping[str, Any]) -> dict[str, Any]:
    """Execute one run of a sweep, which has checked it; empty if another worker does."""
    with importing():
        from gradreach.assemble import check, check_device
        from gradreach.runner import execute_in_sweep
        from gradreach.system import machine

    machine.take_over()
    config, environment = parse(composed)
    check(config, environment)
    check_device(environment.device, config.trainer.precision)
    with watched() as interruption:
        return execute_in_sweep(config, environment, interruption)
