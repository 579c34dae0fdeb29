"""``gradreach tables``, ``table`` and ``export``, as they are called: what they make of records, good and bad."""

import bz2
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradreach import cli
from gradreach.config import parse, plain
from gradreach.errors import advise
from gradreach.records import RecordStore, sealed
from gradreach.run_table.committed import sweep_digest, sweep_name, write_plan
from gradreach.run_table.load import load_runs
from project import PROJECT

SEEDS = 5


@pytest.fixture(scope="module")
def made(composed, tmp_path_factory):
    """Records of a study, two models and two lengths, made up: the CNN is far better than the LSTM."""
    folder = tmp_path_factory.mktemp("project")
    results = folder / "results"
    runs = []
    for model in ("cnn", "lstm"):
        for seq_len in (64, 128):
            for seed in range(SEEDS):
                overrides = [f"model={model}", f"seq_len={seq_len}", f"seed={seed}", f"results_dir={results}"]
                runs.append(parse(plain(composed("experiment=digits", *overrides))))
    write_plan(runs[0][1], [run for run, _ in runs])
    store = RecordStore(results / "runs")
    for run, _ in runs:
        store.write(record(run), [{"epoch": e, "step": 4 * e, "train/loss": 1 / 3 / e} for e in (1, 2)], profile())
    (folder / "experiments").mkdir()
    known = (PROJECT / "experiments" / "digits.py").read_text(encoding="utf-8")
    (folder / "experiments" / "digits.py").write_text(known + TABLES_ONLY, encoding="utf-8")
    return folder


TABLES_ONLY = """

from dataclasses import replace

from gradreach.study import computed


def steepest(results):
    loss = results.history.groupby("run_id")["train/loss"].min()
    return results.profiles.groupby("run_id", observed=True)["median"].min().to_frame().join(loss).reset_index()


STUDY = replace(STUDY, show=[*STUDY.tables, computed("steepest", steepest, "c")])
"""
"""Pictures take seconds, and are tested elsewhere; profiles and histories are asked for here."""


def record(run):
    good = run.model.name == "cnn"
    metrics = {"test/accuracy": (0.9 if good else 0.3) + 0.01 * run.seed, "test/loss": 0.5}
    metrics |= {f"gradient/{stage}/{q}.{s}": 0.95 for stage in ("start", "end") for q in "xh" for s in ("reach", "r2")}
    metrics |= {f"gradient/{stage}/{q}.half_life": float("inf") for stage in ("start", "end") for q in "xh"}
    return {
        "run_id": run.run_id,
        "status": "finished",
        "config": run.canonical(),
        "metric": "accuracy",
        "chance": 0.1,
        "parameters": 1234 if good else 999,
        "seconds": 2.5,
        "revision": "abc",
        "versions": {"torch": "2.13.0"},
        "host": {"name": "n", "cpu": "C", "system": "Linux", "machine": "x86_64"},
        "metrics": metrics,
    }


def profile():
    lag = np.arange(4)
    labels = {"stage": "end", "layer": "input", "direction": "forward", "quantity": "x"}
    return {
        "profile": pd.DataFrame({**labels, "lag": lag, "q10": -1.0 * lag, "median": -0.5 * lag, "q90": -0.1, "n": 4})
    }


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A project's folder of one's own, and one's place in it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def gradreach(project, monkeypatch, capsys):
    """Call the command; return exit code, what it printed, and what it complained of."""
    monkeypatch.setenv("COLUMNS", "200")
    advise.cache_clear()

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gradreach", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


def one_line(err):
    (line,) = err.splitlines()
    return line


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def some_record(project):
    return min((project / "results" / "runs").glob("*/record.json"))


def test_what_tables_made_is_up_to_date_until_something_changes(gradreach, project):
    assert gradreach("tables")[0] == 0
    code, out, err = gradreach("tables", "--check")
    assert (code, out, err) == (0, "digits: up to date\n", "")

    change(project / "results" / "digits" / "accuracy.md", "92.0", "99.9")
    (project / "results" / "digits" / "old.csv").write_text("x")
    (project / "results" / "digits" / "gradient_reach.tex").unlink()
    change(project / "results" / "README.md", "digits", "digitsx")
    code, out, _ = gradreach("tables", "--check")
    assert code == 1
    assert out.splitlines() == [
        "results/digits/accuracy.md: differs from what the records give",
        "results/digits/gradient_reach.tex: missing",
        "results/digits/old.csv: no longer produced: delete it",
        "results/README.md: differs from what the experiments give",
        "digits: 4 files are out of date; gradreach tables rebuilds them",
    ]


