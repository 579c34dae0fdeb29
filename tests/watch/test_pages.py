"""What docs/watch.md and the notebooks show, run."""

import os
import re
import sys
import warnings
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "watch.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=["Lightning", "Hugging Face", "plain loop"])
def test_an_example_of_the_page_runs(block, tmp_path, monkeypatch, capsys):
    if "transformers" in block:
        pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(block, {"__name__": "example"})
    assert capsys.readouterr().out.strip()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_model", "vanishing_gradient"])
def test_a_notebook_runs(name, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel", reason="a notebook needs a kernel")
    notebook = nbformat.read(DOCS / "notebooks" / f"{name}.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # what is committed is what was written
    notebook.metadata["kernelspec"]["name"] = "python3"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
        client.execute(env=os.environ | {"PYTHONPATH": ":".join(sys.path)})
    shown = nbformat.writes(notebook)  # pictures of sliders stand in the state of their widgets
    assert "image/png" in shown
    assert '"error"' not in shown
