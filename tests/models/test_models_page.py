"""What docs/models.md tells to do works, word for word."""

import re
import shutil
from pathlib import Path

import pytest
import torch

from gradreach.config import parse
from gradreach.describe import compose
from gradreach.runner import assemble, check

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]


def test_the_new_encoder_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf" / "model" / "smooth.yaml").write_text(block("yaml"), encoding="utf-8")
    (tmp_path / "smooth.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    run, workplace = parse(compose(["model=smooth", "model.match_params=1000"], tmp_path / "conf"))
    task, planned = check(run, workplace)
    model = assemble(run, workplace)[1]
    assert abs(planned.parameter_count - 1000) <= 7
    assert model(torch.randn(3, task.shape.length, 1)).shape == (3, 10)
    assert len(block("python").splitlines()) <= 40


def test_every_model_stands_on_the_page() -> None:
    named = set(re.findall(r"`([a-z0-9_]+)`", "".join(line for line in PAGE.splitlines() if line.startswith("| `"))))
    assert {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")} <= named
