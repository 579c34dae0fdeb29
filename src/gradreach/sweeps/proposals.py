"""What Optuna proposes, and the study that stores it."""

import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradreach.errors import DISK, first_line, report
from gradreach.run_state import sign
from gradreach.sweeps.space import Space, Value

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


class Proposals:
    """The sampler (TPE, Bergstra et al. 2011) and its memory: from the same it proposes the same.

    A proposal depends on the seed, its number and what has been told before, on nothing that a process keeps: what goes
    on proposes as if it had never stopped. The study in the file shows what was told; of one that goes on only the
    proposals are read, so that they stand whatever has become of a failed run, or of Optuna, since. What runs came to
    is told again, from their records.

    - ``space``: what is varied.
    - ``metric``: which validation score is told; its name says which end of it is good.
    - ``seed``, ``startup``: of the sampler; how many proposals are drawn at random before it learns.
    - ``path``: of the study; a journal of Optuna, which ``optuna-dashboard`` opens.
    - ``name``: of this search among those in the file.
    """

    def __init__(self, space: Space, metric: str, seed: int, startup: int, path: Path, name: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.metric, self.seed, self.startup = space, metric, seed, startup
        self.distributions = {key: parameter.distribution() for key, parameter in space.parameters.items()}
        direction = "maximize" if sign(metric) > 0 else "minimize"
        storage, studies = opened(path)
        self.known: list[dict[str, Value]] = []
        if name in studies:
            trials = studies[name]
            self.known = [trial.params for trial in trials if trial.distributions == self.distributions]
            optuna.delete_study(study_name=name, storage=storage)
        elif studies:
            report(f"note: the space or the settings differ from the search in {path}: a new search starts beside it")
        self.shown = optuna.create_study(study_name=name, storage=storage, direction=direction)
        self.shown.set_user_attr("metric", f"val/{metric}")
        self.told = optuna.create_study(direction=direction)
        self.asked: dict[int, Any] = {}

    def ask(self) -> tuple[int, dict[str, Value]]:
        """Return the next proposal: its number, from 0, and its values by key."""
        number = len(self.told.trials)
        if number < len(self.known):
            self.told.enqueue_trial(self.known[number])
        self.told.sampler = self._sampler(number)
        trial = self.told.ask(self.distributions)
        self.asked[number] = trial
        return number, dict(trial.params)

    def _sampler(self, number: int) -> Any:
        from optuna.samplers import TPESampler

        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        with warnings.catch_warnings(action="ignore"):  # some versions call these settings experimental
            return TPESampler(n_startup_trials=self.startup, seed=seed, multivariate=True, constant_liar=True)

    def tell(self, number: int, state: str, score: float | None, scores: Mapping[int, float], **facts: str) -> None:
        """Report the result of a proposal to the sampler.

        Args:
            number: of the proposal.
            state: ``finished``; ``pruned``, ``diverged`` or ``refused``: the sampler keeps away from there; or
                ``failed``, which says nothing of the values.
            score: of a finished run.
            scores: of its epochs.
            facts: stored with it.
        """
        from optuna.trial import TrialState

        trial = self.asked.pop(number)
        for epoch, value in scores.items() if state in ("finished", "pruned") else ():
            trial.report(value, epoch)
        for name, fact in {"state": state, **facts}.items():
            trial.set_user_attr(name, fact)
        states = {"finished": TrialState.COMPLETE, "failed": TrialState.FAIL}
        self.told.tell(trial, score, states.get(state, TrialState.PRUNED))
        self.shown.add_trial(self.told.trials[number])


def opened(path: Path) -> "tuple[BaseStorage, dict[str, Any]]":
    """Open a file of studies, and return it with the trials of each by name; what cannot be read is put aside.

    Nobody else may write to it meanwhile: a lock that stands beside it is taken for that of a killed process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(f"{path}.lock")
    try:
        if os.path.lexists(path) and not path.is_file():
            raise ValueError("is not a file")
        return _read(path)
    except Exception as error:  # a file that was changed raises anything
        if isinstance(error, OSError) and error.errno in DISK:
            raise
        place = next(
            place for n in count(1) if not os.path.lexists(place := path.with_name(f"{path.name}.damaged.{n}"))
        )
        path.rename(place)
        report(f"{path}: cannot be read ({first_line(error)}); moved to {place}; the search starts from the beginning")
        return _read(path)


def _read(path: Path) -> "tuple[BaseStorage, dict[str, Any]]":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if path.exists() and not (path.read_bytes() or b"\n").endswith(b"\n"):
        raise ValueError("its last line is incomplete")
    storage = JournalStorage(JournalFileBackend(str(path)))
    names = optuna.get_all_study_names(storage)
    return storage, {name: optuna.load_study(study_name=name, storage=storage).trials for name in names}
