"""Models: embed, encode, read out. They know nothing of configuration files, trackers or trainers."""

from gradreach.models.convolutional import CNN
from gradreach.models.encoder import Encoder, valid_steps
from gradreach.models.model import SequenceModel
from gradreach.models.readout import READOUTS
from gradreach.models.recurrent import GRU, LSTM, RNN, Recurrent

__all__ = ["CNN", "GRU", "LSTM", "READOUTS", "RNN", "Encoder", "Recurrent", "SequenceModel", "valid_steps"]
