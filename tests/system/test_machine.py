"""Denormal numbers are zero where training happens, numbers in the instrument, and left alone in the user's process."""

import subprocess
import sys

import pytest
import torch

from gradreach.diagnostics import Instrument
from gradreach.records import RecordStore
from gradreach.runner import execute
from gradreach.system import machine

TINY = """
import resource, torch
from gradreach.system import machine

def left(dtype):  # of a number so small that it is denormal, in every thread that computes
    numbers = torch.full((1 << 22,), torch.finfo(dtype).tiny, dtype=dtype)
    return int((numbers / 4 > 0).sum())
"""


def alone(code: str) -> list[str]:
    """Run code in a process of its own; return the lines it prints."""
    done = subprocess.run([sys.executable, "-c", TINY + code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_training_flushes_in_all_threads_of_a_process_that_is_ours_and_the_instrument_does_not() -> None:
    said = alone("""
machine.take_over()
with machine.training(threads=2):
    print(left(torch.float32), left(torch.float64))
    with machine.exactly():
        print(left(torch.float32), left(torch.float64), torch.get_num_threads())
    print(left(torch.float32), torch.get_num_threads())
print(machine.flushes())
""")
    assert said == ["0 0", f"{1 << 22} {1 << 22} 1", "0 2", "False"]


def test_threads_of_somebody_elses_process_keep_denormal_numbers() -> None:
    said = alone("""
with machine.training(threads=2):
    pass
torch.set_num_threads(2)
print(left(torch.float32))
with machine.training(threads=1):
    print(left(torch.float32), torch.get_num_threads())
print(left(torch.float32), torch.get_num_threads())
try:
    with machine.training(threads=1):
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print(left(torch.float64))
""")
    assert said == [str(1 << 22), "0 1", f"{1 << 22} 2", str(1 << 22)]


def test_a_run_leaves_the_process_as_it_was(configured, monkeypatch) -> None:
    seen = []
    measure = Instrument.measure

    def watched(self, stage, passed=None):
        loss = self.probe.loss

        def looking(output, target):
            seen.append(("instrument", machine.flushes()))
            return loss(output, target)

        self.probe.loss = looking
        found = measure(self, stage, passed)
        self.probe.loss = loss
        seen.append(("beside it", machine.flushes()))
        return found

    monkeypatch.setattr(Instrument, "measure", watched)
    threads = torch.get_num_threads()
    run, environment = configured("model=rnn", "model.width=4", "trainer.epochs=1")
    assert execute(run, environment, lambda row: seen.append(("training", machine.flushes())))["status"] == "finished"
    assert set(seen) == {("instrument", False), ("beside it", True), ("training", True)}
    assert not machine.flushes()
    assert torch.get_num_threads() == threads


def test_other_libraries_are_held_to_the_threads_of_the_run() -> None:
    said = alone("""
import threadpoolctl
with machine.training(threads=1, compiled=True):
    print({pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
    print(any("scipy.libs" in pool["filepath"] for pool in threadpoolctl.threadpool_info()))
""")
    assert said == ["{1}", "True"]


def test_memory_of_a_process_that_is_ours_is_kept() -> None:
    def faults(before: str) -> int:
        return int(
            alone(f"""
{before}
for step in range(30):
    if step == 20:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(1 << 24)  # 64 MiB, given back at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
""")[0]
        )

    if sys.platform != "linux":
        pytest.skip("the C library of this system cannot be told")
    usual, kept = faults(""), faults("machine.take_over()")
    assert kept < usual / 10


@pytest.mark.parametrize("model", ["lstm", "gru"])
def test_flushing_changes_no_printed_digit(configured, monkeypatch, model) -> None:
    quick = ["task.train_size=512", "task.validation_size=256", "task.test_size=256", "trainer.epochs=1"]
    line = ["task=recall", f"model={model}", "kernels=torch", "seq_len=200", *quick, "force=true"]
    run, environment = configured(*line)
    with_it = execute(run, environment)
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    without = execute(run, environment)
    profile = RecordStore(environment.results_dir / "runs").read_profile(run.run_id)
    assert profile["median"].min() < -38  # there was something to flush: such gradients are denormal in float32
    names = ["test/accuracy", "val/accuracy", "gradient/start/x.reach", "gradient/end/x.reach", "gradient/end/h.reach"]
    for name in names:
        assert f"{with_it['metrics'][name]:.6g}" == f"{without['metrics'][name]:.6g}", name
