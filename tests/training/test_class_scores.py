"""Macro F1 and balanced accuracy against formulas written another way, over predictions that are kept."""

import time
from types import SimpleNamespace

import pytest
import torch

from gradreach.assemble import check
from gradreach.batch import IGNORED
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.load import load_runs
from gradreach.runner import execute
from gradreach.tasks import Adding, Digits, Recall
from gradreach.training.class_scores import ClassScores
from project import SMALL


def by_hand(predicted, true):
    """Return both scores class by class, by counting pairs: 2 TP / (2 TP + FP + FN), and the mean recall."""
    pairs = list(zip(predicted, true, strict=True))
    f1, recall = [], []
    for each in sorted({*predicted, *true}):
        hits = sum(p == t == each for p, t in pairs)
        false_alarms = sum(p == each != t for p, t in pairs)
        missed = sum(t == each != p for p, t in pairs)
        f1.append(2 * hits / (2 * hits + false_alarms + missed))
        if each in true:
            recall.append(hits / (hits + missed))
    return sum(f1) / len(f1), sum(recall) / len(recall)


def logits_of(predicted, classes):
    return torch.nn.functional.one_hot(predicted, classes).float()


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("classes", [2, 5, 30])
@pytest.mark.parametrize("shape", [(41,), (7, 6)])
def test_scores_are_those_of_a_count_by_hand_and_of_scikit_learn(classes, shape):
    from sklearn.metrics import balanced_accuracy_score, f1_score

    generator = torch.Generator().manual_seed(classes)
    scores, kept, truth = ClassScores(classes), [], []
    for _ in range(3):
        predicted = torch.randint(classes, shape, generator=generator)
        true = (torch.rand(shape, generator=generator) ** 2 * (classes - 0.5)).long()  # unbalanced; the last may lack
        if len(shape) == 2:
            true[torch.rand(shape, generator=generator) < 0.5] = IGNORED
        scores.add(logits_of(predicted, classes), true)
        kept += predicted[true != IGNORED].tolist()
        truth += true[true != IGNORED].tolist()
    told = scores.values()
    f1, balanced = by_hand(kept, truth)
    assert told["f1"] == pytest.approx(f1, rel=1e-12)
    assert told["balanced_accuracy"] == pytest.approx(balanced, rel=1e-12)
    assert told["f1"] == pytest.approx(f1_score(truth, kept, average="macro", zero_division=0))
    assert told["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, kept))


def test_who_always_answers_the_largest_class_gets_a_share_of_one_class():
    scores = ClassScores(2)
    scores.add(logits_of(torch.zeros(100, dtype=torch.long), 2), torch.tensor([0] * 90 + [1] * 10))
    assert scores.values() == {"f1": pytest.approx(0.9 / 1.9), "balanced_accuracy": 0.5}
    scores.reset()
    assert scores.values() == {}


def test_values_have_none_and_neither_has_what_a_task_judges_in_its_own_way():
    class Own(Digits):
        def score(self, logits, target):
            return super().score(logits, target)

    assert ClassScores.of(Adding()) is None
    assert ClassScores.of(Own()) is None
    assert ClassScores.of(Recall()).classes == Recall().shape.outputs


@pytest.fixture
def done(configured):
    def call(*overrides):
        run, environment = configured(*SMALL, *overrides)
        return execute(run, environment), run, environment

    return call


def test_they_are_in_record_history_and_run_table_and_no_part_of_the_identity(done):
    record, run, environment = done("model=gru", "seed=1")
    for name in ("f1", "balanced_accuracy"):
        assert {f"val/{name}", f"test/{name}"} <= set(record["metrics"])
        assert f"train/{name}" not in record["metrics"]
    history = RecordStore(environment.results_dir / "runs").read_history(run.run_id)
    assert {"val/f1", "val/balanced_accuracy"} <= set(history.splitlines()[0].split(","))
    runs = load_runs(None, environment.results_dir)
    assert runs["test/f1"].tolist() == [record["metrics"]["test/f1"]]
    assert run.run_id == "9e18ced2ad7462f8", "that of before there were such scores"


def test_a_callback_may_wait_for_them_where_a_task_has_them(configured):
    waiting = ["callbacks=early_stopping", "callbacks.early_stopping.monitor=val/f1"]
    check(*configured(*waiting))
    with pytest.raises(ConfigError, match="task=adding has train/loss"):
        check(*configured(*waiting, "task=adding"))


def test_a_task_of_values_has_no_such_columns(done):
    record, _, _ = done("model=rnn", "task=adding", "seq_len=10", "task.train_size=64")
    assert not [name for name in record["metrics"] if "f1" in name or "balanced" in name]


def test_records_of_before_are_read_beside_those_that_have_them(done):
    record, run, environment = done("model=rnn", "task=motif", "seq_len=20")
    store = RecordStore(environment.results_dir / "runs")
    older = {k: v for k, v in record.items() if k != "files"} | {"run_id": "0" * 16}
    older["metrics"] = {k: v for k, v in record["metrics"].items() if "f1" not in k and "balanced" not in k}
    store.write(older)
    runs = load_runs(None, environment.results_dir).set_index("run_id")
    assert runs.loc[run.run_id, "test/f1"] == record["metrics"]["test/f1"]
    assert runs.loc["0" * 16, ["test/f1", "val/balanced_accuracy"]].isna().all()


def test_they_cost_little_beside_what_is_evaluated():
    task = Digits()
    model, (_, _, test) = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)), task.splits(None)
    scores = ClassScores.of(task)
    spent = SimpleNamespace(evaluation=0.0, scores=0.0)
    with torch.no_grad():
        for _ in range(300):
            begun = time.process_time()
            logits = model(test.x)
            task.loss(logits, test.target), task.score(logits, test.target)
            between = time.process_time()
            scores.add(logits, test.target)
            spent.evaluation += between - begun
            spent.scores += time.process_time() - between
    assert spent.scores < 2 * spent.evaluation, "of the least of models; others take a hundred times as long"
