"""A search: proposals are run, and their scores inform the next. No test figure is read or shown."""

import csv
import hashlib
import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

import filelock
from omegaconf import DictConfig
from pydantic import Field, NonNegativeInt, PositiveInt

from gradreach.assemble import check
from gradreach.config import checked
from gradreach.config.components import Settings
from gradreach.config.settings import Seed
from gradreach.display import counted, make_console
from gradreach.errors import ConfigError, value_text
from gradreach.records import SETTLED, RecordStore
from gradreach.rounding import score_text
from gradreach.run_state import fell_behind, sign
from gradreach.sweeps.plan import Job, check_devices, plan
from gradreach.sweeps.proposals import Proposals
from gradreach.sweeps.space import Space, Value
from gradreach.sweeps.sweep import STOPPED, do_all, is_done, stopping
from gradreach.sweeps.trials import Trial, write_trials
from gradreach.system.interruption import exit_code
from gradreach.system.worker import become_driver
from gradreach.tracking import mode_now

Compose = Callable[[Sequence[str]], DictConfig]
Launch = Callable[[Sequence[Sequence[str]]], Any]
SPARED = 0.25
"""The first share of epochs, in which no run is pruned: a slow start may lead to the best end."""


class SearchSettings(Settings):
    """Settings of a search.

    - ``n_trials``: how many runs are proposed.
    - ``n_jobs``: how many are proposed, and run, at a time.
    - ``startup_trials``: how many are drawn at random before the sampler learns from them.
    - ``seed``: of the sampler.
    - ``prune``: ``median`` leaves a run whose best validation score after an epoch is worse than the median of finished
      runs after that epoch, once ``startup_trials`` have finished.
    - ``folder``: of ``trials.csv``, and of ``study.journal`` for ``optuna-dashboard``.
    """

    n_trials: PositiveInt
    n_jobs: PositiveInt
    startup_trials: NonNegativeInt
    seed: Seed
    prune: Literal["none", "median"] = "none"
    folder: Annotated[str, Field(min_length=1)]

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> "SearchSettings":
        """Check values that Hydra composed.

        Raises:
            ConfigError: one of them is invalid.
        """
        return checked(cls, values, "hydra.sweeper")


def search(space: Space, settings: SearchSettings, compose: Compose, launch: Launch, here: bool = False) -> None:
    """Search, show the progress, and exit with code 1 if a run has failed or none has finished.

    It stops and resumes as a sweep does: with exit code 128 and the signal, and by the same command.

    Args:
        space: what is searched.
        settings: how.
        compose: makes a configuration of overrides.
        launch: starts runs, by their overrides, and returns when the last has ended.
        here: whether it does on this machine, which then must have their device.

    Raises:
        ConfigError: a setting cannot be, and nothing has been started or written; or another search is running there.
    """
    going = Search(space, settings, compose, launch, here)
    folder = Path(settings.folder)
    place = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]
    driver, run_ids = become_driver(), list[str]()
    try:
        with going.store.claim(f"search-{place}", timeout=0), stopping(going.store, run_ids, driver, here):
            going.go(folder, run_ids)
    except filelock.Timeout:
        hint = "wait until it ends, or give another folder"
        raise ConfigError("hydra.sweeper.folder", folder, "another search is running there", hint) from None
    except KeyboardInterrupt as asked:
        going.stop(folder)
        sys.exit(exit_code(asked))
    if going.summarize(folder):
        sys.exit(1)


