"""A study over days and machines: what the same code has done and committed is done."""

import re
import shutil

import pandas as pd
import pytest

from gradreach.analysis.pages.build import build
from gradreach.errors import ConfigError, advise
from gradreach.records import RecordStore
from gradreach.run_table.committed import read_runs, stored_plan, write_plan, write_runs
from gradreach.run_table.join import committed_note, done_elsewhere
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import load_history, write_long
from gradreach.run_table.profiles import load_profiles
from gradreach.sweeps.plan import plan
from gradreach.sweeps.status import made_by_other_code, show, survey
from gradreach.sweeps.sweep import sweep
from gradreach.system.provenance import code_digest
from project import PROJECT

EXPERIMENTS = PROJECT / "experiments"
LINES = [
    [f"model={model}", f"seq_len={seq_len}", f"seed={seed}"]
    for model in ("cnn", "lstm")
    for seq_len in (64, 128)
    for seed in (0, 1)
]


@pytest.fixture(autouse=True)
def notes_are_said_anew():
    advise.cache_clear()


def record(run, status="finished", **more):
    """A record in which every number follows from the configuration."""
    accuracy = 0.5 + 0.1 * run.seed + (0.2 if run.model.name == "cnn" else 0.0)
    figures = {"reach": 6.0 + run.seed, "half_life": 1.0, "r2": 0.99}
    measured = {f"gradient/{s}/{q}.{key}": v for s in ("start", "end") for q in "xh" for key, v in figures.items()}
    whole = {"metric": "accuracy", "chance": 0.1, "parameters": 100, "seconds": 36.0}
    return {
        "run_id": run.run_id,
        "label": run.label,
        "status": status,
        "config": run.canonical(),
        "code": code_digest(),
        "error": None if status == "finished" else "why",
        **({"metrics": {"test/accuracy": accuracy, **measured}, **whole} if status == "finished" else {}),
        **more,
    }


def curves(run):
    labels = {"stage": "end", "layer": "input", "direction": "forward", "quantity": "x"}
    lags = range(run.task.arguments()["seq_len"])
    rows = [{**labels, "lag": lag, "q10": -lag - 0.1, "median": -lag / 3, "q90": 0.1 - lag, "n": 4} for lag in lags]
    return {"profile": pd.DataFrame(rows)}


