"""What docs/experiments.md tells to do works, word for word; and nobody else's results change by it."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from project import PROJECT

PAGE = (PROJECT / "docs" / "experiments.md").read_text(encoding="utf-8")


def block(language):
    """Return the first block of the page in a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A project with two committed studies, and a call of its commands in it."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("conf", "docs", "experiments"):
        shutil.copytree(PROJECT / name, folder / name)
    for name in ("quickstart", "pooling"):
        shutil.copytree(PROJECT / "results" / name, folder / "results" / name)
    shutil.copy(PROJECT / "run.py", folder)
    (folder / "conf" / "experiment" / "mine.yaml").write_text(block("yaml"), encoding="utf-8")

    def call(*line):
        return subprocess.run(
            [sys.executable, *line], cwd=folder, capture_output=True, text=True, timeout=600, check=False
        )

    return folder, call


def tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if "__pycache__" not in path.parts}


@pytest.mark.slow
def test_a_sweep_has_a_page_and_with_its_study_question_verdict_and_answer(clone):
    folder, call = clone
    before = tree(folder)
    swept = call("run.py", "-m", "experiment=mine", "tracking=off")
    assert swept.returncode == 0, swept.stderr
    assert "28 runs: 28 finished" in swept.stdout
    line = shlex.split(swept.stdout.rpartition("tables and figures: ")[2].splitlines()[0])
    assert line[-2:] == ["tables", "mine"]
    shown = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    page = (folder / "results" / "mine" / "README.md").read_text(encoding="utf-8")
    assert "No experiments/mine.py" in page
    assert {"accuracy.png", "reach.png"} <= {path.name for path in (folder / "results" / "mine").iterdir()}

    (folder / "experiments" / "mine.py").write_text(block("python"), encoding="utf-8")
    judged = call("-m", "gradreach", "tables", "mine")
    assert (judged.returncode, judged.stderr) == (0, "")
    page = (folder / "results" / "mine" / "README.md").read_text(encoding="utf-8")
    answer = re.search(r'"(Yes: [^"]*)"', block("python"))
    assert answer
    assert f"\n\n**{answer[1]}**\n" in page
    assert "| ✔ more symbols are recalled | supported |" in page
    assert "No digest of this rule was stored when the sweep was planned" in page  # the study came after the runs
    assert call("-m", "gradreach", "tables", "mine", "--check").returncode == 0
    summary = folder / "results" / "mine" / "summary.json"
    found = summary.read_text(encoding="utf-8")
    first, _, rest = found.rpartition('"state": "supported"')  # one outcome of the last part
    summary.write_text(f'{first}"state": "refuted"{rest}', encoding="utf-8")
    flipped = call("-m", "gradreach", "tables", "mine", "--check")
    assert (flipped.returncode, "mine/summary.json: differs from what the records give" in flipped.stdout) == (1, True)
    summary.write_text(found, encoding="utf-8")

    after = tree(folder)
    assert {name for name in before if after.get(name) != before[name]} == set()
    new = {name.split("/")[1] for name in after.keys() - before.keys() if name.startswith("results/")}
    assert new <= {"mine", "runs"}


@pytest.mark.slow
def test_a_study_that_was_there_when_its_sweep_was_planned_has_its_digest_stored(clone):
    folder, call = clone
    if not (folder / "results" / "mine").exists():
        pytest.skip("needs the runs of the test above")
    (folder / "experiments" / "mine.py").write_text(block("python"), encoding="utf-8")
    shutil.rmtree(folder / "results" / "mine")
    assert call("run.py", "-m", "experiment=mine", "tracking=off").returncode == 0
    call("-m", "gradreach", "tables", "mine")
    page = (folder / "results" / "mine" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"stored on \d{4}-\d\d-\d\d, when 28 of its runs had been done; the rule has not changed", page)
    changed = block("python").replace(".above(5)", ".above(50)")
    (folder / "experiments" / "mine.py").write_text(changed, encoding="utf-8")
    told = call("-m", "gradreach", "tables", "mine")
    assert told.returncode == 0
    page = (folder / "results" / "mine" / "README.md").read_text(encoding="utf-8")
    assert "the rule has changed since" in page
    assert "Yes: " not in page  # the answer was written for other outcomes


def test_a_part_that_leaves_a_swept_setting_open_is_refused_before_anything_runs(clone):
    folder, call = clone
    opened = block("python").replace(
        'compare("test/accuracy", OPENED, DEFAULT, over="seq_len")', 'value("test/accuracy", {"model": "lstm"})'
    )
    (folder / "experiments" / "mine.py").write_text(opened.replace("table\n", "table, value\n"), encoding="utf-8")
    kept = tree(folder / "results")
    refused = call("run.py", "-m", "experiment=mine", "tracking=off", "seed=7,8,9")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "part “more symbols are recalled”: lstm: seq_len is not fixed (10, 20); give over='seq_len'" in line
    assert tree(folder / "results") == kept
