"""Data: every task makes whole tensors ``(x, lengths, target)`` from its settings and its data seed."""

from gradreach.batch import IGNORED, Batch, Batches
from gradreach.tasks.digits import Digits
from gradreach.tasks.imdb import IMDB
from gradreach.tasks.memory import Adding, Copy, Parity, Recall, TemporalOrder
from gradreach.tasks.mnist import MNIST
from gradreach.tasks.mnist1d import MNIST1D
from gradreach.tasks.motif import Motif, Position
from gradreach.tasks.recall import MQAR, SelectiveCopy
from gradreach.tasks.sst import SST
from gradreach.tasks.state_tracking import CycleNavigation, EvenPairs, ModularArithmetic
from gradreach.tasks.synthetic import Synthetic
from gradreach.tasks.task import Shape, Splits, Task, ValueTask
from gradreach.tasks.text_file import TextFile, TextValues
from gradreach.tasks.trec import TREC
from gradreach.tasks.ts_file import TimeSeriesFile, TimeSeriesValues
from gradreach.tasks.warping import Warping

__all__ = [
    "IGNORED",
    "IMDB",
    "MNIST",
    "MNIST1D",
    "MQAR",
    "SST",
    "TREC",
    "Adding",
    "Batch",
    "Batches",
    "Copy",
    "CycleNavigation",
    "Digits",
    "EvenPairs",
    "ModularArithmetic",
    "Motif",
    "Parity",
    "Position",
    "Recall",
    "SelectiveCopy",
    "Shape",
    "Splits",
    "Synthetic",
    "Task",
    "TemporalOrder",
    "TextFile",
    "TextValues",
    "TimeSeriesFile",
    "TimeSeriesValues",
    "ValueTask",
    "Warping",
]
