"""A finished run that is met again: what is said is the same, and what doing it takes is not imported."""

import subprocess
import sys

import pytest

from gradreach.config import parse, parts, plain
from gradreach.entry import met_again
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.system.provenance import code_digest
from project import PROJECT, SMALL

HEAVY = {"torch", "pytorch_lightning", "pandas", "wandb", "scipy", "sklearn", "matplotlib", "numba"}
LINE = ["model=cnn", "model.readout=last", *SMALL]
"""Of which there is something to be noted: the last state does not see all steps."""
WATCHED = """
import atexit, runpy, sys
atexit.register(lambda: print("imported:", *sorted({HEAVY} & sys.modules.keys()), file=sys.stderr))
sys.argv = ["run.py", *{arguments}]
runpy.run_path({program!r}, run_name="__main__")
"""


def test_a_finished_run_met_again_is_told_in_the_same_words_without_what_it_was_done_with(run_py, tmp_path):
    assert run_py(*LINE).returncode == 0
    code = WATCHED.format(HEAVY=HEAVY, arguments=LINE, program=str(PROJECT / "run.py"))
    again = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    in_other_words = run_py(*LINE, "model.width=4.0")  # which only the constructor's signature knows to be the same
    assert again.stdout == in_other_words.stdout
    assert "test accuracy" in again.stdout
    assert "steps" in in_other_words.stderr
    assert again.stderr == in_other_words.stderr + "imported:\n"
    assert (again.returncode, in_other_words.returncode) == (0, 0)


@pytest.fixture
def values(composed, tmp_path):
    return lambda *overrides: plain(composed(f"results_dir={tmp_path / 'results'}", *overrides))


@pytest.fixture
def recorded(values, tmp_path):
    """Write the record of a run, and return it."""

    def call(*overrides, **told):
        run, _ = parse(values(*overrides))
        made = {"run_id": run.run_id, "status": "finished", "config": run.canonical(), "code": code_digest(), **told}
        RecordStore(tmp_path / "results" / "runs").write(made, [{"epoch": 1, "step": 17}])
        return made

    return call


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_settled_run_is_met_by_what_is_composed(values, recorded, status):
    made = recorded("seed=3", status=status)
    run, _, record = met_again(values("seed=3", "threads=2", "tracking=off"))
    assert run.run_id == record["run_id"] == made["run_id"]
    assert met_again(values("seed=4")) is None


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_a_run_that_is_not_settled_is_not_met(values, recorded, status):
    recorded(status=status, error="why")
    assert met_again(values()) is None


def test_a_run_of_other_code_is_not_met(values, recorded):
    recorded(code="0" * 12)
    assert met_again(values()) is None


@pytest.mark.parametrize(
    "overrides",
    [
        ["force=true"],
        ["logger=csv"],
        ["callbacks=early_stopping"],
        ["model._target_=broken.Broken"],
        ["task._target_=broken.Task"],
        ["device=cuda:9"],
        ["seq_len=0"],
        ["+model.more=.nan"],
    ],
    ids="".join,
)
def test_what_is_not_ours_alone_or_cannot_be_is_found_out_the_long_way(values, recorded, overrides):
    recorded()
    assert met_again(values()) is not None
    assert met_again(values(*overrides)) is None


def test_a_run_whose_files_are_damaged_is_not_met(values, recorded, tmp_path, capsys):
    made = recorded()
    path = tmp_path / "results" / "runs" / made["run_id"] / "history.csv"
    path.write_bytes(path.read_bytes().replace(b"17", b"18"))
    assert met_again(values()) is None
    assert "the run counts as not done" in capsys.readouterr().err


GROUPS = [
    (group, path.stem) for group in ("model", "task") for path in sorted((PROJECT / "conf" / group).glob("*.yaml"))
]


@pytest.mark.parametrize(("group", "option"), GROUPS, ids=lambda word: word)
def test_every_model_and_task_is_composed_in_the_words_of_its_record(values, group, option):
    file = ["task.file=a.csv"] if option.endswith(("_file", "_values")) else []
    composed = values(f"{group}={option}", *file)
    assert parts(composed)[0].run_id == parse(composed)[0].run_id


@pytest.mark.parametrize("unused", ["task.train_lengths=null", "task.per_step=false", "model.kernel_sizes=null"])
def test_what_one_component_does_not_use_is_no_setting_of_another(values, unused):
    with pytest.raises(ConfigError, match=f"{unused.partition('=')[0]}: there is no such setting"):
        parse(values("task=digits", "model=lstm", f"+{unused}"))