class Search:
    """One search under way; its arguments are those of ``search``."""

    def __init__(
        self, space: Space, settings: SearchSettings, compose: Compose, launch: Launch, here: bool = False
    ) -> None:
        self.space, self.settings, self.compose, self.launch = space, settings, compose, launch
        outermost = plan([space.overrides(values) for values in space.ends()], compose)
        if here:
            check_devices(outermost)
        self.metric, self.environment = _metric(outermost), outermost[0].environment
        self.name = self._identity(outermost[0])
        self.store = RecordStore(self.environment.results_dir / "runs")
        self.store.check_writable()
        mode_now(self.environment.tracking)
        self.console = make_console()
        self.trials: list[Trial] = []
        self.bounds: list[float | None] = []
        self.done: set[str] = set()

    def _identity(self, first: Job) -> str:
        """Return the name that searches share which propose the same: how far and how wide they go is left out."""
        own = self.settings.model_dump(include={"startup_trials", "seed", "prune"})
        space = {key: repr(parameter) for key, parameter in self.space.parameters.items()}
        text = json.dumps([own, space, first.run.canonical()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def go(self, folder: Path, run_ids: list[str]) -> None:
        """Propose, run and learn until there are as many trials as there shall be.

        Args:
            folder: where the study and the trials are written.
            run_ids: is made to hold what is being run.
        """
        count, at_a_time = self.settings.n_trials, self.settings.n_jobs
        sampler = (self.settings.seed, self.settings.startup_trials)
        proposals = Proposals(self.space, self.metric, *sampler, folder / "study.journal", self.name)
        over = ", ".join(self.space.parameters)
        self._say(f"search: {counted(count)} over {over}, judged by validation {self.metric}")
        for first in range(0, count, at_a_time):
            self.bounds = self._bounds()
            batch = [self._proposed(*proposals.ask()) for _ in range(min(at_a_time, count - first))]
            self.trials += batch
            jobs = {trial.job.run_id: trial.job for trial in batch if trial.job is not None}
            run_ids[:] = jobs
            write_trials(folder, self.trials, self.metric)
            unrecorded = do_all(self._left(jobs), self.store, self.launch, self._say, self._is_over)
            self.done |= set(jobs)
            for trial in batch:
                self._judge(trial, unrecorded)
                proposals.tell(trial.number, trial.state, trial.score, trial.scores, run=trial.run_id)
                self._show(trial)
            write_trials(folder, self.trials, self.metric)

    def _proposed(self, number: int, values: dict[str, Value]) -> Trial:
        prune = [f"+prune={value_text(self.bounds)}"] if self.bounds else []
        try:
            (job,) = plan([[*self.space.overrides(values), *prune]], self.compose)
        except ConfigError as error:
            return Trial(number, values, state="refused", reason=str(error))
        return Trial(number, values, job)

    def _left(self, jobs: Mapping[str, Job]) -> list[Job]:
        """Return what is to be run, the longest first: not what has been, unless it is forced, and then once."""
        forced = set(jobs) - self.done if self.environment.force else set()
        left = [job for run_id, job in jobs.items() if run_id in forced or not self._is_done(job)]
        return sorted(left, key=lambda job: -job.cost)

    def _is_done(self, job: Job) -> bool:
        return is_done(self.store, job, {}) or self._is_behind(job.run_id)

    def _is_over(self, run_id: str) -> bool:
        return self.store.status(run_id) in (*SETTLED, "failed") or self._is_behind(run_id)

    def _is_behind(self, run_id: str) -> bool:
        """Return whether a run was left, and would be again. It is not finished: without bounds it goes on."""
        behind = fell_behind(self._scores(run_id), self.bounds, self.metric)
        return self.store.status(run_id) == "interrupted" and behind is not None

    def _scores(self, run_id: str) -> dict[int, float]:
        """Return the validation scores of a run's epochs."""
        key = f"val/{self.metric}"
        rows = csv.DictReader(io.StringIO(self.store.read_history(run_id)))
        return {int(row["epoch"]): float(row[key]) for row in rows if row.get(key)}

    def _bounds(self) -> list[float | None]:
        """Return the median validation score of finished runs after each epoch, as Optuna's median pruner takes it."""
        known = [trial.scores for trial in self.trials if trial.state == "finished" and trial.scores]
        if self.settings.prune == "none" or len(known) < max(self.settings.startup_trials, 1):
            return []
        epochs = max(max(scores) for scores in known)
        medians = {epoch: [s[epoch] for s in known if epoch in s] for epoch in range(1, epochs + 1)}
        spared = SPARED * epochs
        return [self._bound(scores) if scores and epoch > spared else None for epoch, scores in medians.items()]

    def _bound(self, scores: Sequence[float]) -> float:
        """Return their median, a hair worse: as a setting it has 12 digits, and must not come out the better."""
        middle = median(scores)
        return float(f"{middle - sign(self.metric) * abs(middle) * 1e-9:.12g}")

    def _judge(self, trial: Trial, unrecorded: Mapping[str, str] | None = None) -> None:
        """Read the result of a trial; None if it may still be running."""
        if trial.job is None:
            return
        record = self.store.read(trial.run_id) or {}
        status = self.store.status_of(record) if record else "waiting"
        trial.scores = self._scores(trial.run_id)
        score = record.get("metrics", {}).get(f"val/{self.metric}") if status == "finished" else None
        behind = fell_behind(trial.scores, self.bounds, self.metric)
        if score is not None and math.isfinite(float(score)):  # a record has "nan" as a text
            trial.state, trial.score = "finished", float(score)
        elif status in SETTLED:
            trial.state, trial.reason = "diverged", record.get("error") or f"val/{self.metric} is not a number"
        elif status == "interrupted" and behind is not None:
            best = (min if sign(self.metric) < 0 else max)(s for epoch, s in trial.scores.items() if epoch <= behind)
            trial.state = "pruned"
            trial.reason = f"validation {self.metric} {score_text(self.metric, best)} after epoch {behind}"
        elif status == "failed" or unrecorded is not None:
            trial.state = "failed"
            trial.reason = (unrecorded or {}).get(trial.run_id) or record.get("error") or f"its record says {status}"
        else:
            trial.state = status
        trial.reason = trial.reason.strip().partition("\n")[0]

    def _show(self, trial: Trial) -> None:
        width = len(str(self.settings.n_trials))
        said = f"{trial.state}: {trial.reason}"
        if trial.score is not None:
            said = f"validation {self.metric} {score_text(self.metric, trial.score):>6}"
        same = next((each for each in self.trials if trial.run_id and each.run_id == trial.run_id), trial)
        again = "" if same is trial else f"   the same run as {same.number + 1}"
        self._say(f"[{trial.number + 1:>{width}}/{self.settings.n_trials}] {said}   {trial}{again}")

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def stop(self, folder: Path) -> None:
        """Print that the search was stopped, and save its state."""
        for trial in self.trials:
            if trial.state == "waiting":
                self._judge(trial)
        if self.trials:
            write_trials(folder, self.trials, self.metric)
        self._say(STOPPED)

    def summarize(self, folder: Path) -> bool:
        """Print the best trial; return whether a run has failed or none has finished."""
        states = Counter(trial.state for trial in self.trials)
        finished = [trial for trial in self.trials if trial.score is not None]
        if set(states) != {"finished"}:
            self._say(f"{len(self.trials)} trials: {', '.join(f'{states[s]} {s}' for s in sorted(states))}")
        if finished:
            best = max(finished, key=lambda trial: sign(self.metric) * (trial.score or 0.0))
            score = score_text(self.metric, best.score)
            self._say(f"best of {len(self.trials)}: validation {self.metric} {score}   {best}")
        else:
            self._say("no trial has finished; see their records for the reasons")
        self._say(f"  all trials: {folder / 'trials.csv'}")
        if states["failed"]:
            self._say("  re-run the same command to retry what failed")
        return bool(states["failed"]) or not finished


def _metric(jobs: Sequence[Job]) -> str:
    """Return the metric by which all runs are scored.

    Raises:
        ConfigError: they have different metrics, or are pruned by something else.
    """
    tasks = {json.dumps(job.run.canonical()["task"], sort_keys=True): job for job in jobs}
    metrics = {check(job.run, job.environment)[0].metric: job.run.task.name for job in tasks.values()}
    if len(metrics) > 1:
        scored = " and ".join(f"task={task} by {metric}" for metric, task in metrics.items())
        raise ConfigError("task", ",".join(metrics.values()), f"cannot be compared: {scored}", "give only one of them")
    if (bounds := jobs[0].environment.prune) is not None:
        raise ConfigError("prune", bounds, "is set by the search", "give hydra.sweeper.prune=median")
    return next(iter(metrics))
