"""Weights & Biases: one W&B run for each of ours, with the same id."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import wandb

from gradreach.config import TrackingSettings
from gradreach.records import as_csv
from gradreach.run_table.lengths import AT_LENGTH, of_run
from gradreach.tracking.environment import below_agent
from gradreach.tracking.session import begin, end
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
FIRST = {"val/accuracy": "accuracy", "val/mse": "error"}
"""The validation score, also by a name that comes before all others: ``wandb leet`` orders charts by name."""
NAME, TAG = 128, 64
"""How many characters W&B takes: of a run's name and its group's, of a tag."""
BY_LENGTH = "test/by_length"
"""What was tested at the test lengths; ``_table`` and ``_picture`` of it show reach beside it."""
STAGES = ("start", "end")
"""What was measured of the gradient before training, and of the chosen weights: ``gradient/<stage>`` of the summary."""


class WandbRun:
    """A W&B run, open until it is closed.

    A run that goes on from a checkpoint tells its epochs from the first again. Online, what the server has already is
    not said twice; offline, the newest file of a run is whole, and ``gradreach sync`` sends no other.

    - ``record``: what is known of the run when it begins; ``wandb_id`` in it is W&B's id where that is another.
    - ``tracking``: where it is sent, and what it is called there.
    - ``results_dir``: W&B's files go below.
    - ``more``: of its configuration, what no record has: device, threads.

    Raises:
        RuntimeError: another W&B run is still open in this process.
    """

    def __init__(
        self,
        record: Mapping[str, Any],
        tracking: TrackingSettings,
        results_dir: Path,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.last: Mapping[str, Any] = {}
        self.history: list[Mapping[str, Any]] = []
        config, label, run_id = record["config"], str(record["label"]), str(record["run_id"])
        wandb_id = str(record.get("wandb_id", run_id))
        if below_agent():
            wandb_id = os.environ["WANDB_RUN_ID"]
            os.environ.pop("WANDB_SWEEP_PARAM_PATH", None)  # its flat `model` would displace our `model.*`
        tags = [record.get("experiment"), config["task"]["name"], config["model"]["name"], *tracking.tags]
        self.run = begin(
            tracking,
            results_dir,
            id=wandb_id,
            name=tracking.name or shortened(label, f" · seed {config['seed']}"),
            group=tracking.group or shortened(label, f" · {record['group_id'][:6]}"),
            job_type=tracking.job_type or "train",
            notes=tracking.notes,
            tags=list(dict.fromkeys(shortened(tag, most=TAG) for tag in tags if tag)),
            config=configuration(record) | dict(more or {}),
        )
        self.url = None if self.run.offline else self.run.url
        try:
            if wandb_id != run_id:
                run_id_note(Path(self.run.settings.sync_file)).write_text(run_id, "utf-8")
            self.run.define_metric("epoch", hidden=True)
            for name in (*(f"{family}/*" for family in FAMILIES), *FIRST.values()):
                self.run.define_metric(name, step_metric="epoch")
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
        """Log what was measured of the chosen weights, with a picture; write the summary, with the profile's table.

        It is logged last, and stands at the epoch after which those weights were the model's.
        """
        metrics = result["metrics"]
        stages = {stage: under(f"gradient/{stage}/", metrics) for stage in STAGES}
        end = {f"gradient/{name}": value for name, value in stages["end"].items()}
        chosen = next((row for row in self.history if row["epoch"] == result.get("best_epoch")), self.last)
        row: dict[str, Any] = {"epoch": chosen["epoch"], **curves(end)}
        profile = pd.concat(profiles, ignore_index=True) if profiles else None
        if profile is not None:
            from gradreach.drawing import as_image, draw_run_profile

            drawn = profile[profile["quantity"] != "y"]  # one panel per layer would take longer than a short training
            picture = wandb.Image(as_image(draw_run_profile(drawn)))
            _give_file(self.run, "gradient/profile", picture, self.last["step"] + 1)
            row["gradient/profile"] = picture
        by_length = of_run(metrics)
        if len(by_length):
            from gradreach.drawing import as_image, draw_by_length

            picture = wandb.Image(as_image(draw_by_length(by_length)))
            _give_file(self.run, f"{BY_LENGTH}_picture", picture, self.last["step"] + 1)
            row[f"{BY_LENGTH}_picture"] = picture
        self._log(row, self.last["step"] + 1)
        facts = {key: result[key] for key in FACTS if result.get(key) is not None}
        if "steps_per_second" in result:
            facts["time/steps_per_second"] = result["steps_per_second"]
        scores = {key: value for key, value in metrics.items() if not key.startswith("gradient/")}
        measured = {f"gradient/{stage}": figures for stage, figures in stages.items() if figures}
        at_length = {key: scores.pop(key) for key in [*scores] if AT_LENGTH.fullmatch(key)}
        if at_length:
            measured[BY_LENGTH] = under("test/", at_length)
        scores |= {first: scores[name] for name, first in FIRST.items() if name in scores}
        over = {"epoch": self.last["epoch"], "step": self.last["step"]}  # of the last row they were those of the chosen
        self.run.summary.update({**over, **scores, **facts, **measured})
        if profile is not None:
            if len(profile) > wandb.Table.MAX_ARTIFACT_ROWS:
                profile = profile[profile["stage"].isin(STAGES)]
            tell_table(self.run, "gradient/by_lag", profile)
        if len(by_length):
            tell_table(self.run, f"{BY_LENGTH}_table", by_length)

    def close(self, exit_code: int) -> None:
        """End the run; its file of all epochs goes with it."""
        if self.history:
            file = Path(self.run.settings.files_dir) / HISTORY
            file.write_text(as_csv(self.history), "utf-8")
            self.run.save(file, base_path=file.parent, policy="end", glob=False)
        end(self.run, exit_code)

    def abandon(self) -> None:
        """Let go of a run that has failed, and of wandb's own process, which the next run starts again."""
        with suppress(Exception):
            self.run.finish(1)
        with suppress(Exception):
            wandb.teardown(1)
        wandb.run = None

    def _log(self, row: Mapping[str, Any], step: int) -> None:
        if step >= self.run.starting_step:
            self.run.log(dict(row), step=step, commit=True)  # now: else it would come after the summary, and into it


