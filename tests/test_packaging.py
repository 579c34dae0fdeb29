"""Installed as people install it: a wheel alone gives the instrument, with ``[bench]`` all the rest, in any folder."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from gradreach.errors import ConfigError
from gradreach.scaffold import lay_out
from project import PROJECT

FIVE_LINES = """
import torch
from torch import nn
from gradreach.diagnostics import Batch, gradient_profile, reach
class Last(nn.Module):
    def forward(self, given): return given[0][:, -1]
model = nn.Sequential(nn.LSTM(1, 8, batch_first=True), Last(), nn.Linear(8, 2))
batch = Batch(torch.randn(16, 50, 1), None, torch.arange(16) % 2)
profile = gradient_profile(model, batch, nn.CrossEntropyLoss(reduction="none"))
print(reach(profile[profile["quantity"] == "h"]))
from gradreach.watch import watch
def loss(model, probe): return nn.functional.cross_entropy(model(probe[0]), probe[1], reduction="none")
with watch(model, (batch.x, batch.target), loss) as watcher:
    print(watcher.measure("now")["gradient/reach/0"])
try:
    from gradreach.watch import GradientReach
except ImportError as error:
    print(error)
"""


def call(*command: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=900, check=False, **options)


def done(*command: object, **options: object) -> str:
    ran = call(*command, **options)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return sdist and wheel."""
    pytest.importorskip("uv", reason="uv builds them; make test-slow installs it")
    out = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "uv", "build", "--out-dir", out, PROJECT)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def installed(folder: Path, what: str) -> Path:
    """Install into a fresh environment, and return where its programs are."""
    done(sys.executable, "-m", "venv", folder)
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done(folder / "bin" / "python", *pip, "--constraint", PROJECT / "requirements.lock", what)
    return folder / "bin"


@pytest.mark.slow
def test_archives_hold_what_they_must_and_no_results(built):
    sdist, wheel = built
    in_wheel = zipfile.ZipFile(wheel).namelist()
    template = {f"gradreach/template/{name}" for name in ("run.py", "example.py", "example.yaml", "conf/config.yaml")}
    assert {"gradreach/py.typed", "hydra_plugins/gradreach.py", *template} <= set(in_wheel)
    with tarfile.open(sdist) as archive:
        in_sdist = [name.partition("/")[2] for name in archive.getnames()]
    assert {"src/gradreach/py.typed", "conf/config.yaml", "run.py", "LICENSE", "README.md"} <= set(in_sdist)
    assert not [name for name in in_wheel + in_sdist if name.startswith(("results", "tests"))]


@pytest.mark.slow
def test_the_wheel_alone_gives_the_instrument(built, tmp_path):
    programs = installed(tmp_path / "light", str(built[1]))
    said = done(programs / "python", "-c", FIVE_LINES, cwd=tmp_path).splitlines()
    assert 0 < float(said[0]) < 49
    assert said[1] == said[0]
    assert said[2] == "GradientReach needs pytorch-lightning: pip install pytorch-lightning"
    refused = call(programs / "gradreach", "tables", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == "gradreach: needs typer: pip install 'gradreach[bench]'\n"


@pytest.mark.slow
def test_an_empty_folder_becomes_a_project(built, tmp_path):
    programs = installed(tmp_path / "bench", f"{built[0]}[bench]")
    gradreach, folder = programs / "gradreach", tmp_path / "mine"
    said = done(gradreach, "init", folder, cwd=tmp_path)
    assert (
        said.splitlines()[1] == f"now: cd {folder} && gradreach run -m experiment=example && gradreach tables example"
    )
    small = ["trainer.epochs=1", "task.train_size=64", "seq_len=10", "seed=0", "model=rnn,gru"]
    done(gradreach, "run", "-m", "experiment=example", *small, cwd=folder)
    assert "2 runs: 2 finished" in done(gradreach, "status", "example", *small, cwd=folder)
    assert "Who recalls what came first?" in done(gradreach, "tables", "example", cwd=folder)
    assert (folder / "results" / "example" / "README.md").is_file()
    done(gradreach, "run", "model=lstm", "task=digits", *small[:1], cwd=folder)
    assert "python run.py" in done(gradreach, "run", "--help", cwd=folder)


def test_init_lays_out_what_run_py_composes(tmp_path):
    assert lay_out(tmp_path / "mine") == ["run.py", "conf", "experiments", ".gitignore"]
    laid = {path.relative_to(tmp_path / "mine").as_posix() for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert {"run.py", "conf/config.yaml", "conf/experiment/example.yaml", "experiments/example.py"} <= laid
    assert [name for name in laid if name.startswith("conf/experiment/")] == ["conf/experiment/example.yaml"]
    line = [sys.executable, "run.py", "model=gru", "--cfg", "job"]
    assert "name: gru" in done(*line, cwd=tmp_path / "mine")


@pytest.mark.parametrize("name", ["run.py", "conf", "experiments"])
def test_init_overwrites_nothing(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="already exists") as refused:
        lay_out(tmp_path)
    assert name in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_run_says_where_it_can_run(tmp_path):
    ran = call(sys.executable, "-m", "gradreach", "run", "-m", "seed=0,1", cwd=tmp_path)
    assert ran.returncode == 2
    assert "run.py: is not in this folder; gradreach init creates it here" in ran.stderr
