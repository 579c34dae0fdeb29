"""Scores that weigh all classes equally, however few examples they have."""

import torch
from torch import Tensor

from gradreach.batch import IGNORED
from gradreach.tasks import Task


class ClassScores:
    """Macro F1 and balanced accuracy, from the margins and the diagonal of a confusion matrix: no answer is kept.

    Steps without a target do not count; of tasks that label steps every step counts alike.

    - ``classes``: how many there are.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.reset()

    @classmethod
    def of(cls, task: Task) -> "ClassScores | None":
        """Return the scores of a task; None where answers are not classes, or are judged in a way of the task's own."""
        return cls(task.shape.outputs) if task.judged_by_class else None

    def reset(self) -> None:
        """Reset."""
        self.counts: Tensor | None = None

    def add(self, logits: Tensor, target: Tensor) -> None:
        """Count answers: ``(batch, classes), (batch,)`` or ``(batch, length, classes), (batch, length)``."""
        answers, target = logits.argmax(-1).flatten(), target.flatten()
        if self.counts is None:
            self.counts = torch.zeros(3, self.classes + 1, dtype=torch.long, device=target.device)
        nowhere = self.classes  # the last cell takes what is not counted
        counted = target != IGNORED
        true = target.where(counted, nowhere)
        places = torch.stack((true, answers.where(counted, nowhere), true.where(answers == target, nowhere)))
        self.counts.scatter_add_(1, places, torch.ones_like(places))

    def values(self) -> dict[str, float]:
        """Return ``f1`` and ``balanced_accuracy``: means over the classes that occur, and for F1 also those answered.

        As scikit-learn's ``f1_score(average="macro", zero_division=0)`` and ``balanced_accuracy_score``; empty of
        nothing.
        """
        if self.counts is None:
            return {}
        true, answered, right = self.counts[:, : self.classes].double()
        seen, occurs = true + answered > 0, true > 0
        if not occurs.any():
            return {}
        f1 = 2 * right[seen] / (true + answered)[seen]
        return {"f1": float(f1.mean()), "balanced_accuracy": float((right[occurs] / true[occurs]).mean())}