def tell_table(run: "wandb.Run", name: str, frame: pd.DataFrame) -> None:
    """Put a table into a run's summary, its cells as they are.

    It is a file of the run and no artifact: for one of these wandb waits for its server, and leaves a copy here.
    """
    wandb.Table.MAX_ROWS = wandb.Table.MAX_ARTIFACT_ROWS  # it would silently drop the end of a longer one
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
    shown: dict[str, Any] = {first: row[name] for name, first in FIRST.items() if name in row}
    for key, value in row.items():
        if key == "step":  # is W&B's own
            continue
        name, dot, figure = key.replace("gradient/gate_", "gates/", 1).rpartition(".")
        if not dot or figure in ("reach", "half_life", "mean"):
            shown[f"{name}{dot}{figure}"] = value
        elif figure == "closed" and not name.startswith("gates/notes"):  # which is not a gate
            shown[f"{name}.saturated"] = value + row[f"{key.removesuffix(figure)}open"]
    return shown


def under(prefix: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures whose names begin so, without that beginning."""
    return {key.removeprefix(prefix): value for key, value in metrics.items() if key.startswith(prefix)}


def configuration(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what W&B is to know of a run before it starts: what it is, what it is grouped by, where it is done."""
    config = record["config"]
    kernel_size = config["model"].get("kernel_size")
    return {
        **config,
        "run_id": record["run_id"],
        "experiment": record.get("experiment"),
        "architecture": config["model"]["name"] + ("" if kernel_size is None else f" k={kernel_size}"),
        "seq_len": config["task"].get("seq_len"),
        **{key: record.get(key) for key in ("revision", "code", "versions", "host")},
    }


def shortened(text: str, end: str = "", most: int = NAME) -> str:
    """Return a text and its end, the text cut where both are longer than W&B takes.

    >>> shortened("lstm on a long task", " · seed 3", most=20)
    'lstm on a … · seed 3'
    """
    room = most - len(end)
    return (text if len(text) <= room else text[: room - 1] + "…") + end
