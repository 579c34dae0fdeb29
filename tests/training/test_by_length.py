"""One training on short sequences, its weights tested and measured at longer ones: what a plain loop says."""

import io
import math
import re
import signal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from gradreach.batch import EVALUATION_BATCH, OneLength
from gradreach.cli import app
from gradreach.config import OptimizerSettings, TrainerSettings, parse, plain
from gradreach.diagnostics import figures, gradient_profile
from gradreach.display import RunDisplay
from gradreach.models import LSTM, Transformer, build
from gradreach.records import RecordStore
from gradreach.rounding import score_text
from gradreach.run_state import AT_LENGTH, Run
from gradreach.run_table.columns import as_frame, row
from gradreach.run_table.committed import read_runs, write_runs
from gradreach.run_table.lengths import by_test_length
from gradreach.runner import PROBED, execute, instruments_by_length
from gradreach.system.interruption import watched
from gradreach.tasks import IGNORED, Parity, Recall
from gradreach.tasks.synthetic import LEARNED
from gradreach.training import Diverged, fit
from gradreach.training.lengths import AtLength
from gradreach.weights import load_run
from project import bare_run

FEW = ["task.train_size=200", "task.validation_size=40", "task.test_size=60", "trainer.epochs=2", "model.width=5"]
LINE = [*FEW, "trainer.keep_weights=true", "diagnostics.examples=4"]
TASKS = {
    "recall": ["task=recall", "model.readout=last"],
    "copy": ["task=copy", "task.symbols=2", "task.values=3", "model.readout=each_step"],
    "adding": ["task=adding", "model.readout=last"],
}
LENGTHS = ["seq_len=12", "task.train_lengths=[5,12]", "task.test_lengths=[9,30]"]


@pytest.fixture(scope="module")
def done(tmp_path_factory, composed):
    def call(task, *more):
        results = tmp_path_factory.mktemp(task) / "results"
        here = ["tracking=off", f"results_dir={results}", "model=lstm", *LENGTHS, *TASKS[task], *LINE, *more]
        run, environment = parse(plain(composed(*here)))
        record = execute(run, environment)
        assert record["status"] == "finished", record.get("traceback")
        return record, environment.results_dir

    return call


@pytest.fixture(scope="module", params=TASKS)
def tested(request, done):
    return done(request.param)


def plainly(loaded, length):
    """Return loss and score at a length, example by example, of test sequences put together by hand."""
    task, losses, scores = loaded.task, [], []
    for number in range(len(task.test_blocks(length))):
        batch = task.test_block(length, number)
        for x, target in zip(batch.x, batch.target, strict=True):
            assert x.shape[0] == length
            answer = loaded.model(x[None])[0]
            if task.metric == "mse":
                losses.append(float((answer[0] - target) ** 2))
                scores.append(losses[-1])
                continue
            asked = [(answer, int(target))] if target.dim() == 0 else zip(answer, target.tolist(), strict=True)
            wanted = [(logits, goal) for logits, goal in asked if goal != IGNORED]
            losses.append(np.mean([-float(torch.log_softmax(logits, 0)[goal]) for logits, goal in wanted]))
            scores.append(np.mean([int(logits.argmax()) == goal for logits, goal in wanted]))
    return np.mean(losses), np.mean(scores), len(scores)


def test_scores_at_test_lengths_are_those_of_a_plain_loop_over_the_kept_weights(tested):
    record, results = tested
    loaded = load_run(record["run_id"], results)
    with torch.no_grad():
        for length in (9, 30):
            loss, score, n = plainly(loaded, length)
            assert n == 60
            metric = record["metric"]
            assert record["metrics"][f"test/loss/{length}"] == pytest.approx(loss, rel=1e-5)
            assert record["metrics"][f"test/{metric}/{length}"] == pytest.approx(score, rel=1e-5)


def test_validation_and_the_plain_test_are_of_the_training_range(tested):
    record, results = tested
    loaded = load_run(record["run_id"], results)
    splits = loaded.task.splits(None)
    with torch.no_grad():
        for stage, part in (("val", splits.validation), ("test", splits.test)):
            total = 0.0
            for batch in OneLength(part, 7):
                assert 5 <= batch.x.shape[1] <= 12
                total += float(loaded.task.loss(loaded.model(batch.x), batch.target).sum())
            assert record["metrics"][f"{stage}/loss"] == pytest.approx(total / len(part), rel=1e-5)


