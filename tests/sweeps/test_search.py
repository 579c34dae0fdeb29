"""What a search proposes, learns, shows and keeps, with a launcher that only writes records."""

import csv
import io
import math
import os
import signal

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException

from gradreach.compose import Composer
from gradreach.errors import ConfigError, explain
from gradreach.launchers.clusters import as_return
from gradreach.launchers.slurm import Cancelled
from gradreach.records import RecordStore
from gradreach.run_state import fell_behind
from gradreach.sweeps.plan import plan
from gradreach.sweeps.search import SearchSettings, search
from gradreach.sweeps.space import read_space
from gradreach.sweeps.sweep import STOPPED
from gradreach.system.worker import DRIVER
from project import PROJECT

optuna = pytest.importorskip("optuna", minversion="4.9", reason="needs the extra gradreach[optuna]")
pytestmark = pytest.mark.filterwarnings("error")

SPACE = {"optimizer.lr": "tag(log, interval(0.001, 1))", "model.width": "range(4, 33, 4)"}
SETTINGS = {"n_trials": 10, "n_jobs": 3, "startup_trials": 3, "seed": 0}


@pytest.fixture(autouse=True)
def no_search_outlives_its_test(monkeypatch):
    monkeypatch.setenv(DRIVER, "none")


class Searched:
    """A search in a folder, over runs that are not trained: their score follows from their learning rate."""

    def __init__(self, folder, composer, options):
        self.folder, self.composer, self.options = folder, composer, options
        self.store = RecordStore(folder / "results" / "runs")
        self.launched = []

    def compose(self, overrides):
        here = ["tracking=off", f"results_dir={self.folder / 'results'}", *self.options]
        return self.composer.compose([*here, *overrides])

    def outcome(self, job):
        """Return what a run comes to: status, and the validation scores of its epochs."""
        best = 1 - abs(math.log10(job.run.optimizer.lr) + 1.5) / 3
        return "finished", [best * epoch / 4 for epoch in (1, 2, 3, 4)]

    def launch(self, lines):
        for line in lines:
            (job,) = plan([line], self.compose)
            self.launched.append(job.run.run_id)
            self.store.write(self.record(job, "running"))
            status, scores = self.outcome(job)
            behind = fell_behind(dict(enumerate(scores[:-1], 1)), job.environment.prune or [], "accuracy")
            if behind is not None:
                status, scores = "interrupted", scores[:behind]
            metric = job.run.task.make().metric
            rows = [{"epoch": epoch, f"val/{metric}": score} for epoch, score in enumerate(scores, 1)]
            metrics = {f"val/{metric}": scores[-1], f"test/{metric}": 77.0} if status == "finished" else {}
            more = {} if status == "finished" else {"error": f"{status}, alas\nat length"}
            self.store.write(self.record(job, status, metrics=metrics, **more), rows)
        return []

    def record(self, job, status, **more):
        host = {"name": "elsewhere", "process": 1}
        config = job.run.canonical()
        return {"run_id": job.run.run_id, "config": config, "label": "", "status": status, "host": host, **more}

    def search(self, params=SPACE, arguments=(), **settings):
        folder = str(self.folder / "results" / "searches" / "training")
        given = SearchSettings.checked({**SETTINGS, "folder": folder, **settings})
        search(read_space(params, arguments), given, self.compose, self.launch)
        return self.trials()

    def trials(self):
        text = (self.folder / "results" / "searches" / "training" / "trials.csv").read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text)))

    @property
    def journal(self):
        return self.folder / "results" / "searches" / "training" / "study.journal"

    def studies(self):
        backend = optuna.storages.journal.JournalFileBackend(str(self.journal))
        storage = optuna.storages.JournalStorage(backend)
        names = optuna.get_all_study_names(storage)
        return [optuna.load_study(study_name=name, storage=storage) for name in names]


@pytest.fixture(scope="module")
def composer():
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        master = compose("config", return_hydra_config=True)
        yield Composer(GlobalHydra.instance().config_loader(), master)


@pytest.fixture
def searched(tmp_path, composer):
    return lambda name="a", *options: Searched(tmp_path / name, composer, options)


def values(trials):
    return [(trial["optimizer.lr"], trial["model.width"]) for trial in trials]


