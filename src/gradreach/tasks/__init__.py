"""Data: every task makes whole tensors ``(x, lengths, target)`` from its settings and its data seed."""

from gradreach.tasks.batch import Batch, Batches
from gradreach.tasks.digits import Digits
from gradreach.tasks.memory import Adding, Copy, Parity, Recall, TemporalOrder
from gradreach.tasks.motif import Motif, Position
from gradreach.tasks.task import IGNORED, Shape, Splits, Task

__all__ = [
    "IGNORED",
    "Adding",
    "Batch",
    "Batches",
    "Copy",
    "Digits",
    "Motif",
    "Parity",
    "Position",
    "Recall",
    "Shape",
    "Splits",
    "Task",
    "TemporalOrder",
]