def test_reach_at_test_lengths_is_what_the_instrument_says_of_a_probe_of_that_length(tested):
    record, results = tested
    loaded = load_run(record["run_id"], results)
    kept = pd.DataFrame(RecordStore(results / "runs").read_table(record["run_id"], "profile_by_length"))
    for length in (9, 30):
        profile = gradient_profile(loaded.model, loaded.task.probe(length, 4), loaded.task.loss)
        found = {name: value for name, value in figures(profile).items() if name.partition(".")[2] in AT_LENGTH}
        told = {name for name in record["metrics"] if name.startswith("gradient/end/") and name.endswith(f"/{length}")}
        assert told == {f"gradient/end/{name}/{length}" for name in found}
        for name, value in found.items():
            assert record["metrics"][f"gradient/end/{name}/{length}"] == pytest.approx(value, rel=1e-9, nan_ok=True)
        same = kept[(kept["stage"] == "end") & (kept["test_length"] == length)].reset_index(drop=True)
        pd.testing.assert_frame_equal(same[list(profile)], profile, check_dtype=False)
    assert f"gradient/start/h.reach/{30}" in record["metrics"]


def test_a_training_epoch_is_what_a_plain_loop_over_drawn_batches_does(done):
    record, _ = done("recall", "trainer.epochs=1", "optimizer.schedule=constant")
    torch.manual_seed(0)
    task = Recall(seq_len=12, train_lengths=[5, 12], train_size=200, validation_size=40, test_size=60)
    task.prepare(None)
    model = build(LSTM, {"width": 5}, task.shape, readout="last")
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(0)).tolist()
    total = 0.0
    for number in order:
        generator = np.random.default_rng([0, LEARNED, 0, number])
        length = int(generator.integers(5, 13))
        n = 64 if number < 3 else 8
        x, target = task.at(length).draw(generator, n, "train")
        logits = model(torch.eye(12)[torch.from_numpy(x).long()])
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(target))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        total += n * float(loss.detach())
    assert record["metrics"]["train/loss"] == pytest.approx(total / 200, rel=1e-5)


def test_the_run_table_has_a_row_a_length_and_gives_it_back_from_what_is_committed(tested, tmp_path):
    record, _ = tested
    raw = as_frame([row(record)])
    write_runs(tmp_path / "runs.csv", raw)
    committed = read_runs(tmp_path / "runs.csv")
    for runs in (raw, committed):
        rows = by_test_length(runs)
        assert rows["test_length"].tolist() == [9, 30]
        for name in (f"test/{record['metric']}", "test/loss", "gradient/end/h.reach", "gradient/start/x.half_life"):
            assert rows[name].tolist() == [record["metrics"][f"{name}/{length}"] for length in (9, 30)]
        assert not [name for name in rows if name.startswith("test/f1")], "what is not told by length"
    pd.testing.assert_frame_equal(by_test_length(raw), by_test_length(committed), check_dtype=False)


