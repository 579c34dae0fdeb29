"""All encoders, and settings that change what they compute: what several tests hold for each of them."""

from functools import partial
from typing import Any

from gradreach import models as m
from gradreach.models.block import prenorm

LENGTH = 24


def in_blocks(kind: type[m.Encoder], *, block_expansion: int = 2, **arguments: Any) -> Any:
    return lambda d_in: prenorm(kind, d_in, {"width": 8, "layers": 2, **arguments}, block_expansion, LENGTH)


SHARED: dict[str, Any] = {
    "cnn": m.CNN,
    "cnn none": partial(m.CNN, padding="none", dilation_base=1, layers=2),
    "cnn full": partial(m.CNN, padding="full", layers=2),
    "cnn causal": partial(m.CNN, padding="causal", layers=2),
    "cnn causal, pooled": partial(m.CNN, padding="causal", pooling="max", layers=2),
    "cnn circular": partial(m.CNN, padding="circular", layers=2, kernel_size=4),
    "cnn padded by 1, stride 2": partial(m.CNN, padding=1, stride=2, dilation_base=1, layers=2, first_kernel_size=5),
    "cnn even kernel": partial(m.CNN, kernel_size=4, layers=2, dilation_base=3),
    "cnn batch norm, bottleneck": partial(m.CNN, normalization="batch", bottleneck=7, nonlinearity="gelu"),
    "cnn layer norm, avg": partial(m.CNN, normalization="layer", pooling="avg", layers=2, nonlinearity="tanh"),
    "cnn of several widths": partial(
        m.CNN, layers=3, width=4, dilation_base=1, width_multiples=(1, 3, 2), kernel_sizes=(8, 5, 3)
    ),
    "cnn max": partial(m.CNN, pooling="max", layers=2),
    "notes_cnn": m.NotesCNN,
    "notes_cnn even kernel": partial(m.NotesCNN, kernel_size=4),
    "kim_cnn": m.KimCNN,
    "tcn": partial(m.TCN, layers=2),
    "rnn": m.RNN,
    "rnn relu": partial(m.RNN, nonlinearity="relu", start="orthogonal"),
    "lstm": partial(m.LSTM, layers=2),
    "lstm_coupled": partial(m.LSTMCoupled, forget_bias=1.0),
    "gru": m.GRU,
    "gru before": partial(m.GRU, reset="before"),
    "gru without reset": partial(m.GRU, reset="none", chrono=5),
    "bidirectional lstm": partial(m.LSTM, layers=2, bidirectional=True),
    "bidirectional gru before": partial(m.GRU, reset="before", bidirectional=True),
    "gated_tanh": m.GatedTanhRNN,
    "lstm_as_printed": m.PrintedLSTM,
    "gru_as_printed": partial(m.PrintedGRU, layers=2),
    "indrnn": m.IndRNN,
    "leaky_rnn": partial(m.LeakyRNN, chrono=5),
    "mingru": m.MinGRU,
    "minlstm": m.MinLSTM,
    "minlstm signed": partial(m.MinLSTM, eigenvalues="signed"),
    "bidirectional minlstm": partial(m.MinLSTM, bidirectional=True),
    "lru": partial(m.LRU, layers=2),
    "mamba": partial(m.Mamba, width=8, layers=2),
    "mamba signed": partial(m.Mamba, width=20, states=3, expansion=1, convolution=2, eigenvalues="signed"),
    "bidirectional mamba": partial(m.Mamba, width=8, bidirectional=True),
    "deltanet": partial(m.DeltaNet, width=8, layers=2),
    "deltanet signed": partial(m.DeltaNet, width=6, heads=3, steps=3, convolution=2, eigenvalues="signed"),
    "bidirectional deltanet": partial(m.DeltaNet, width=8, bidirectional=True),
    "s4d": m.S4D,
    "transformer": m.Transformer,
    "causal transformer": partial(m.Transformer, causal=True, position="none"),
    "lstm in blocks": in_blocks(m.LSTM),
    "bidirectional gru in blocks": in_blocks(m.GRU, bidirectional=True, block_expansion=0),
    "deltanet in blocks": in_blocks(m.DeltaNet, steps=2, eigenvalues="signed"),
    "cnn in blocks": in_blocks(m.CNN, dilation_base=1, kernel_size=4),
    "cnn in blocks, circular": in_blocks(m.CNN, dilation_base=1, padding="circular"),
    "identity": m.Identity,
}
"""Encoders for sequences of any length."""

FIXED: dict[str, Any] = {
    "mlp": m.MLP,
    "residual mlp": m.ResidualMLP,
    "time_cnn": m.TimeCNN,
    "locally_connected": partial(m.LocallyConnected, layers=2),
    "locally_connected none": partial(m.LocallyConnected, padding="none", kernel_size=4),
}
"""Encoders made for one length."""


def make(name: str, d_in: int = 3, length: int = LENGTH) -> m.Encoder:
    """Make an encoder for sequences of this length."""
    return SHARED[name](d_in) if name in SHARED else FIXED[name](d_in, length)
