"""The score of a linear model: a network that scores lower is badly configured."""

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gradreach.batch import Batch
from gradreach.tasks.splits import draw_some
from gradreach.tasks.task import Splits, Task

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

MOST_SERIES = 10_000
"""At most this many series are used: logistic regression on all of their steps is slow."""


class Baseline(NamedTuple):
    """The score of a linear model fitted to the training split.

    - ``name``: which model.
    - ``validation``, ``test``: accuracies, or mean squared errors.
    - ``fitted``, ``tested``: how many training examples it learned from, and of how many of the test.
    """

    name: str
    validation: float
    test: float
    fitted: int
    tested: int


def linear_baseline(task: Task, splits: Splits) -> Baseline | None:
    """Fit a linear model, untuned, and score it; None: the task is answered at every step.

    Values: least squares on all steps. Classes of series: logistic regression on all steps, standardised. Classes of
    texts: a linear support vector machine on the TF-IDF of one and two words, or of one to three characters; values of
    texts: ridge regression on these.
    """
    if task.shape.per_step:
        return None
    texts = task.shape.vocabulary is not None
    train, validation, test = splits if texts else (_some(task, part) for part in splits)
    name, model = _model(task)
    read = _spelled if texts else _flat
    with warnings.catch_warnings():
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline need not be the very best of its kind
        model.fit(read(train), train.target.numpy())
    at_validation, at_test = (_score(task, model, read(part), part.target.numpy()) for part in (validation, test))
    return Baseline(name, at_validation, at_test, len(train), len(test))


def _model(task: Task) -> tuple[str, "Pipeline"]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    if task.shape.vocabulary is not None:
        characters = getattr(task, "tokens", None) == "characters"
        runs = TfidfVectorizer(lowercase=False, token_pattern=r"\S+", ngram_range=(1, 3 if characters else 2))
        of = "one to three characters" if characters else "one and two words"
        if task.metric == "mse":
            return f"TF-IDF of {of} and ridge regression", make_pipeline(runs, Ridge())
        return f"TF-IDF of {of} and a linear SVM", make_pipeline(runs, LinearSVC(random_state=0))
    if task.metric == "mse":
        return "least squares on all steps", make_pipeline(LinearRegression())
    classes = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100))
    return "logistic regression on all steps", classes


def _score(task: Task, model: "Pipeline", x: list[str] | np.ndarray, target: np.ndarray) -> float:
    if task.metric == "mse":
        return float(np.mean((model.predict(x) - target) ** 2))
    return float(model.score(x, target))


def _flat(batch: Batch) -> np.ndarray:
    return batch.x.flatten(1).numpy()


def _spelled(batch: Batch) -> list[str]:
    """Return the token ids of every text as words; a text without tokens is only padding."""
    lengths = [batch.x.shape[1]] * len(batch) if batch.lengths is None else batch.lengths.tolist()
    rows = zip(batch.x.tolist(), lengths, strict=True)
    return [" ".join(map(str, ids[:length])) or "0" for ids, length in rows]


def _some(task: Task, examples: Batch) -> Batch:
    """Draw examples, some of every class: files may be in any order."""
    target = examples.target.numpy()
    classes = np.zeros_like(target) if task.metric == "mse" else target
    return examples.take(torch.from_numpy(draw_some(classes, MOST_SERIES, seed=0)))