def test_the_best_is_the_highest_accuracy(searched, capsys):
    trials = searched().search()
    best = max(float(trial["val/accuracy"]) for trial in trials)
    said = capsys.readouterr().out
    assert "search: 10 runs over optimizer.lr, model.width, judged by validation accuracy\n" in said
    assert f"best of 10: validation accuracy {best:.1%}   optimizer.lr=" in said
    assert "77" not in said  # what the test split says
    assert "test" not in trials[0]


def test_of_a_regression_the_best_is_the_least_error_and_is_called_so(searched, capsys):
    here = searched("a", "task=adding")
    trials = here.search()
    least = min(float(trial["val/mse"]) for trial in trials)
    said = capsys.readouterr().out
    assert "judged by validation mse\n" in said
    assert f"best of 10: validation mse {least:.3g}   optimizer.lr=" in said
    assert "accuracy" not in said
    assert "%" not in said
    (study,) = here.studies()
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.best_value == least


def test_the_study_can_be_loaded_by_optuna_with_all_trials(searched):
    here = searched()
    trials = here.search()
    (study,) = here.studies()
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.user_attrs == {"metric": "val/accuracy"}
    assert [trial.value for trial in study.trials] == [float(trial["val/accuracy"]) for trial in trials]
    assert [trial.user_attrs["run"] for trial in study.trials] == [trial["run"] for trial in trials]
    assert [sorted(trial.intermediate_values) for trial in study.trials] == [[1, 2, 3, 4]] * 10


def test_a_search_learns(searched):
    trials = searched().search(n_trials=24, n_jobs=2)
    scores = [float(trial["val/accuracy"]) for trial in trials]
    assert sum(scores[-8:]) > sum(scores[:8])


def test_the_same_line_proposes_the_same_and_does_nothing_again(searched, capsys):
    here = searched()
    first, said = here.search(), capsys.readouterr().out
    launched = list(here.launched)
    assert here.search() == first
    assert capsys.readouterr().out == said
    assert here.launched == launched
    elsewhere = searched("b")
    assert [trial["run"] for trial in elsewhere.search()] == [trial["run"] for trial in first]
    assert values(searched("c").search(seed=1)) != values(first)


@pytest.mark.parametrize("after", [0, 1, 4, 8])
@pytest.mark.parametrize("keeps", ["the study", "records alone"])
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not(searched, capsys, monkeypatch, after, keeps):
    whole = searched("whole").search()
    here, launch = searched("stopped"), Searched.launch
    run = Searched.outcome

    def outcome(self, job):
        if len(self.launched) > after:
            os.kill(os.getpid(), signal.SIGINT)
        return run(self, job)

    monkeypatch.setattr(Searched, "outcome", outcome)
    with pytest.raises(SystemExit) as left:
        here.search()
    said = capsys.readouterr()
    assert left.value.code == 130
    assert said.out.endswith("stopped: finished runs are kept; re-run the same command to resume\n")
    states = {trial["state"] for trial in here.trials()}
    assert "interrupted" in states
    assert states <= {"finished", "interrupted", "waiting"}
    assert here.trials() != []
    monkeypatch.setattr(Searched, "outcome", run)
    if keeps == "records alone":
        here.journal.unlink()
    assert here.search() == whole
    assert len(here.launched) == len(set(here.launched)) + 1  # what was interrupted
    assert launch is Searched.launch


def test_a_search_may_be_made_longer_and_do_more_at_a_time(searched):
    here = searched()
    short = here.search(n_trials=6, n_jobs=3)
    longer = here.search(n_trials=9, n_jobs=2)
    assert longer[:6] == short
    assert len(here.studies()) == 1
    assert here.search(n_trials=6, n_jobs=3) == short