def test_a_check_writes_nothing_but_an_index_of_what_it_has_read(gradreach, project):
    def files():
        found = (path for path in project.rglob("*") if path.is_file() and ".index" not in path.parts)
        return {path: path.stat().st_mtime_ns for path in found}

    before = files()
    assert gradreach("tables", "--check")[0] == 1  # nothing was ever built
    assert files() == before


def test_a_clone_without_raw_records_is_up_to_date(gradreach, project):
    gradreach("tables")
    shutil.rmtree(project / "results" / "runs")
    assert gradreach("tables", "--check")[0] == 0


def test_the_best_cell_is_marked_where_every_seed_agrees(gradreach):
    arguments = ["table", "digits", "--rows", "model", "--best", "max", "--format", "markdown"]
    code, out, err = gradreach(*arguments)
    assert (code, err) == (0, "")
    assert "**92.0 ± 2.0**" in out
    assert "Bold: better than every other in its column, Mann-Whitney, p < 0.05 after Holm's correction." in out
    assert "n too small" not in out


def test_a_half_finished_sweep_says_so(gradreach, project):
    shutil.rmtree(some_record(project).parent)
    change_status(project, "diverged")
    _, out, _ = gradreach("tables", "digits")
    assert "18 of 20 planned runs finished; 1 diverged, 1 missing: not complete." in out
    assert "1 diverged)" in out
    assert "18 of 20 planned runs finished" in (project / "results" / "digits" / "accuracy.tex").read_text()


def change_status(project, status):
    store = RecordStore(project / "results" / "runs")
    store.write({**store.read(some_record(project).parent.name), "status": status, "error": "loss is nan\nmore"})


def test_runs_of_several_revisions_and_schemas_are_counted(gradreach, project):
    store = RecordStore(project / "results" / "runs")
    first, second = store.run_ids()[:2]
    store.write({**store.read(first), "revision": "def+"})
    old = {**store.read(second), "schema_version": 2}
    (store.folder(second) / "record.json").write_text(json.dumps(old))
    code, out, err = gradreach("tables", "digits")
    assert code == 0
    assert one_line(err) == (
        "gradreach: note: digits: Runs of 2 commits: 19 of abc, 1 of def+. Runs of 2 schema versions: 1 of 2, 19 of 3."
    )
    assert "Runs of 2 commits: 19 of abc, 1 of def+." in out


def test_a_record_that_was_edited_by_hand_is_put_aside(gradreach, project):
    change(some_record(project), '"test/accuracy": 0.', '"test/accuracy": 1.')
    code, out, err = gradreach("tables", "digits")
    assert code == 0
    assert "changed after it was written (checksum mismatch); moved to" in one_line(err)
    assert "19 of 20 planned runs finished; 1 missing: not complete." in out


def test_a_record_of_a_newer_version_is_left_alone(gradreach, project, monkeypatch):
    store = RecordStore(project / "results" / "runs")
    record = store.read(some_record(project).parent.name)
    with monkeypatch.context() as newer:
        newer.setattr("gradreach.records.SCHEMA_VERSION", 99)
        store.write(record)
    code, _, err = gradreach("tables", "digits")
    assert code == 2
    assert "schema_version=99 was written by a newer gradreach; this one reads up to 3; update gradreach" in one_line(
        err
    )
    assert some_record(project).exists()


def test_a_run_that_is_named_twice_is_refused(gradreach, project):
    table = project / "results" / "digits" / "runs.csv"
    table.write_text("run_id,status,model,task\na,missing,cnn,digits\nb,missing,cnn,digits\na,missing,cnn,digits\n")
    code, _, err = gradreach("tables", "digits")
    assert code == 2
    assert err.splitlines()[-1].endswith("runs.csv: has 1 duplicate runs, such as a; keep one row for each")


