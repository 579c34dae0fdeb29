"""Data: every task makes whole tensors ``(x, lengths, target)`` from its settings and its data seed."""

from gradreach.tasks.batch import Batch, Batches
from gradreach.tasks.digits import Digits
from gradreach.tasks.task import Shape, Splits, Task

__all__ = ["Batch", "Batches", "Digits", "Shape", "Splits", "Task"]