def test_what_fails_diverges_or_cannot_be_stands_in_the_table_with_its_reason(searched, monkeypatch, capsys):
    run = Searched.outcome

    def outcome(self, job):
        width = job.run.model.arguments()["width"]
        return ("failed", []) if width > 24 else ("diverged", []) if width > 16 else run(self, job)

    monkeypatch.setattr(Searched, "outcome", outcome)
    here = searched()
    with pytest.raises(SystemExit) as left:
        here.search(n_trials=12)
    assert left.value.code == 1
    trials = here.trials()
    for trial in trials:
        width = int(trial["model.width"])
        state = "failed" if width > 24 else "diverged" if width > 16 else "finished"
        assert trial["state"] == state
        assert (trial["reason"], trial["val/accuracy"] == "") == (
            ("", False) if width <= 16 else (f"{state}, alas", True)
        )
    assert {trial["state"] for trial in trials} == {"failed", "diverged", "finished"}
    said = capsys.readouterr().out
    assert "re-run the same command to retry what failed" in said
    (study,) = here.studies()
    states = {"finished": "COMPLETE", "failed": "FAIL", "diverged": "PRUNED"}
    assert [trial.state.name for trial in study.trials] == [states[trial["state"]] for trial in trials]
    monkeypatch.setattr(Searched, "outcome", run)  # fixed: failed ones are done again, and proposals stand
    launched = len(here.launched)
    mended = here.search(n_trials=12)
    assert values(mended) == values(trials)
    failed = {trial["run"] for trial in trials if trial["state"] == "failed"}
    assert set(here.launched[launched:]) == failed
    assert {trial["state"] for trial in mended} == {"diverged", "finished"}


def test_where_nothing_finishes_the_table_is_not_empty_and_the_exit_code_tells(searched, monkeypatch, capsys):
    monkeypatch.setattr(Searched, "outcome", lambda self, job: ("diverged", []))
    here = searched()
    with pytest.raises(SystemExit) as left:
        here.search()
    assert left.value.code == 1
    assert [trial["state"] for trial in here.trials()] == ["diverged"] * 10
    assert "no trial has finished; see their records for the reasons" in capsys.readouterr().out


def test_a_score_that_is_no_number_is_no_best(searched, monkeypatch):
    monkeypatch.setattr(Searched, "outcome", lambda self, job: ("finished", [0.5, math.nan]))
    here = searched()
    with pytest.raises(SystemExit):
        here.search(n_trials=2)
    reason = "val/accuracy is not a number"
    assert {(trial["state"], trial["reason"]) for trial in here.trials()} == {("diverged", reason)}


def test_a_launcher_that_raises_is_a_failed_trial_with_the_reason(searched, monkeypatch, capsys):
    def launch(self, lines):
        failed = JobReturn()
        failed.status, failed.return_value = JobStatus.FAILED, RuntimeError("no such partition\nreally")
        return [failed] * len(lines)

    monkeypatch.setattr(Searched, "launch", launch)
    here = searched()
    with pytest.raises(SystemExit):
        here.search(n_trials=2)
    assert [trial["reason"] for trial in here.trials()] == ["RuntimeError: no such partition"] * 2
    assert "Traceback" not in capsys.readouterr().out


