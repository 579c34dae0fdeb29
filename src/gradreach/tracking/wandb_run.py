"""Weights & Biases: one W&B run for each of ours, with the same id."""

import io
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import wandb

from gradreach.config import RunConfig, RunEnvironment, TrackingSettings
from gradreach.errors import ConfigError, advise, first_line
from gradreach.records import as_csv
from gradreach.tracking.server import mode_now
from gradreach.tracking.wandb_files import run_id_note

FAMILIES = ("train", "val", "test", "gradient", "gates", "time")
FACTS = (
    "status",
    "error",
    "metric",
    "chance",
    "parameters",
    "multiply_adds",
    "receptive_field",
    "width",
    "best_epoch",
    "steps",
    "training_seconds",
    "stopped",
)
HISTORY = "history.csv"
"""The file of a run in which stands all that was measured from epoch to epoch, as in its record."""
STAGES = ("start", "end")
"""What was measured of the gradient before training, and of the chosen weights: ``gradient/<stage>`` of the summary."""
WAITING: dict[str, Any] = {"init_timeout": 30.0, "finish_timeout": 30.0}
"""How long the server is waited for, in seconds; ``WANDB_INIT_TIMEOUT`` and ``WANDB_FINISH_TIMEOUT`` say other numbers.

A run that a server does not take up in time is tracked offline; what it has not got when a run's end has waited is on
disk, for ``gradreach sync``.
"""


def begin(tracking: TrackingSettings, results_dir: Path, goes_on: bool = True, **what: Any) -> "wandb.Run":
    """Begin a W&B run that says nothing, asks nothing, and measures nothing of the machine.

    Args:
        tracking: where it is sent.
        results_dir: its files go below.
        goes_on: online, whether it adds to what the server has of this id, or takes its place.
        what: id, name and the like, for ``wandb.init``.

    Raises:
        RuntimeError: another W&B run is still open in this process.
    """
    if wandb.run is not None:
        raise RuntimeError(f"W&B run {wandb.run.id} is still open in this process; finish it first")
    results_dir.mkdir(parents=True, exist_ok=True)
    os.environ.pop("WANDB_SERVICE", None)  # a parent's: each process has wandb's process for itself
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_code=True,
        disable_git=True,
        **{name: seconds for name, seconds in WAITING.items() if f"WANDB_{name.upper()}" not in os.environ},
        finish_timeout_raises=True,
        x_disable_stats=True,
        x_save_requirements=False,  # it would read what is installed anew for each run; config has versions
    )
    common: Any = {
        **what,
        "project": tracking.project,
        "entity": tracking.entity,
        "dir": results_dir.resolve(),
        "settings": settings,
    }
    try:
        if mode_now(tracking) == "online":
            return wandb.init(mode="online", resume="allow" if goes_on else None, **common)
    except (ConfigError, wandb.errors.CommError) as error:  # the server was well when the sweep began
        advise(f"{first_line(error)}: tracked offline; 'gradreach sync' sends it later")
    return wandb.init(mode="offline", **common)


def end(run: "wandb.Run", exit_code: int) -> None:
    """Finish a W&B run, and note it as sent where the server has got all of it; where all went well no logs are kept.

    Raises:
        TimeoutError: the server has not taken all in time; ``gradreach sync`` sends it later.
    """
    try:
        with redirect_stderr(io.StringIO()):  # wandb would say in two lines what we say in one
            run.finish(exit_code)
    except TimeoutError:
        raise TimeoutError("the server has not taken all; 'gradreach sync' sends the rest") from None
    if went_well(Path(run.settings.log_internal)):
        if not run.offline:
            Path(f"{run.settings.sync_file}.synced").touch()  # as ``wandb sync`` does
        _tidy(Path(run.settings.sync_file).parent)


