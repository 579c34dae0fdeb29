"""Compiled once, then taken from numba's cache, whatever state that is in; nothing is imported before its use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from gradreach.errors import ConfigError, advise
from gradreach.kernels import compile_all, installed
from gradreach.kernels.compiled import loop

TRAIN = """
import hashlib, json, sys, torch
from gradreach import kernels

torch.set_num_threads(1)
digest, hits = hashlib.sha256(), {}
for kind in sys.argv[1].split(","):
    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(2, 24, batch_first=True)
    kernels.accelerate(layer)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(20):
        x = (4 * torch.randn(16, 30, 2)).requires_grad_()
        states, last = layer(x)
        optimizer.zero_grad()
        (states.square().sum() + last.sum()).backward()
        optimizer.step()
        for tensor in (states, x.grad, *layer.parameters()):
            digest.update(tensor.detach().numpy().tobytes())
    if "numba" in sys.modules:
        names = kernels.compiled.LOOPS[kind]
        hits |= {name: sum(kernels.compiled.loop(name).stats.cache_hits.values()) for name in names}
print(json.dumps({"bits": digest.hexdigest(), "hits": hits}))
"""


def start(cache: Path | str, *arguments: str, code: str = TRAIN, **environment: str) -> "subprocess.Popen[str]":
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[dict, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out), err


def test_a_process_that_compiles_and_one_that_loads_give_the_same_bits(tmp_path):
    (made, said), (found, said_again) = (ended(start(tmp_path, "RNN,GRU")) for _ in range(2))
    assert set(made["hits"].values()) == {0}
    assert set(found["hits"].values()) == {1}
    assert made["bits"] == found["bits"]
    assert said == said_again == ""


@pytest.mark.slow
def test_processes_that_start_together_on_an_empty_cache_give_the_same_bits(tmp_path):
    together = [ended(process) for process in [start(tmp_path, "RNN") for _ in range(4)]]
    assert len({found["bits"] for found, _ in together}) == 1
    assert {said for _, said in together} == {""}
    assert set(ended(start(tmp_path, "RNN"))[0]["hits"].values()) == {1}
    names = {file.name.split("-")[0] for file in tmp_path.rglob("*.nbi")}
    assert names == {"loops.rnn_forward", "loops.rnn_backward"}, "an RNN compiles no GRU"


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch, capsys, ending):
    """The index, and the compiled loop: cut to half, to nothing, and replaced by something else."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    anew = loop.__wrapped__
    anew("rnn_backward")
    for damage in (lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"\x80\x04garbage." * 9):
        (file,) = tmp_path.rglob(f"*.{ending}")
        file.write_bytes(damage(file.read_bytes()))
        assert not anew("rnn_backward").stats.cache_hits
        assert anew("rnn_backward").stats.cache_hits
    assert capsys.readouterr().err == ""


def test_where_nothing_can_be_kept_it_works_and_says_so_once(tmp_path):
    (tmp_path / "file").touch()
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    made, said = ended(start(tmp_path / "file" / "below", "RNN", **nowhere))
    assert set(made["hits"].values()) == {0}
    assert said.count("\n") == 1
    assert said.startswith("gradreach: note: numba's cache cannot be written")


def test_a_full_disk_does_not_end_a_run(monkeypatch, capsys, tmp_path):
    advise.cache_clear()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "replace", full)
    assert loop.__wrapped__("rnn_backward").signatures
    assert "cache cannot be written" in capsys.readouterr().err


NO_NUMBA = "import sys; sys.modules['numba'] = None\n"


def test_without_numba_all_works_in_torchs_loops_and_says_so_once(tmp_path):
    torchs, _ = ended(start(tmp_path, "RNN,GRU", code=TRAIN.replace("    kernels.accelerate(layer)\n", "")))
    found, said = ended(start(tmp_path, "RNN,GRU", code=NO_NUMBA + TRAIN.replace('"numba" in sys.modules', "False")))
    assert found["bits"] == torchs["bits"]
    assert said.count("\n") == 1
    assert said.startswith("gradreach: note: recurrent layers use torch's slower loops: ")
    assert "numba" in said


def test_without_numba_compiling_is_refused_with_the_reason(monkeypatch):
    loop.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "gradreach.kernels.loops", raising=False)
    assert not installed()
    with pytest.raises(ConfigError, match=r"^kernels=compiled: import of numba halted.*; install numba, or choose"):
        compile_all("RNN")


def test_compile_all_takes_kinds():
    assert installed()
    compile_all("RNN")
    compile_all()


@pytest.mark.parametrize("module", ["gradreach.kernels", "gradreach.diagnostics"])
def test_importing_is_light(tmp_path, module):
    code = f"import {module}, json, sys; print(json.dumps({{name: name in sys.modules for name in sys.argv[1:]}}))"
    heavy = ["numba", "wandb", "llvmlite", *(["scipy"] if module == "gradreach.kernels" else [])]
    found, _ = ended(start(tmp_path, *heavy, code=code))
    assert not any(found.values())
