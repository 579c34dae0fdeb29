"""Models: embed, encode, read out. They know nothing of configuration files, trackers or trainers."""

from gradreach.models.cells import Cell
from gradreach.models.convolutional import CNN, TimeCNN, output_length
from gradreach.models.deltanet import DeltaNet
from gradreach.models.embedding import make_embedding
from gradreach.models.encoder import Encoder, valid_steps
from gradreach.models.factory import build, caveat
from gradreach.models.feedforward import MLP, Identity, LocallyConnected, ResidualMLP
from gradreach.models.labelled import LabelledExamples, answers
from gradreach.models.mamba import Mamba
from gradreach.models.model import SequenceModel
from gradreach.models.readout import READOUTS
from gradreach.models.recurrent import (
    GRU,
    LSTM,
    RNN,
    GatedTanhRNN,
    IndRNN,
    LeakyRNN,
    LSTMCoupled,
    MinGRU,
    MinLSTM,
    PrintedGRU,
    PrintedLSTM,
    Recurrent,
)
from gradreach.models.state_space import LRU, S4D
from gradreach.models.tcn import TCN
from gradreach.models.text_cnn import KimCNN, NotesCNN
from gradreach.models.transformer import Transformer

__all__ = [
    "CNN",
    "GRU",
    "LRU",
    "LSTM",
    "MLP",
    "READOUTS",
    "RNN",
    "S4D",
    "TCN",
    "Cell",
    "DeltaNet",
    "Encoder",
    "GatedTanhRNN",
    "Identity",
    "IndRNN",
    "KimCNN",
    "LSTMCoupled",
    "LabelledExamples",
    "LeakyRNN",
    "LocallyConnected",
    "Mamba",
    "MinGRU",
    "MinLSTM",
    "NotesCNN",
    "PrintedGRU",
    "PrintedLSTM",
    "Recurrent",
    "ResidualMLP",
    "SequenceModel",
    "TimeCNN",
    "Transformer",
    "answers",
    "build",
    "caveat",
    "make_embedding",
    "output_length",
    "valid_steps",
]
