"""docs/training.md does what it says."""

import json
import re
import subprocess
import sys

import pytest
import torch
import yaml

from project import PROJECT

PAGE = (PROJECT / "docs" / "training.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_a_users_callback_and_logger_do_what_the_page_says(run_py, tmp_path, monkeypatch):
    (tmp_path / "halving.py").write_text(blocks("python")[1])
    line = blocks("sh")[1]
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # beside run.py, it would be there without
    said = subprocess.run(
        [sys.executable, str(PROJECT / "run.py"), *line.split()[2:], "model.width=4", "tracking=off"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    (path,) = (tmp_path / "results" / "runs").glob("*/record.json")
    record = json.loads(path.read_text())
    assert record["config"]["callbacks"] == {"halving": {"_target_": "halving.Halving", "after": 2}}
    assert (tmp_path / "results" / "logs" / "csv" / record["run_id"] / "metrics.csv").exists()


def test_the_chosen_weights_are_kept_and_loaded_as_printed(run_py, tmp_path, monkeypatch, capsys):
    do, *look = (line.partition("  #")[0].split() for line in blocks("sh")[0].splitlines())
    assert run_py(*do[2:], "model.width=4", "trainer.epochs=2", "tracking=off").returncode == 0
    (record,) = (tmp_path / "results" / "runs").glob("*/record.json")
    monkeypatch.chdir(tmp_path)
    for line in look:
        said = subprocess.run(
            [sys.executable, "-m", *(word.replace("0123456789abcdef", record.parent.name) for word in line)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stderr
        kept = torch.load(said.stdout.strip(), weights_only=True)
        assert all(isinstance(value, torch.Tensor) for value in kept.values())
    exec(blocks("python")[0].replace("0123456789abcdef", record.parent.name), {})
    found, told = re.fullmatch(r"tensor\(([\d.]+)\) ([\d.]+)\n", capsys.readouterr().out).groups()
    assert float(found) == pytest.approx(float(told), abs=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_the_module_trains_in_a_users_trainer_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    exec(blocks("python")[2], {})
    accuracy, norm = (float(number) for number in re.findall(r"tensor\(([\d.]+)\)", capsys.readouterr().out))
    assert 0 < accuracy <= 1
    assert norm > 0


def test_every_setting_of_the_trainer_has_a_line():
    settings = set(yaml.safe_load((PROJECT / "conf" / "trainer" / "default.yaml").read_text()))
    table = " ".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))
    assert settings <= set(re.findall(r"[a-z]\w+", table.replace("trainer.", "")))