class Machine:
    """A folder of results, and a launcher that writes records instead of training."""

    def __init__(self, folder, composed):
        self.results, self.composed = folder / "results", composed
        self.store = RecordStore(self.results / "runs")
        self.options = ["experiment=digits", "tracking=off", f"results_dir={self.results}"]

    def compose(self, overrides):
        return self.composed(*self.options, *overrides)

    def jobs(self, lines=LINES):
        return plan(lines, self.compose)

    def write(self, job, **more):
        history = [{"epoch": epoch, "step": 3 * epoch, "val/loss": 1 / (3 + epoch)} for epoch in (1, 2)]
        facts = {"multiply_adds": job.cost // job.run.trainer.epochs, **more}
        self.store.write(record(job.run, **facts), history, curves(job.run))

    def sweep(self, *options, until=None, lines=LINES, **more):
        """Sweep, until this many runs are done; return exit code and what was launched."""
        launched, jobs = [], {tuple(job.overrides): job for job in self.jobs(lines)}

        def launch(given):
            for *overrides, _ in given:  # the last says what the kernels are
                if len(launched) == until:
                    raise KeyboardInterrupt
                launched.append(overrides)
                self.write(jobs[tuple(overrides)], **more)
            return []

        try:
            sweep(lines, lambda overrides: self.compose([*options, *overrides]), launch)
        except SystemExit as left:
            return left.code, launched
        return 0, launched

    def build(self):
        return build("digits", self.results, EXPERIMENTS)

    def tree(self):
        return {path.name: path.read_bytes() for path in sorted((self.results / "digits").iterdir())}


@pytest.fixture
def machine(composed, tmp_path):
    return lambda name: Machine(tmp_path / name, composed)


@pytest.fixture(scope="module")
def begun(composed, tmp_path_factory):
    """A machine that has done three of eight runs and built their tables."""
    first = Machine(tmp_path_factory.mktemp("begun"), composed)
    assert first.sweep(until=3)[0] == 130
    first.build()
    return first


@pytest.fixture
def half(machine, begun):
    """This machine, and another that has what it committed."""
    first, second = machine("first"), machine("second")
    shutil.copytree(begun.results, first.results)
    shutil.copytree(begun.results / "digits", second.results / "digits")
    return first, second


@pytest.fixture
def other_code(monkeypatch):
    return lambda: monkeypatch.setattr("gradreach.run_table.join.code_digest", lambda: "0ther")


def test_a_sweep_over_two_machines_gives_the_bytes_of_an_undisturbed_one(half, machine, capsys):
    _, second = half
    capsys.readouterr()
    code, launched = second.sweep()
    assert (code, len(launched)) == (0, 5)
    said = capsys.readouterr().out
    assert "sweep: 8 runs, 3 already done, 5 to do" in said
    assert "3 of them are committed, made by this code" in said
    assert "8 runs: 8 finished" in said
    second.build()

    alone = machine("alone")
    assert len(alone.sweep()[1]) == 8
    alone.build()
    assert second.tree() == alone.tree()
    assert len(second.store.run_ids()) == 5

    third = machine("third")  # and what the second commits is a whole study
    shutil.copytree(second.results / "digits", third.results / "digits")
    assert third.sweep() == (0, [])
    third.build()
    assert third.tree() == alone.tree()
    assert third.store.run_ids() == []


def test_measurements_join_as_their_runs_do(half):
    _, second = half
    second.sweep()
    runs = load_runs("digits", second.results)
    profiles = load_profiles(runs, "digits", second.results)
    assert profiles["run_id"].drop_duplicates().tolist() == runs["run_id"].tolist()
    assert load_history(runs, "digits", second.results)["run_id"].nunique() == 5  # none is committed
    assert load_profiles(runs, None, second.results)["run_id"].nunique() == 5

    path = second.results / "digits" / "profiles.csv"
    text = path.read_text()
    path.write_text(text.replace("-0.1", "-0.2", 1))
    with pytest.raises(ConfigError, match=r"profiles\.csv: changed after it was written"):
        load_profiles(runs, "digits", second.results)
    path.unlink()
    with pytest.raises(ConfigError, match=r"profiles\.csv: is missing"):
        load_profiles(runs, "digits", second.results)


def test_histories_of_records_and_of_what_is_committed_stand_in_the_order_of_the_runs(half):
    first, second = half
    runs = load_runs("digits", first.results)
    write_long(second.results / "digits" / "history.csv", load_history(runs, results_dir=first.results))
    second.sweep()
    runs = load_runs("digits", second.results)
    history = load_history(runs, "digits", second.results)
    assert history["run_id"].tolist() == [run_id for run_id in runs["run_id"] for _ in range(2)]
    assert history["epoch"].tolist() == [1, 2] * 8
    assert history["val/loss"].tolist() == [0.25, 0.2] * 8


def test_what_other_code_made_is_neither_done_nor_mixed_with_records(half, other_code, capsys):
    _, second = half
    other_code()
    assert load_runs("digits", second.results)["status"].value_counts()["finished"] == 3  # alone it counts
    job = second.jobs()[-1]
    second.write(job, code="0ther")
    capsys.readouterr()
    runs = load_runs("digits", second.results).set_index("run_id")
    assert runs.loc[job.run.run_id, "status"] == "finished"
    assert runs["status"].value_counts().to_dict() == {"missing": 7, "finished": 1}
    assert runs["test/accuracy"].notna().sum() == 1
    assert "digits: 3 runs that are committed but made by other code: not counted" in capsys.readouterr().err
    assert len(second.sweep()[1]) == 7


def test_a_row_without_a_digest_never_joins(half):
    _, second = half
    path = second.results / "digits" / "runs.csv"
    write_runs(path, read_runs(path).assign(code=None))
    assert ",code," not in path.read_text()
    second.write(second.jobs()[-1])
    assert load_runs("digits", second.results)["status"].value_counts().to_dict() == {"missing": 7, "finished": 1}
    assert len(second.sweep()[1]) == 7


def test_records_of_one_older_code_keep_the_rows_of_that_code(half, other_code):
    _, second = half
    second.sweep()
    other_code()
    assert (load_runs("digits", second.results)["status"] == "finished").all()


def test_a_record_decides_of_its_run_whatever_is_committed_of_it(half):
    _, second = half
    committed = read_runs(second.results / "digits" / "runs.csv")
    run_id = committed.loc[committed["status"] == "finished", "run_id"].iloc[0]
    (job,) = [job for job in second.jobs() if job.run.run_id == run_id]
    second.write(job, metrics={"test/accuracy": 0.123})
    runs = load_runs("digits", second.results).set_index("run_id")
    assert runs.loc[run_id, "test/accuracy"] == 0.123
    second.store.write(record(job.run, "interrupted"))
    assert load_runs("digits", second.results).set_index("run_id").loc[run_id, "status"] == "interrupted"
    assert job.overrides in second.sweep()[1]


def test_force_does_all_of_them_again(half):
    assert len(half[1].sweep("force=true")[1]) == 8


@pytest.mark.parametrize(("retry", "launched"), [("failed", 8), ("none", 0)])
def test_what_failed_elsewhere_is_done_again_unless_it_shall_not_be(machine, retry, launched, capsys):
    first, second = machine("first"), machine("second")
    assert first.sweep(status="failed")[0] == 1
    first.build()
    shutil.copytree(first.results / "digits", second.results / "digits")
    assert (load_runs("digits", second.results)["status"] == "failed").all()
    code, again = second.sweep(f"retry={retry}")
    assert (code, len(again)) == ((0, 8) if launched else (1, 0))


def test_a_sweep_whose_runs_are_all_committed_ends_with_its_tables(half, monkeypatch, capsys):
    first, second = half
    first.sweep()
    first.build()
    shutil.copytree(first.results / "digits", second.results / "digits", dirs_exist_ok=True)
    monkeypatch.setattr("gradreach.sweeps.sweep.summarize_sweep", lambda environment: pytest.fail("built its page"))
    second.options.remove("tracking=off")
    before = second.tree()
    capsys.readouterr()
    assert second.sweep() == (0, [])
    assert re.search(r"tables and figures: .*gradreach tables digits --results-dir", capsys.readouterr().out)
    assert second.tree().keys() == before.keys()
    assert load_runs("digits", second.results).equals(load_runs("digits", first.results))


def test_a_line_without_a_name_finds_what_any_table_holds_and_a_single_run_says_so(half):
    _, second = half
    second.options.remove("experiment=digits")
    assert len(second.sweep()[1]) == 5
    committed = read_runs(second.results / "digits" / "runs.csv")
    done = committed["run_id"][committed["status"] == "finished"].iloc[0]
    assert "runs.csv already has this run, made by this code (finished); it is run here as well" in committed_note(
        second.results, done
    )
    assert committed_note(second.results, second.store.run_ids()[0]) is None
    assert committed_note(second.results, "0" * 16) is None


def test_all_runs_are_records_and_the_committed_rows_of_their_code(half, other_code, capsys):
    _, second = half
    second.write(second.jobs()[-1])
    shutil.copytree(second.results / "digits", second.results / "another")
    runs = load_runs(results_dir=second.results)
    assert len(runs) == runs["run_id"].nunique() == 4
    assert (runs["status"] == "finished").all()
    path = second.results / "another" / "runs.csv"
    path.write_text(path.read_text().replace("finished", "failed", 1))
    assert len(load_runs(results_dir=second.results)) == 4
    assert "another/runs.csv: changed after it was written" in capsys.readouterr().err
    second.write(second.jobs()[-1], code="0ther")
    other_code()
    assert len(load_runs(results_dir=second.results)) == 1


def test_status_tells_apart_what_is_done_here_elsewhere_and_by_other_code(half, other_code, capsys):
    _, second = half
    second.write(second.jobs()[-1], seconds=72.0)
    jobs = second.jobs()
    frame = survey(jobs)
    assert frame["made"].value_counts().to_dict() == {"committed": 3, "here": 1}
    assert frame["status"].value_counts().to_dict() == {"finished": 4, "missing": 4}
    show(frame, made_by_other_code(jobs))
    said = capsys.readouterr().out
    assert "8 runs: 4 finished, 4 missing" in said
    assert "from the committed table, made elsewhere by this code: 3 of them" in said
    assert "other code" not in said
    assert "time spent in runs: 3 min 00 s" in said
    assert "core-hours left: 0.0" in said

    other_code()
    frame = survey(jobs)
    assert frame["status"].value_counts().to_dict() == {"missing": 7, "finished": 1}
    assert frame["made"].value_counts().to_dict() == {"other code": 3, "here": 1}
    show(frame, made_by_other_code(jobs))
    said = capsys.readouterr().out
    assert "made by other code: 3 runs, not counted above" in said
    assert "made by this code" not in said


def test_a_clone_whose_table_was_made_under_other_identities_says_what_it_holds(half, capsys):
    _, second = half
    jobs = second.jobs([[*line, "trainer.epochs=3"] for line in LINES])
    frame = survey(jobs)
    assert (frame["status"] == "missing").all()
    assert frame["expected_seconds"].gt(0).all()  # by what is committed of the same models
    assert made_by_other_code(jobs) == 0  # this code made them; they are another sweep's
    path = second.results / "digits" / "runs.csv"
    write_runs(path, read_runs(path).assign(code="older"))
    assert made_by_other_code(jobs) == 3


def test_a_line_for_other_seeds_takes_nothing_away_that_was_done(half):
    first, second = half
    done = load_runs("digits", first.results).query("status == 'finished'")["run_id"]
    others = [job.overrides for job in second.jobs() if job.run.run_id not in set(done)][:2]
    assert second.sweep(lines=others) == (0, others)
    second.build()
    runs = load_runs("digits", second.results)
    assert set(done) < set(runs["run_id"])
    assert runs["status"].tolist() == ["finished"] * 5


def test_a_rule_is_stored_when_its_sweep_is_first_planned_and_never_anew(machine):
    jobs = machine("one").jobs()
    environment = jobs[0].environment
    for some, rule in ((jobs[:2], "first"), (jobs[2:], "second"), (jobs, "third")):
        write_plan(environment, [job.run for job in some], {"digest": rule, "done": 0})
    assert stored_plan(environment.results_dir / "digits" / "runs.csv")["digest"] == "first"


def test_a_run_that_was_interrupted_elsewhere_is_not_done(half):
    _, second = half
    path = second.results / "digits" / "runs.csv"
    rows = read_runs(path)
    write_runs(path, rows.assign(status=rows["status"].replace("finished", "interrupted")))
    assert done_elsewhere(second.results) == {}
    assert len(second.sweep()[1]) == 8


def test_of_several_tables_the_row_of_the_present_code_counts(half):
    _, second = half
    rows = read_runs(second.results / "digits" / "runs.csv")
    write_runs(second.results / "another" / "runs.csv", rows.assign(code="0ther"))
    assert len(done_elsewhere(second.results)) == 3