def test_what_is_proposed_twice_is_run_once(searched, capsys):
    here = searched()
    trials = here.search({"model.width": "choice(4, 8)"}, n_trials=8, n_jobs=4)
    assert len(trials) == 8
    assert len(here.launched) == len({trial["run"] for trial in trials}) <= 2
    assert "   the same run as 1\n" in capsys.readouterr().out
    forced = searched("b", "force=true")
    forced.search({"model.width": "choice(4, 8)"}, n_trials=8, n_jobs=4)
    assert len(forced.launched) == len(here.launched)


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ({"model.wdith": "choice(4, 8)"}, [], "model.wdith: there is no such setting; did you mean width"),
        ({"model.width": "interval(-4, 8)"}, [], "model.width=-4.0: must be greater than 0"),
        ({"model.width": "interval(4, 8)"}, [], "model.width=5.528: must be a valid integer"),
        ({"optimizer.lr": "choice(0.1, nan)"}, [], "optimizer.lr=nan: must be"),
        ({"threads": "choice(1, 2)"}, [], "threads=1,2: cannot be swept"),
        ({"task": "digits,adding"}, [], "task=digits,adding: cannot be compared: task=digits by accuracy and task=add"),
        ({"model.width": "choice(4, 8)"}, ["+prune=[0.5]"], r"prune=\[0.5\]: is set by the search"),
    ],
)
def test_a_space_that_cannot_be_is_refused_before_anything_is_started_or_written(
    searched, params, options, message, tmp_path
):
    here = searched("a", *options)
    with pytest.raises((ConfigError, HydraException)) as refused:
        here.search(params)
    error = explain(refused.value)
    assert isinstance(error, ConfigError)
    assert str(error).startswith(message.replace("\\", "")), str(error)
    assert here.launched == []
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("n_trials", "many", "must be a valid integer"),
        ("n_trials", 0, "must be greater than 0"),
        ("n_trials", True, "must be a number, not true or false"),
        ("n_jobs", -1, "must be greater than 0"),
        ("n_jobs", 1.5, "must be a valid integer"),
        ("startup_trials", None, "must be a valid integer"),
        ("startup_trials", -1, "must be greater than or equal to 0"),
        ("seed", [1], "must be a valid integer"),
        ("prune", "hyperband", "must be 'none' or 'median'"),
        ("folder", "", "must "),
        ("trials", 3, "there is no such setting"),
    ],
)
def test_settings_of_a_wrong_kind_are_refused_in_one_line(setting, value, message):
    with pytest.raises(ConfigError) as refused:
        SearchSettings.checked({**SETTINGS, "folder": "here", setting: value})
    assert str(refused.value).startswith(f"hydra.sweeper.{setting}")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_that_cannot_work_together_are_a_refused_trial_and_the_search_goes_on(searched):
    here = searched("a", "model=cnn")  # each kernel and each length is possible, and the largest with the shortest not
    space = {"seq_len": "choice(100, 64)", "kernel_size": "choice(3, 90)"}
    trials = here.search(space, n_trials=12)
    for trial in trials:
        impossible = (trial["seq_len"], trial["kernel_size"]) == ("64", "90")
        assert trial["state"] == ("refused" if impossible else "finished")
        assert ("larger than the input of 64 steps" in trial["reason"]) is impossible
        assert (trial["run"] == "") is impossible
    assert {trial["state"] for trial in trials} == {"refused", "finished"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"\x00\xff nonsense"),
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_text('{"op_code": 99}\n', encoding="utf-8"),
        lambda path: path.write_text("[]\n[]\n", encoding="utf-8"),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.symlink_to(path)),
    ],
    ids=["noise", "torn", "op", "lists", "folder", "pipe", "loop"],
)
def test_a_damaged_study_is_put_aside_with_a_line_and_nothing_is_lost(searched, capsys, damage):
    here = searched()
    first = here.search()
    launched = len(here.launched)
    damage(here.journal)
    capsys.readouterr()
    assert here.search() == first
    assert len(here.launched) == launched
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{here.journal}: cannot be read (" in said
    assert "moved to" in said
    assert [path.name for path in here.journal.parent.glob("*.damaged.*")] == ["study.journal.damaged.1"]
    assert len(here.studies()) == 1


def test_a_lock_that_a_killed_search_left_on_its_study_holds_nobody_up(searched):
    here = searched()
    first = here.search()
    os.symlink(here.journal, f"{here.journal}.lock")
    assert here.search() == first
    assert not os.path.lexists(f"{here.journal}.lock")


def test_another_space_or_seed_begins_beside_the_study_that_is_there(searched, capsys):
    here = searched()
    first = here.search()
    assert "a new search starts beside it" not in capsys.readouterr().err
    here.search(seed=1)
    assert capsys.readouterr().err.count("a new search starts beside it") == 1
    assert len(here.studies()) == 2
    assert here.search() == first
    assert capsys.readouterr().err == ""
    here.search(arguments=["model.layers=2"])
    assert len(here.studies()) == 3


def test_two_searches_do_not_write_one_study(searched, monkeypatch):
    here = searched()
    run = Searched.outcome

    def outcome(self, job):
        with pytest.raises(
            ConfigError, match="another search is running there; wait until it ends, or give another folder"
        ):
            here.search()
        return run(self, job)

    monkeypatch.setattr(Searched, "outcome", outcome)
    here.search(n_trials=1)


def test_pruning_leaves_runs_as_optunas_median_pruner_would_and_goes_on_the_same(searched, monkeypatch):
    whole = searched("whole").search(n_trials=16)
    here = searched("pruned")
    trials = here.search(n_trials=16, prune="median")
    pruned = [trial for trial in trials if trial["state"] == "pruned"]
    assert pruned
    assert {trial["state"] for trial in trials} == {"pruned", "finished"}
    assert all(here.store.status(trial["run"]) == "interrupted" for trial in pruned)
    assert all(trial["reason"].startswith("validation accuracy ") and trial["val/accuracy"] == "" for trial in pruned)
    assert values(trials)[:6] == values(whole)[:6]
    study = optuna.create_study(direction="maximize")  # a second, independent judgement
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=2)
    (own,) = here.studies()
    for first in range(0, 16, 3):
        batch = own.trials[first : first + 3]
        for trial in batch:
            reached = trial.intermediate_values
            steps = [{step: reached[step] for step in range(1, last + 1)} for last in reached if last < 4]
            said = [pruner.prune(study, running(trial, each)) for each in steps]
            assert said == [False] * (len(said) - 1) + [trial.state.name == "PRUNED"]
        study.add_trials(batch)
    launched = len(here.launched)
    assert here.search(n_trials=16, prune="median") == trials
    assert len(here.launched) == launched


