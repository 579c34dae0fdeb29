"""What docs/models.md tells to do works, word for word."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]


def call(folder: Path, *command: str) -> str:
    """Run what the page says in a folder, and return what it prints."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.slow
def test_the_new_encoder_of_the_page_works(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copy(ROOT / "run.py", tmp_path)
    (tmp_path / "conf" / "model" / "smooth.yaml").write_text(block("yaml"), encoding="utf-8")
    (tmp_path / "smooth.py").write_text(block("python"), encoding="utf-8")
    assert len(block("python").splitlines()) <= 40

    gradreach = str(Path(sys.executable).with_name("gradreach"))
    described = call(tmp_path, gradreach, "describe", "model=smooth", "model.match_params=1000")
    assert "smooth.Smooth" in described
    assert abs(int(re.findall(r"parameters +(\d[\d,]*)", described)[-1].replace(",", "")) - 1000) <= 7
    call(tmp_path, sys.executable, "run.py", "model=smooth", "trainer.epochs=1", "diagnostics=off")
    assert "1 finished" in call(tmp_path, gradreach, "status", "model=smooth", "trainer.epochs=1", "diagnostics=off")


def test_every_model_stands_on_the_page() -> None:
    named = set(re.findall(r"`([a-z0-9_]+)`", "".join(line for line in PAGE.splitlines() if line.startswith("| `"))))
    assert {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")} <= named