def _tidy(folder: Path) -> None:
    """Remove from a run's folder what only tells how W&B worked: on a cluster the number of files is often limited."""
    for name in ("logs", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for link in folder.parent.glob("debug*.log"):
        if not link.exists():
            link.unlink(missing_ok=True)


def went_well(log: Path) -> bool:
    """Return whether the log of wandb's process has no error; one that cannot be read is no proof."""
    try:
        levels = [json.loads(line)["level"] for line in log.read_text("utf-8").splitlines()]
        return bool(levels) and not any(level.startswith("ERROR") for level in levels)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


class WandbRun:
    """A W&B run, open until it is closed.

    A run that goes on from a checkpoint tells its epochs from the first again. Online, what the server has already is
    not said twice; offline, the newest file of a run is whole, and ``gradreach sync`` sends no other.

    Raises:
        RuntimeError: another W&B run is still open in this process.
    """

    def __init__(self, run: RunConfig, environment: RunEnvironment, record: Mapping[str, Any]) -> None:
        self.last: Mapping[str, Any] = {}
        self.history: list[Mapping[str, Any]] = []
        agent = "WANDB_SWEEP_ID" in os.environ  # the server has made the run already, and waits for it under its id
        if agent:
            os.environ.pop("WANDB_SWEEP_PARAM_PATH", None)  # its flat `model` would displace our `model.*`
        self.run = begin(
            environment.tracking,
            environment.results_dir,
            id=os.environ["WANDB_RUN_ID"] if agent else run.run_id,
            name=f"{run.label} · seed {run.seed}",
            group=f"{run.label} · {run.group_id[:6]}",
            job_type="train",
            tags=[tag for tag in (environment.experiment, run.task.name, run.model.name) if tag],
            config=configuration(run, environment, record),
        )
        self.url = None if self.run.offline else self.run.url
        try:
            if agent:
                run_id_note(Path(self.run.settings.sync_file)).write_text(run.run_id, "utf-8")
            self.run.define_metric("epoch", hidden=True)
            self.run.define_metric("step", hidden=True)
            for family in FAMILIES:
                self.run.define_metric(f"{family}/*", step_metric="epoch")
        except BaseException:
            self.abandon()
            raise

    def log(self, row: Mapping[str, Any]) -> None:
        """Log a row of figures."""
        self.last = row
        if row["epoch"]:
            self.history.append(row)
        self._log(curves(row), row["step"])

    def summarize(self, result: Mapping[str, Any], profiles: list[pd.DataFrame]) -> None:
        """Log what was measured of the chosen weights, with a picture; write the summary, with the profile's table."""
        metrics = result["metrics"]
        stages = {stage: under(f"gradient/{stage}/", metrics) for stage in STAGES}
        end = {f"gradient/{name}": value for name, value in stages["end"].items()}
        row: dict[str, Any] = {"epoch": self.last["epoch"], **curves(end)}
        profile = pd.concat(profiles, ignore_index=True) if profiles else None
        if profile is not None:
            from gradreach.drawing import as_image, draw_run_profile

            picture = wandb.Image(as_image(draw_run_profile(profile)))
            _give_file(self.run, "gradient/profile", picture, self.last["step"] + 1)
            row["gradient/profile"] = picture
        self._log(row, self.last["step"] + 1)
        facts = {key: result[key] for key in FACTS if result.get(key) is not None}
        if "steps_per_second" in result:
            facts["time/steps_per_second"] = result["steps_per_second"]
        chosen = {key: value for key, value in metrics.items() if not key.startswith("gradient/")}
        measured = {f"gradient/{stage}": figures for stage, figures in stages.items() if figures}
        self.run.summary.update({**chosen, **facts, **measured})
        if profile is not None:
            if len(profile) > wandb.Table.MAX_ARTIFACT_ROWS:
                profile = profile[profile["stage"].isin(STAGES)]
            tell_table(self.run, "gradient/by_lag", profile)

    def close(self, exit_code: int) -> None:
        """End the run; its file of all epochs goes with it."""
        if self.history:
            file = Path(self.run.settings.files_dir) / HISTORY
            file.write_text(as_csv(self.history), "utf-8")
            self.run.save(file, base_path=file.parent, policy="end", glob=False)
        end(self.run, exit_code)

    def abandon(self) -> None:
        """Let go of a run that has failed, and of wandb's own process, which the next run starts anew."""
        with suppress(Exception):
            self.run.finish(1)
        with suppress(Exception):
            wandb.teardown(1)
        wandb.run = None

    def _log(self, row: Mapping[str, Any], step: int) -> None:
        if step >= self.run.starting_step:
            self.run.log(dict(row), step=step)


def tell_table(run: "wandb.Run", name: str, frame: pd.DataFrame) -> None:
    """Put a table into a run's summary, its cells as they are.

    It is a file of the run and no artifact: for one of these wandb waits for its server, and leaves a copy here.
    """
    wandb.Table.MAX_ROWS = wandb.Table.MAX_ARTIFACT_ROWS  # of a longer one it would drop the end without a word
    table = wandb.Table(columns=[*map(str, frame)], allow_mixed_types=True)
    table.data = frame.to_numpy(dtype=object).tolist()  # given at once, wandb would look at every cell's type
    _give_file(run, name, table, "summary")
    run.summary[name] = table


def _give_file(run: "wandb.Run", name: str, media: Any, when: int | str) -> None:
    """Put a picture or a table right below a run's ``media``: wandb would make a folder for each part of its name."""
    media.get_media_subdir = lambda: "media"
    media.bind_to_run(run, name.rpartition("/")[2], when)


def curves(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a row of figures is a curve in W&B, where gates are a family of their own.

    Of the gradient by lag these are reach and half-life; of a gate the share that is saturated, closed or open, and of
    the one that weighs the old state the mean. The finer figures are in the summary and in the file of all epochs.
    """
    shown: dict[str, Any] = {}
    for key, value in row.items():
        name, dot, figure = key.replace("gradient/gate_", "gates/", 1).rpartition(".")
        if not dot or figure in ("reach", "half_life", "mean"):
            shown[f"{name}{dot}{figure}"] = value
        elif figure == "closed" and not name.startswith("gates/notes"):  # which is no gate
            shown[f"{name}.saturated"] = value + row[f"{key.removesuffix(figure)}open"]
    return shown


def under(prefix: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures whose names begin so, without that beginning."""
    return {key.removeprefix(prefix): value for key, value in metrics.items() if key.startswith(prefix)}


def configuration(run: RunConfig, environment: RunEnvironment, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that W&B is to know of a run before it starts: what it is, what it is grouped by, where it is done."""
    kernel_size = run.model.arguments().get("kernel_size")
    return {
        **run.canonical(),
        "run_id": run.run_id,
        "experiment": environment.experiment,
        "architecture": run.model.name + ("" if kernel_size is None else f" k={kernel_size}"),
        "seq_len": run.task.arguments().get("seq_len"),
        "device": environment.device,
        "threads": environment.threads,
        **{key: record.get(key) for key in ("revision", "code", "versions", "host")},
    }