def running(trial, reached):
    state = optuna.trial.TrialState.RUNNING
    return optuna.trial.create_trial(
        state=state, params=trial.params, distributions=trial.distributions, intermediate_values=reached
    )


def test_a_pruned_run_is_finished_by_who_wants_it_and_then_has_its_score(searched):
    here = searched()
    trials = here.search(n_trials=16, prune="median")
    pruned = next(trial for trial in trials if trial["state"] == "pruned")
    here.launch([[f"optimizer.lr={pruned['optimizer.lr']}", f"model.width={pruned['model.width']}"]])
    assert here.launched[-1] == pruned["run"]
    again = here.search(n_trials=16, prune="median")
    (now,) = [trial for trial in again if trial["trial"] == pruned["trial"]]
    assert now["state"] == "finished"
    assert values(again) == values(trials)


def test_a_pruned_run_that_is_proposed_again_is_judged_by_the_bounds_of_then(searched):
    trials = searched().search({"optimizer.lr": "0.001,0.003,0.01,0.1,0.3,1"}, n_trials=24, n_jobs=2, prune="median")
    assert {trial["state"] for trial in trials} == {"finished", "pruned"}
    assert len({trial["run"] for trial in trials}) <= 6


@pytest.mark.parametrize(
    ("scores", "bounds", "metric", "epoch"),
    [
        ({1: 0.2, 2: 0.4, 3: 0.3}, [None, 0.3, 0.5], "accuracy", 3),
        ({1: 0.2, 2: 0.4, 3: 0.3}, [0.1, 0.3, 0.4], "accuracy", None),
        ({1: 0.2, 2: 0.4}, [0.3], "accuracy", 1),
        ({1: 2.0, 2: 0.4, 3: 0.9}, [None, 0.5, 0.5], "mse", None),
        ({1: 2.0, 2: 0.6}, [None, 0.5], "mse", 2),
        ({}, [0.5], "accuracy", None),
        ({1: 0.1}, [], "accuracy", None),
    ],
)
def test_a_run_falls_behind_by_its_best_score_so_far(scores, bounds, metric, epoch):
    assert fell_behind(scores, bounds, metric) == epoch


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hydra.sweeper.n_trials=many"], "hydra.sweeper.n_trials=many: must be a valid integer"),
        (["+hydra.sweeper.trials=3"], "hydra.sweeper.trials: there is no such setting; did you mean n_trials? Choose"),
        (["optimizer.lr=interval(1"], "optimizer.lr=interval(1: cannot be read as key=value"),
        (["model.wdith=4,8"], "model.wdith: there is no such setting; did you mean width"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_line_and_no_files(run_py, words, message):
    done = run_py("-m", "+search=training", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"gradreach: {message}")
    assert done.stderr.count("\n") == 1
    assert not list(run_py.folder.iterdir())


def test_a_device_that_this_machine_does_not_have_is_refused_before_anything_is_written(searched, tmp_path):
    given = SearchSettings.checked({**SETTINGS, "folder": str(tmp_path / "searches")})
    there = searched("a", "device=cuda:99")
    with pytest.raises(ConfigError, match=r"^device=cuda:99: this machine has no such device"):
        search(read_space(SPACE, ()), given, there.compose, there.launch, here=True)
    assert list(tmp_path.iterdir()) == []


def test_a_search_whose_jobs_are_cancelled_stops(searched, capsys):
    here = searched()
    asked = []

    def cancelled(lines):
        asked.append(len(lines))
        return [as_return(line, Cancelled("7_0")) for line in lines]

    here.launch = cancelled
    with pytest.raises(SystemExit) as left:
        here.search()
    assert left.value.code == 130
    assert asked == [3]
    said = capsys.readouterr().out
    assert f"cancelled and not resubmitted: 3 runs, SLURM job 7_0\n{STOPPED}\n" in said
    assert [trial["state"] for trial in here.trials()] == ["waiting"] * 3
