"""Every command line of README.md and of the docs works where its reader meets it: in a clone, after ``make sweep``."""

import ast
import json
import lzma
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from typer.testing import CliRunner

from gradreach.cli import app
from gradreach.compose import Composer, all_jobs, configuration
from gradreach.config import plain
from gradreach.entry import prepared
from gradreach.errors import ConfigError
from gradreach.sweeps.plan import plan
from gradreach.sweeps.space import read_space
from project import PROJECT

PAGES = [PROJECT / "README.md", PROJECT / "README.zh.md", *sorted((PROJECT / "docs").glob("*.md"))]
PROGRAMS = "python|gradreach|make|pip|wandb|ray|optuna-dashboard"

NOT_RUN = {
    r"\. \.venv/bin/activate": "is of the shell",
    r"python run.py --help": "reads nothing: tests/test_command_line.py",
    r"git clone": "is how a reader gets here, and ends with make sweep",
    r"make |pip install": "sets up an environment; .ci/run makes lint, openwandb, test",
    r"wandb (login|sync|sweep|agent)": "needs an account",
    r"wandb leet": "is wandb's own, and reads keys",
    r"ray start": "is Ray's own, and needs a cluster",
    r"optuna-dashboard": "is Optuna's own, and serves until it is stopped",
    r"gradreach (sync|dashboard)|.*wandb:": "needs a W&B server: tests/tracking",
    r".*glove": "downloads 862 MB: tests/tasks/test_vectors.py",
    r"gradreach tables --check": "is a step of .ci/run",
    r".*[ =]mine": "follows its page step by step: tests/test_own_study.py, by make test-slow",
    r".*smooth": "follows its page step by step: tests/models/test_models_page.py",
    r".*majority": "follows its page step by step: tests/tasks/test_tasks_page.py",
    r".*halving": "follows its page step by step: tests/training/test_training_page.py",
    r"python (docs/|benchmarks/|-m benchmarks)": "takes minutes: tests/slow/test_sanity.py, tests/test_benchmarks.py",
    r"gradreach time": "takes a minute, and TREC: tests/test_time.py",
    r"gradreach (init|run)": "works in a folder of its own: tests/test_packaging.py",
    r"gradreach table .*test_length": "reads a sweep of its own: tests/training/test_by_length.py",
    r"gradreach reproduce (mnist1d|kim2014)": "trains for minutes: tests/published",
    r"gradreach weights": "names a run of the reader's own: tests/test_weights.py",
    r"python run.py -m model=cnn seq_len=64 kernel_size=3,200": "is shown with its refusal, and tested with it below",
}
"""What begins so is not run by the tests below, and why; every other line is."""
SLOW = {
    r"gradreach tables$": "draws all pictures there are",
    r"gradreach status$": "plans all studies",
    r"gradreach tables padding --results-dir": "reads a sweep that the slow tests make",
}
"""What begins so is run by the slow tests alone."""
PLANNED = {
    r".*(hydra/launcher=ray_cluster|hydra/launcher=slurm)": "needs a cluster: tests/slow/test_launchers.py",
    r".*experiment=padding$": "takes an hour; its quick form has the same shape",
}
"""What begins so is composed and checked, but not run even by the slow tests."""
REDUCED = ["trainer.epochs=1", "trainer.limit_train_batches=2", "tracking=off"]
"""What the slow tests add to a line that trains: two batches show that all of it works."""
ONE_PART = "hydra.sweeper.parts.chrono=null"
ROWS = range(100)
TEXTS = [f"word{i} and {i % 7}" for i in ROWS]
FILES = {
    "reviews.csv": "review,stars,rating\n" + "".join(f"{TEXTS[i]},{i % 2},{i / 7}\n" for i in ROWS),
    "plain.csv": "".join(f"{i % 2};{TEXTS[i]}\n" for i in ROWS),
    "data/train.jsonl.xz": "".join(json.dumps({"label": i % 2, "text": TEXTS[i]}) + "\n" for i in ROWS),
    "data/test.jsonl.xz": "".join(json.dumps({"label": i % 2, "text": f"another {i}"}) + "\n" for i in ROWS),
}
"""What a reader of docs/tasks.md has."""
DATA = Path(os.environ.get("GRADREACH_DATA_DIR") or PROJECT.parent / "shared" / "data")
PUBLISHED = {"kim", "ucr_uea"}
"""Folders of data that pages name."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page: language and text."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    """Return the command lines of a page: of its shell blocks, of its indented blocks, and whole ones in its text."""
    text = page.read_text(encoding="utf-8")
    found = []
    for language, block in blocks(page):
        if language in ("sh", "bash"):
            found += [line for line in block.splitlines() if line.strip()]
        elif language in ("", "console"):
            found += [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found += re.findall(rf"^    ((?:{PROGRAMS}) .*)$", outside, re.MULTILINE)
    found += [line for line in re.findall(rf"`((?:{PROGRAMS}) [^`]+)`", outside) if not re.search("[<…]|NAME", line)]
    return [re.sub(r"\s+#.*", "", line) for line in found]


PYTHON = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(block for language, block in blocks(page) if language == "python")
]

LINES = list(dict.fromkeys(line for page in PAGES for line in commands(page)))


def begins(line: str, *lists: dict[str, str]) -> bool:
    return any(re.match(start, line) for one in lists for start in one)


RUN = [line for line in LINES if not begins(line, NOT_RUN)]
TRAINING = [line for line in RUN if line.startswith("python run.py")]
READING = [line for line in RUN if line.startswith("gradreach ")]


def test_every_line_is_run_or_stands_in_the_list_of_those_that_are_not() -> None:
    assert len(LINES) > 50
    assert [line for line in RUN if line not in TRAINING + READING] == []
    unused = [start for start in (*NOT_RUN, *SLOW, *PLANNED) if not any(re.match(start, line) for line in LINES)]
    assert unused == []


def test_a_line_that_is_not_listed_is_run() -> None:
    assert not begins("python run.py model=lstm", NOT_RUN)
    assert not begins("gradreach tables quickstart", NOT_RUN, SLOW)


@pytest.mark.parametrize("block", PYTHON)
def test_what_a_page_imports_is_there(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "gradreach":
            try:
                exec(ast.unparse(node), {})
            except ImportError as error:
                if "pip install" not in str(error):
                    raise
                pytest.skip(str(error))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone holds, data, and the files of docs/tasks.md."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("conf", "docs", "experiments", "results"):
        ignored = shutil.ignore_patterns("runs", "wandb", "quick", "debug", "__pycache__")
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    for name in ("README.md", "run.py"):
        shutil.copy(PROJECT / name, folder)
    (folder / "data").mkdir()
    for name in PUBLISHED:
        if (DATA / name).is_dir():
            (folder / "data" / name).symlink_to(DATA / name)
    for name, text in FILES.items():
        content = text.encode()
        (folder / name).write_bytes(lzma.compress(content) if name.endswith(".xz") else content)
    return folder


@pytest.fixture(scope="module")
def swept(clone: Path) -> Path:
    """The clone after ``make sweep``, of which one seed, two models, two lengths and an epoch are enough."""
    small = f"model=lstm,tcn seq_len=10,40 seed=0 {ONE_PART} hydra.sweeper.parts.tcn=null"
    run(clone, f"python run.py -m experiment=quickstart {small} {shlex.join(REDUCED)}")
    return clone


def words(line: str, folder: Path) -> list[str]:
    """Return what a shell would make of a line."""
    if any(f"{name}/" in line and not (DATA / name).is_dir() for name in PUBLISHED):
        pytest.skip("real data are absent: set GRADREACH_DATA_DIR to their folder")
    return [word.replace("$PWD", str(folder)) for word in shlex.split(line)]


def run(folder: Path, line: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    done = subprocess.run(
        [sys.executable, *words(line, folder)[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", [line for line in READING if not begins(line, SLOW)])
def test_a_line_that_reads_works_after_the_sweep(line: str, swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(swept)
    answer = CliRunner().invoke(app, words(line, swept)[1:])
    assert answer.exit_code == 0, answer.output + str(answer.exception)


def test_frames_are_read_as_the_page_of_results_says(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(swept)
    (reads,) = [each.values[0] for each in PYTHON if each.id == "results.md-0"]
    read: dict[str, Any] = {}
    exec(reads, read)
    assert all(len(read[name]) for name in ("runs", "profiles", "history"))


def checked_before_the_start(line: str, folder: Path) -> None:
    """Do of a line that trains all that is done before anything is trained."""
    overrides = words(line, folder)[2:]
    with configuration(folder / "conf"):
        if "-m" not in overrides:
            prepared(plain(compose("config", overrides=overrides)))
            return
        overrides.remove("-m")
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", overrides, RunMode.MULTIRUN)
        arguments = list(master.hydra.overrides.task)
        if master.hydra.sweeper._target_.endswith("SearchSweeper"):
            space = read_space(master.hydra.sweeper.params, arguments)
            jobs = [space.overrides(values) for values in space.ends()]
        else:
            jobs = [list(job) for job in all_jobs(loader, master, arguments)]
        assert plan(jobs, Composer(loader, master).compose)


@pytest.mark.parametrize("line", TRAINING)
def test_a_line_that_trains_passes_all_checks_before_the_start(
    line: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training is what the slow tests do."""
    monkeypatch.chdir(clone)
    checked_before_the_start(line, clone)


def test_a_line_that_is_shown_with_its_refusal_gets_it(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    shown = re.findall(r"^\$ (python run.py .*)\ngradreach: (.*)$", PAGES[0].read_text("utf-8"), re.MULTILINE)
    assert shown
    for line, message in shown:
        with pytest.raises(ConfigError) as refused:
            checked_before_the_start(line, clone)
        assert str(refused.value) == message


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in TRAINING if not begins(line, PLANNED)])
def test_a_line_that_trains_trains(line: str, clone: Path) -> None:
    several = ["seed=0"] if " -m " in line and "experiment=quickstart" not in line else []
    run(clone, f"{line} {shlex.join([*REDUCED, *several])}")


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in READING if begins(line, SLOW)])
def test_a_line_that_reads_for_long_works(line: str, swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After those above: one of them reads what they made."""
    monkeypatch.chdir(swept)
    answer = CliRunner().invoke(app, words(line, swept)[1:])
    assert answer.exit_code == 0, answer.output + str(answer.exception)