@pytest.mark.parametrize("text", ["", "\n", "a,b\n1,2\n", 'run_id,status\n"x', "run_id,status,model,task\n"])
@pytest.mark.parametrize("arguments", ["tables digits", "tables --check", "export r.csv digits"])
def test_a_run_table_that_is_none_is_refused(gradreach, project, arguments, text):
    (project / "results" / "digits" / "runs.csv").write_text(text)
    code, _, err = gradreach(*arguments.split())
    assert code == 2
    assert "restore it, or delete it and sweep again" in err.splitlines()[-1]
    assert "Traceback" not in err


def typed_by_hand(lines):
    return [*lines[:-1], lines[-1].replace("finished", "diverged")]


EDITS = {
    "a number": lambda lines: [*lines[:3], lines[3].replace(",0.5,", ",0.75,"), *lines[4:]],
    "a status": typed_by_hand,
    "a row less": lambda lines: lines[:-1],
    "the first row gone": lambda lines: [lines[0], *lines[2:]],
    "a row more": lambda lines: [*lines, lines[-1].replace("finished", "missing")],
    "another order": lambda lines: [lines[0], *lines[:0:-1]],
    "a head": lambda lines: [lines[0].replace("test/accuracy", "test/loss2"), *lines[1:]],
    "the checksum": lambda lines: [lines[0], lines[1][:-1] + ("0" if lines[1][-1] != "0" else "1"), *lines[2:]],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_run_table_that_was_edited_by_hand_is_refused(gradreach, project, edit):
    gradreach("tables", "digits")
    shutil.rmtree(project / "results" / "runs")
    assert gradreach("tables", "digits", "--check")[0] == 0
    table = project / "results" / "digits" / "runs.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    edited = EDITS[edit](lines)
    assert edited != lines
    table.write_text("\n".join(edited) + "\n", encoding="utf-8")
    for arguments in ("tables digits --check", "tables digits", "table", "export runs.parquet digits"):
        code, out, err = gradreach(*arguments.split())
        assert (code, out) == (2, "")
        assert "runs.csv: changed after it was written (checksum mismatch); restore it" in one_line(err)


def test_large_tables_are_compressed_and_rebuilt_from_a_clone(gradreach, project, monkeypatch):
    monkeypatch.setattr("gradreach.run_table.compressed.LARGE", 1)
    assert gradreach("tables", "digits")[0] == 0
    folder = project / "results" / "digits"
    compressed = {f"{name}.csv.bz2" for name in ("runs", "profiles", "history")}
    assert {path.name for path in folder.iterdir() if path.suffix == ".bz2"} == compressed
    assert not {path.name.removesuffix(".bz2") for path in folder.glob("*.bz2")} & {p.name for p in folder.iterdir()}
    assert "[runs.csv.bz2](runs.csv.bz2)" in (folder / "README.md").read_text(encoding="utf-8")
    before = files(project)
    shutil.rmtree(project / "results" / "runs")
    assert gradreach("tables", "digits", "--check")[0] == 0
    assert gradreach("tables", "digits")[0] == 0
    assert {name: kept for name, kept in files(project).items() if "/runs/" not in name} == {
        name: kept for name, kept in before.items() if "/runs/" not in name
    }
    table = folder / "profiles.csv.bz2"
    head, _, rest = bz2.decompress(table.read_bytes()).split(b"\n", 2)
    table.write_bytes(bz2.compress(head + b"\n" + rest))
    code, _, err = gradreach("tables", "digits", "--check")
    assert (code, "profiles.csv.bz2: changed after it was written" in one_line(err)) == (2, True)


def test_a_run_table_without_a_checksum_is_read_with_a_note_and_is_not_up_to_date(gradreach, project):
    gradreach("tables", "digits")
    table = project / "results" / "digits" / "runs.csv"
    pd.read_csv(table, dtype=str).drop(columns="checksum").to_csv(table, index=False)
    code, out, err = gradreach("tables", "digits", "--check")
    assert code == 1
    assert "runs.csv: has no checksum, since an older gradreach wrote it; gradreach tables digits adds one" in one_line(
        err
    )
    assert "results/digits/runs.csv: differs from what the records give" in out
    gradreach("tables", "digits")
    assert gradreach("tables", "digits", "--check")[0] == 0


def test_a_plan_that_no_longer_fits_its_experiment_is_pointed_out(gradreach, project, configured):
    sweep = project / "conf" / "experiment" / "digits.yaml"
    sweep.parent.mkdir(parents=True)
    sweep.write_text("experiment: digits\nhydra: {sweeper: {params: {seed: '0,1', model: lstm}}}\n")
    run, environment = configured("experiment=digits", "results_dir=results")
    write_plan(environment, [run])
    assert (gradreach("tables", "digits")[2], gradreach("tables", "digits", "--check")[2]) == ("", "")

    sweep.write_text("# new\nhydra: {sweeper: {params: {model: lstm, seed: '0,1'}}}\nexperiment: digits\n")
    assert gradreach("tables", "digits", "--check")[::2] == (0, "")
    change(sweep, "'0,1'", "'0,1,2'")
    assert one_line(gradreach("tables", "digits", "--check")[2]) == (
        "gradreach: note: digits: conf/experiment/digits.yaml has changed since results/digits/runs.csv "
        "was planned; python run.py -m experiment=digits runs what is new"
    )
    advise.cache_clear()
    assert "has changed since" in gradreach("tables", "digits")[2]  # and does not forget it by that
    advise.cache_clear()
    assert "has changed since" in gradreach("tables", "digits")[2]
    sweep.unlink()
    advise.cache_clear()
    assert gradreach("tables", "digits", "--check")[::2] == (0, "")


def test_a_quick_form_is_what_it_says_and_what_it_builds_on(tmp_path):
    (tmp_path / "experiment").mkdir()
    whole, quick = (tmp_path / "experiment" / f"{name}.yaml" for name in ("a", "a_quick"))
    whole.write_text("trainer: {epochs: 9}\n")
    quick.write_text("defaults: [a, _self_]\nresults_dir: results/quick\n")
    assert sweep_name(Path("results/quick/a/runs.csv")) == "a_quick"
    digests = [sweep_digest(name, tmp_path) for name in ("a", "a_quick")]
    whole.write_text("trainer: {epochs: 8}\n")
    changed = [sweep_digest(name, tmp_path) for name in ("a", "a_quick")]
    assert len({*digests, *changed}) == 4
    whole.write_text("trainer: {epochs: 9}\n")
    assert [sweep_digest(name, tmp_path) for name in ("a", "a_quick")] == digests
    assert sweep_digest("b", tmp_path) is None


@pytest.mark.parametrize("name", ["profiles.csv", "history.csv"])
def test_long_tables_that_are_empty_or_none_are_one_line(gradreach, project, name):
    gradreach("tables", "digits")
    shutil.rmtree(project / "results" / "runs")
    path = project / "results" / "digits" / name
    path.with_name("summary.json").unlink()  # whose checksums would notice before
    head = path.read_text(encoding="utf-8").partition("\n")[0]
    for text, said in (
        ("", "cannot be read as CSV (No columns to parse from file); restore it, or delete it"),
        ("a,b\n1,2\n", "lacks run_id, "),
        (f"{head}\nx,y\n", "restore it, or delete it"),
    ):
        path.write_text(text, encoding="utf-8")
        code, _, err = gradreach("tables", "digits")
        assert code == 2
        assert f"{name}: " in one_line(err)
        assert said in one_line(err)
    path.write_text(head + "\n", encoding="utf-8")
    assert "is empty, but should hold 20 runs" in gradreach("export", "x.csv", "digits", "--table", name[:-4])[2]


@pytest.mark.parametrize("name", ["profiles.csv", "history.csv"])
def test_a_long_table_that_was_edited_by_hand_or_is_gone_is_refused_where_no_raw_runs_are(gradreach, project, name):
    gradreach("tables", "digits")
    path = project / "results" / "digits" / name
    kept = path.read_text(encoding="utf-8")
    path.unlink()
    assert gradreach("tables", "digits")[::2] == (0, "")  # rebuilt from raw runs
    assert path.read_text(encoding="utf-8") == kept
    shutil.rmtree(project / "results" / "runs")
    head, _, rest = kept.split("\n", 2)
    for text, said in (
        (f"{head}\n{rest}", "changed after it was written"),
        (None, "is missing and cannot be rebuilt: there are no raw runs"),
    ):
        path.unlink() if text is None else path.write_text(text, encoding="utf-8")
        before = files(project)
        for arguments in ("tables digits", "tables digits --check"):
            code, _, err = gradreach(*arguments.split())
            assert code == 2
            assert f"results/digits/{name}: {said}" in one_line(err)
            assert files(project) == before
    path.write_text(kept, encoding="utf-8")
    assert gradreach("tables", "digits", "--check")[0] == 0


def test_a_damaged_history_of_a_run_that_does_not_answer_for_it_names_the_run(gradreach, project):
    history = some_record(project).parent / "history.csv"
    store = RecordStore(project / "results" / "runs")
    record = store.read(history.parent.name)
    record.pop("files", None)  # as records of older versions
    (history.parent / "record.json").write_text(sealed(record))
    change(history, "0.3333", "x")
    code, _, err = gradreach("export", "h.csv", "digits", "--table", "history")
    assert code == 0
    assert f"{history.parent.name}: history.csv cannot be read as CSV" in one_line(err)
    assert "19 of 20 planned runs finished" in gradreach("tables", "digits")[1]


def test_a_sealed_record_whose_configuration_is_none_is_one_line(gradreach, project):
    store = RecordStore(project / "results" / "runs")
    record = store.read(some_record(project).parent.name)
    del record["config"]["seed"]
    store.write(record)
    code, _, err = gradreach("tables", "digits")
    assert code == 0
    told = "its record has no valid run configuration (KeyError: 'seed'); moved to"
    assert f"{record['run_id']}: {told}" in one_line(err)
    assert "19 of 20 planned runs finished" in gradreach("tables", "digits")[1]


def test_an_output_that_is_not_utf_8_ends_nothing(project):
    line = [sys.executable, "-m", "gradreach", "table", "digits"]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(line, cwd=project, env=environment, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"92.0 ? 2.0" in done.stdout


def test_spaces_between_keys_do_not_count(gradreach):
    close, apart = (gradreach("table", "digits", "--rows", rows)[1] for rows in ("model,seed", " model, seed"))
    assert close == apart


def test_an_export_of_what_no_run_has_says_so(gradreach):
    code, out, err = gradreach("export", "d.csv", "digits", "--table", "decoding")
    assert (code, out) == (0, "d.csv: 0 rows, 10 columns\n")
    assert one_line(err) == "gradreach: note: digits: its runs have no decoding; the file has a header and no rows"


def test_one_experiment_keeps_the_findings_of_each_language_in_step_too(gradreach, project):
    (project / "docs").mkdir(exist_ok=True)
    pages = [project / "docs" / "findings.md", project / "docs" / "findings.zh.md"]
    for page, words in zip(pages, ("", "完成 "), strict=True):
        template = f"{words}{{% for finding in [of('digits')] %}}{{{{ finding.runs }}}}{{% endfor %}}"
        page.with_name(f"{page.name}.jinja").write_text(template, encoding="utf-8")
    gradreach("tables", "digits")
    assert [page.read_text(encoding="utf-8") for page in pages] == ["20 of 20", "完成 20 of 20"]
    for page in pages:
        page.write_text("19 of 20", encoding="utf-8")
    code, out, _ = gradreach("tables", "digits", "--check")
    assert (code, out.splitlines()[:2]) == (
        1,
        [f"docs/{page.name}: differs from what the experiments give" for page in pages],
    )


def test_a_check_names_the_ledger_that_a_stale_summary_makes_stale(gradreach, project):
    gradreach("tables", "digits")
    change(project / "results" / "digits" / "summary.json", '"finished": 20', '"finished": 19')
    change(
        project / "results" / "README.md", "README.md)", "README.md) (19 of 20 runs)"
    )  # what the summary that stands there gives
    code, out, _ = gradreach("tables", "digits", "--check")
    assert code == 1
    stale = [line.split(":")[0] for line in out.splitlines()[:-1]]
    before = files(project)
    gradreach("tables", "digits")
    assert sorted(stale) == sorted(path for path, data in files(project).items() if before.get(path) != data)


def files(project):
    there = {path: str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for path, name in there.items() if ".index" not in path.parts}


@pytest.mark.parametrize("columns", ["80", "100"])
def test_tables_fit_the_terminal(gradreach, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    wide = "table digits --rows model --columns seq_len,seed --value test/accuracy --value test/loss"
    for arguments in ("tables digits", wide):
        out = gradreach(*arguments.split())[1]
        assert max(len(line) for line in out.splitlines() if line[:1] in "┏┃┡│├└") <= int(columns)
        assert "…" not in out


def test_an_experiment_that_shows_what_no_run_has_is_refused(gradreach, project):
    change(project / "experiments" / "digits.py", '"test/accuracy"', '"test/acuracy"')
    code, _, err = gradreach("tables", "digits")
    assert code == 2
    assert "test/acuracy: no run has this column; did you mean test/accuracy? Choose from gradient/end/" in one_line(
        err
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "tables digist",
            "digist: there is no such experiment; did you mean digits? Choose from digits",
        ),
        (
            "table digist",
            "digist: neither an experiment with runs nor a folder of results; did you mean digits",
        ),
        ("table --rows modle", "modle: there is no such key; did you mean model?"),
        ("table --value test/acuracy", "test/acuracy: no run has this column; did you mean test/accuracy? Choose from"),
        ("table --value host", "host: is text, not a number; give it to --rows or --columns"),
        ("table --where seq_len=65", "where seq_len=65: no run has this; choose from 128, 64"),
        ("table --where seed=01", "where seed=01: no run has this; did you mean 1? Choose from 0, 1, 2, 3, 4"),
        ("table --where seq_len", "where=seq_len: must be key=value or key=value,value"),
        ("table --where modle=lstm", "modle: no run has this column; did you mean model?"),
        ("tables --source mlflow:a/b", "source=mlflow:a/b: must be wandb:entity/project"),
        ("tables --source wandb:a/b --check", "--check: compares with the records here; drop --source"),
        ("table --rows , --value test/accuracy", "rows: empty; name one or more keys"),
        ("table digits --rows model,model", "model: named twice in --rows, --columns and --value; name each once"),
        ("table digits --columns seq_len,seq_len", "seq_len: named twice in --rows, --columns and --value"),
        (
            "table digits --rows model,seq_len --columns seq_len",
            "seq_len: named twice in --rows, --columns and --value",
        ),
        ("export /proc/x.csv digits", "/proc/x.csv: cannot be written (No such file or directory); choose another"),
        (
            f"status model=lstm --conf-dir {PROJECT / 'conf'} --csv /proc/x",
            "--csv=/proc/x: cannot be written (No such file or directory); choose another place",
        ),
        (
            f"wandb-sweep digits --conf-dir {PROJECT / 'conf'} -o /proc/x.yaml",
            "--output=/proc/x.yaml: cannot be written (No such file or directory); choose another place",
        ),
        (
            f"wandb-sweep digits --conf-dir {PROJECT / 'conf'} -o /tmp",
            "--output=/tmp: is a folder; name a file in it",
        ),
        (
            f"describe model=lstm,gru --conf-dir {PROJECT / 'conf'}",
            "model=lstm,gru: has several values; describe one run at a time; write a list as [1,2]",
        ),
        ("describe -m model=lstm", "-m: means several runs; leave it out; describe shows one run at a time"),
        (
            f"status -m model=lstm --conf-dir {PROJECT / 'conf'} --results-dir /dev/null",
            "results_dir=/dev/null: is not a folder; choose another",
        ),
        (
            "dashboard digits --base-url foo",
            "base_url=foo: must be a URL: http:// or https://",
        ),
        ("export runs.xlsx", "runs.xlsx: must end in .parquet or .csv"),
    ],
)
def test_what_cannot_be_is_one_line(gradreach, arguments, message):
    code, out, err = gradreach(*arguments.split())
    assert code == 2
    assert out == "" or arguments.startswith("status")  # which is shown, though it cannot be written
    assert message in one_line(err)


@pytest.mark.parametrize("command", ["tables", "table", "export runs.csv"])
def test_no_runs_at_all_is_one_line(gradreach, project, command):
    shutil.rmtree(project / "results")
    code, _, err = gradreach(*command.split())
    assert code == 2
    assert one_line(err).endswith("make some with python run.py -m experiment=quickstart")


@pytest.mark.parametrize("command", ["tables", "report"])
def test_runs_of_no_experiment_are_said_to_be_there(gradreach, project, command):
    shutil.rmtree(project / "results" / "digits")
    code, _, err = gradreach(command)
    assert code == 2
    assert one_line(err).endswith(
        "none of its runs belongs to an experiment; show them with 'gradreach table --results-dir results'"
    )


def test_a_status_takes_the_line_of_the_runs_and_the_folder_of_results(gradreach, project):
    line = ["-m", "model=lstm", "seed=0,1", "--conf-dir", str(PROJECT / "conf")]
    assert gradreach("status", *line, "results_dir='its results'") == gradreach(
        "status", *line, "--results-dir", "its results"
    )
    known = ["status", "digits", "--conf-dir", str(PROJECT / "conf")]
    (project / "results").rename(project / "it's here")
    assert "12 finished" in gradreach(*known, "--results-dir", "it's here")[1]
    assert "12 finished" not in gradreach(*known)[1]


def test_keys_may_be_given_one_by_one(gradreach):
    for option in ("--rows", "--columns"):
        once = gradreach("table", option, "seed,model", "--format", "csv")
        assert once[0] == 0
        assert gradreach("table", option, "seed", option, "model", "--format", "csv") == once


def test_a_key_that_does_not_vary_is_pointed_out(gradreach):
    code, out, err = gradreach("table", "--rows", "model", "--columns", "task")
    assert code == 0
    assert one_line(err) == "gradreach: note: task does not vary: it is digits in all 20 runs"
    assert "20 of 20 planned runs finished. Chance level: digits 10.0 %." in " ".join(out.split())


def test_cells_that_mix_settings_say_so_and_have_no_best(gradreach):
    apart = gradreach("table", "digits", "--rows", "model,kernel_size", "--columns", "seq_len")[1]
    assert "Cells mix" not in apart
    line = ("table", "digits", "--rows", "model", "--columns", "")
    assert "Cells mix runs of different settings (task.seq_len" in " ".join(gradreach(*line)[1].split())
    code, _, err = gradreach(*line, "--best", "max")
    assert code == 2
    assert "best=max: cells mix runs of different settings (task.seq_len" in one_line(err)


def test_a_table_takes_several_keys_metrics_and_conditions(gradreach):
    line = "table digits --rows model,kernel_size --columns seq_len,seed --value test/loss --value seconds"
    _, out, _ = gradreach(*line.split(), "--where", "seed=0,1", "--where", "seq_len=64", "--format", "csv")
    table = pd.read_csv(project_file(out))
    assert table.columns[:6].tolist() == ["model", "kernel_size", "seq_len", "seed", "line", "measure"]
    assert len(table) == 2 * 2 * 2
    assert set(table["seed"]) == {0, 1}
    assert (table["n"] == 1).all()


def project_file(text):
    Path("out.csv").write_text(text)
    return "out.csv"


@pytest.mark.parametrize(
    ("form", "sign"),
    [("terminal", "┏"), ("csv", "ci95_low"), ("markdown", "| --- |"), ("latex", "\\toprule"), ("html", "</table>")],
)
def test_every_form_of_a_table(gradreach, form, sign):
    code, out, _ = gradreach("table", "--format", form)
    assert code == 0
    assert sign in out


def test_an_export_reads_as_the_frame_in_both_formats(gradreach, project):
    change_status(project, "failed")
    runs = load_runs("digits")
    for name in ("runs.parquet", "runs.csv"):
        code, out, _ = gradreach("export", name, "digits")
        assert (code, out) == (0, f"{name}: 20 rows, {runs.shape[1]} columns\n")
    parquet = pd.read_parquet("runs.parquet")
    pd.testing.assert_frame_equal(parquet.astype(runs.dtypes).where(parquet.notna(), runs), runs)
    assert pd.read_csv("runs.csv")["test/accuracy"].tolist() == pytest.approx(runs["test/accuracy"], nan_ok=True)
    assert runs.loc[runs["status"] == "failed", "error"].tolist() == ["loss is nan"]


def test_what_is_committed_alone_is_exported_by_the_experiments_name(gradreach, project):
    gradreach("tables", "digits")
    shutil.rmtree(project / "results" / "runs")
    code, _, err = gradreach("export", "p.parquet", "--table", "profiles")
    assert code == 2
    assert "no raw records there, so no profiles; name an experiment" in one_line(err)
    assert "80 rows" in gradreach("export", "p.parquet", "digits", "--table", "profiles")[1]


def test_profiles_and_histories_are_exported(gradreach):
    assert gradreach("export", "p.parquet", "--table", "profiles")[1] == "p.parquet: 80 rows, 10 columns\n"
    assert gradreach("export", "h.csv", "digits", "--table", "history")[1] == "h.csv: 40 rows, 4 columns\n"
    assert pd.read_csv("h.csv")["train/loss"].tolist() == [0.333333, 0.166667] * 20


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (Debian: texlive-latex-recommended)")
def test_latex_tables_compile(gradreach, project):
    gradreach("tables", "digits")
    tables = sorted((project / "results" / "digits").glob("*.tex"))
    _, marked, _ = gradreach("table", "--rows", "model", "--best", "max", "--format", "latex")
    _, wide, _ = gradreach("table", "--rows", "model", "--columns", "seq_len,seed", "--format", "latex")
    assert "\\textbf{" in marked
    assert len(tables) == 4
    inputs = "".join(f"\\input{{{path}}}\n" for path in tables)
    body = f"{inputs}{marked}{wide}"
    page = f"\\documentclass{{article}}\\usepackage{{booktabs,graphicx}}\\begin{{document}}\n{body}\\end{{document}}\n"
    (project / "page.tex").write_text(page)
    line = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(line, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Undefined" not in done.stdout
    assert "Overfull" not in done.stdout


def test_nothing_of_one_experiment_stops_another(gradreach, project):
    shutil.copytree(project / "results" / "digits", project / "results" / "mine")
    (project / "experiments" / "mine.py").write_text("from gradreach.study import Study\n1 / 0\n", encoding="utf-8")
    for line in (("tables",), ("report",)):
        code, out, err = gradreach(*line)
        assert code == 2
        assert "experiments/mine.py: cannot be read (ZeroDivisionError: division by zero)" in err
        assert "Everything on one page" in out
    code, out, err = gradreach("tables", "mine", "digits", "--check")
    assert code == 2
    assert "experiments/mine.py: cannot be read" in err
    assert "digits: up to date" in out
    fails = "\n\nSTUDY = replace(STUDY, show=[computed('mine', lambda results: results.absent, 'c')])\n"
    known = (project / "experiments" / "digits.py").read_text(encoding="utf-8")
    (project / "experiments" / "mine.py").write_text(known + fails, encoding="utf-8")
    code, _, err = gradreach("tables", "mine")
    assert code == 2
    at = len((known + fails).splitlines())
    assert one_line(err).startswith(f"gradreach: mine: mine.py, line {at}: AttributeError: 'Results' object has no")


def test_a_sweep_that_is_no_part_of_the_project_leaves_the_pages_of_all_alone(gradreach, project):
    shutil.copytree(project / "results" / "digits", project / "results" / "mine")
    (project / "experiments" / "project.txt").write_text("digits\n", encoding="utf-8")
    gradreach("tables", "digits")
    before = files(project)
    code, out, _ = gradreach("tables", "mine")
    assert code == 0
    assert "No experiments/mine.py" in out
    assert "All experiments" not in out
    after = files(project)
    assert {path for path in before if after[path] != before[path]} <= {
        f"results/mine/{name}" for name in ("runs.csv", "summary.json", "README.md")
    }
    gradreach("tables")
    ledger = (project / "results" / "README.md").read_text(encoding="utf-8")
    page = (project / "results" / "report.html").read_text(encoding="utf-8")
    assert "digits" in ledger
    assert "(mine/README.md)" not in ledger
    assert 'id="mine"' not in page


def test_tables_that_are_shown_no_longer_are_removed_and_no_other_file(gradreach, project):
    gradreach("tables", "digits")
    folder = project / "results" / "digits"
    (folder / "mine.csv").write_text("x\n", encoding="utf-8")
    fewer = "\nSTUDY = replace(STUDY, show=STUDY.show[:1])\n"
    with (project / "experiments" / "digits.py").open("a", encoding="utf-8") as file:
        file.write(fewer)
    assert (folder / "steepest.csv").exists()
    gradreach("tables", "digits")
    assert not (folder / "steepest.csv").exists()
    assert not (folder / "steepest.tex").exists()
    assert (folder / "mine.csv").exists()