def test_batches_of_long_sequences_cost_no_more_than_those_of_training(done):
    task = Recall(seq_len=20, test_lengths=[40, 20_000])
    task.prepare(None)
    for kind in (LSTM, Transformer):
        model = build(kind, {"width": 8}, task.shape, readout="last")
        most = EVALUATION_BATCH * model.multiply_adds(20)
        for length in (40, 20_000):
            loader = AtLength(task, length, model, "cpu")
            assert loader.batch_size == 1 or loader.batch_size * model.multiply_adds(length) <= most
            assert len(loader) == sum(-(-block // loader.batch_size) for block in task.test_blocks(length))
    assert AtLength(task, 40, model, "cpu").batch_size < EVALUATION_BATCH / 2, "attention grows with the square"
    some = Recall(seq_len=20, test_lengths=[40], test_size=70)
    assert sum(len(batch) for batch in AtLength(some, 40, model, "cpu")) == 70


def test_probes_of_long_sequences_hold_fewer_examples():
    task = Parity(seq_len=20, test_lengths=[40, PROBED, 2 * PROBED])
    task.prepare(None)
    found = instruments_by_length(build(LSTM, {"width": 2}, task.shape, readout="last"), task, 16)
    assert {length: len(each.probe.x) for length, each in found.items()} == {40: 16, PROBED: 1, 2 * PROBED: 1}


@pytest.mark.parametrize("moment", ["measured", "tested"])
def test_at_test_lengths_a_run_hears_that_it_is_to_stop_and_goes_on_later(composed, tmp_path, monkeypatch, moment):
    run, environment = parse(
        plain(composed("tracking=off", f"results_dir={tmp_path}", "model=lstm", *LENGTHS, *TASKS["recall"], *LINE))
    )
    given, measure, batches = list[int](), Run._measure_at, AtLength.__iter__

    def measured(self, *about):
        signal.raise_signal(signal.SIGTERM)
        measure(self, *about)

    def tested(self):
        for batch in batches(self):
            given.append(len(batch))
            if len(given) == 2:
                signal.raise_signal(signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patched, watched() as interruption:
        patched.setattr("gradreach.training.lengths.EVALUATION_BATCH", 5)
        patched.setattr("gradreach.system.interruption.GRACE_SECONDS", 0.0)
        patched.setattr("gradreach.system.interruption._asked_to_stop", False)  # and so again afterwards
        place, name, asked = (Run, "_measure_at", measured) if moment == "measured" else (AtLength, "__iter__", tested)
        patched.setattr(place, name, asked)
        stopped = execute(run, environment, interruption=interruption)
    assert (stopped["status"], "SIGTERM" in stopped["error"]) == ("interrupted", True)
    assert sum(given) <= 15, "of 60: within the test of a length"
    done = execute(run, environment)
    assert done["status"] == "finished", done.get("traceback")
    assert {"test/accuracy/30", "gradient/end/h.reach/30"} <= set(done["metrics"])


class Overflows(torch.nn.Module):
    """Answers short sequences; of long ones it gives no numbers."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(12, 12))

    def forward(self, x, lengths=None):
        return x[:, 0] @ self.weight + (torch.nan if x.shape[1] > 20 else 0.0)


def test_a_length_at_which_the_loss_is_no_number_has_no_score_and_counts_as_diverged():
    run, _ = bare_run(
        OptimizerSettings(name="adam", lr=0.01, weight_decay=0.0, schedule="constant"),
        TrainerSettings(epochs=1, batch_size=32, clip_norm=None),
    )
    task = Recall(seq_len=12, test_lengths=[20, 30], train_size=100, validation_size=40, test_size=60)
    done = fit(run, Overflows(), task, task.splits(None)).figures
    assert math.isfinite(done["test/loss/20"])
    assert done["test/accuracy/20"] > 0
    assert math.isnan(done["test/loss/30"])
    assert math.isnan(done["test/accuracy/30"])
    assert run.warnings == ["the test loss at 30 steps is nan; this length counts as diverged"]
    rows = by_test_length(pd.DataFrame([{"status": "finished", "task.test_lengths": "[20, 30]", **done}]))
    assert rows["status"].tolist() == ["finished", "diverged"]


def test_a_test_whose_loss_is_no_number_makes_a_run_that_has_diverged():
    run, _ = bare_run(
        OptimizerSettings(name="adam", lr=0.01, weight_decay=0.0, schedule="constant"),
        TrainerSettings(epochs=1, batch_size=32, clip_norm=None),
    )
    task = Recall(seq_len=12, train_size=100, validation_size=40, test_size=60)
    splits = task.splits(None)
    with pytest.raises(Diverged, match="the test loss is nan"):
        fit(run, Overflows(), task, splits._replace(test=task.at(30).splits(None).test))


def test_without_test_lengths_nothing_is_measured_by_length(done):
    record, results = done("recall", "task.test_lengths=null")
    assert not [name for name in record["metrics"] if name.rpartition("/")[2].isdigit()]
    assert not RecordStore(results / "runs").read_table(record["run_id"], "profile_by_length")


def test_one_training_length_may_be_tested_at_others(done):
    alone, _ = done("recall", "task.train_lengths=null", "task.test_lengths=null")
    beside, _ = done("recall", "task.train_lengths=null")
    assert alone["run_id"] != beside["run_id"]
    assert {key: beside["metrics"][key] for key in alone["metrics"]} == alone["metrics"]
    assert "test/accuracy/30" in beside["metrics"]


def test_the_command_line_makes_a_table_with_a_column_a_length(tested):
    record, results = tested
    asked = ["--columns", "test_length", "--value", f"test/{record['metric']}", "--format", "csv"]
    shown = CliRunner().invoke(app, ["table", "--results-dir", str(results), "--rows", "model", *asked])
    assert shown.exit_code == 0, shown.output
    rows = pd.read_csv(io.StringIO(shown.stdout))
    assert rows["test_length"].tolist() == [9, 30]
    scale = 1 if record["metric"] == "mse" else 100
    told = [scale * record["metrics"][f"test/{record['metric']}/{length}"] for length in (9, 30)]
    assert rows["mean"].tolist() == pytest.approx(told)


def test_the_end_of_a_run_tells_scores_and_reach_by_length(tested, capsys):
    record, results = tested
    environment = SimpleNamespace(results_dir=results, tracking=SimpleNamespace(mode="off"))
    RunDisplay(SimpleNamespace(trainer=SimpleNamespace(epochs=2))).result(record, environment)
    shown = capsys.readouterr().out
    score = score_text(record["metric"], record["metrics"][f"test/{record['metric']}/30"])
    assert re.search(rf"by test length  9: .*   30: {re.escape(score)}\n", shown)
    assert f"30: {record['metrics']['gradient/end/x.reach/30']:.0f} (input, end)" in shown
