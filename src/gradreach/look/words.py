"""Display names of models, tasks, axes and panels; run tables and CSV files keep the keys."""

import re
from typing import Any

MODELS = {
    "rnn": "RNN",
    "indrnn": "IndRNN",
    "leaky_rnn": "leaky RNN",
    "lstm": "LSTM",
    "lstm_as_printed": "LSTM as printed",
    "lstm_coupled": "LSTM, coupled gates",
    "gru": "GRU",
    "gru_as_printed": "GRU as printed",
    "gated_tanh": "the notes' simplified cell",
    "cnn": "CNN",
    "tcn": "TCN",
    "kim_cnn": "Kim's CNN",
    "notes_cnn": "the notes' CNN",
    "time_cnn": "Time-CNN",
    "locally_connected": "locally connected",
    "lru": "LRU",
    "s4d": "S4D",
    "mamba": "Mamba",
    "mingru": "minGRU",
    "minlstm": "minLSTM",
    "deltanet": "DeltaNet",
    "transformer": "Transformer",
    "mlp": "MLP",
    "residual_mlp": "residual MLP",
    "linear": "linear model",
    "bag": "bag of words",
    "fasttext": "fastText",
}
"""Display names of the models in ``conf/model``."""

TASKS = {
    "adding": "adding",
    "copy": "copy",
    "cycle_navigation": "cycle navigation",
    "digits": "digits",
    "even_pairs": "even pairs",
    "imdb": "IMDB",
    "mnist": "MNIST",
    "mnist1d": "MNIST-1D",
    "modular_arithmetic": "modular arithmetic",
    "motif": "motif",
    "mqar": "MQAR",
    "parity": "parity",
    "position": "position",
    "recall": "recall",
    "selective_copy": "selective copy",
    "sst": "SST",
    "temporal_order": "temporal order",
    "trec": "TREC",
    "warping": "warping",
}
"""The same for ``conf/task``."""

AXES = {
    "seq_len": ("sequence length", "steps"),
    "test_length": ("test sequence length", "steps"),
    "kernel_size": ("kernel size", "steps"),
    "horizon": ("gradient horizon", "steps"),
    "T": ("T", "steps"),
    "examples": ("training examples", ""),
    "train_size": ("training examples", ""),
    "width": ("width", "units"),
    "lr": ("learning rate", ""),
    "epoch": ("epoch", ""),
    "lag": ("lag", "steps back from the last one"),
    "tried": ("learning rates tried", ""),
}
"""A column along an axis: its words and its unit."""

VARIANTS = (
    (r"\bb=([\d.]+)", r"forget bias \1"),
    (r"\bk=([\d.]+)", r"kernel \1"),
    (r"\bgain ([\d.]+)", r"× \1"),
    (r"\bof equal size\b", "equal size"),
    (r"\bwithout reset\b", "no reset gate"),
    (r"\bchrono\b", "chrono"),
    (r"\b(orthogonal|identity)\b", r"\1"),
)
"""Suffixes that studies use for variants of a model, and their display form."""

ALIASES = {
    "Kim's network": "kim_cnn",
    "the notes' network": "notes_cnn",
    "bag of words": "bag",
    "convolution": "cnn",
    "locally connected": "locally_connected",
    "dense": "mlp",
}
"""Other words for models: they look the same, and keep their words."""

SPEAKING = ("task", "model", "architecture")
"""Columns whose values speak for themselves."""

_MODEL = re.compile(rf"({'|'.join(sorted([*MODELS, *ALIASES], key=len, reverse=True))})(?=$|[ ,])")


def model_of(name: str) -> tuple[str, str]:
    """Return the model that an architecture is of, and what makes it a variant; no model where none is known.

    >>> model_of("rnn orthogonal gain 2"), model_of("lstm"), model_of("mine b=1")
    (('rnn', 'orthogonal gain 2'), ('lstm', ''), ('', 'mine b=1'))
    """
    found = _MODEL.match(name)
    return (ALIASES.get(found[1], found[1]), name[found.end() :].strip(" ,")) if found else ("", name)


def display_name(value: Any) -> str:
    """Return the display name of an architecture, a task or a combination; unknown words stay unchanged.

    >>> display_name("lstm b=1"), display_name("rnn orthogonal gain 2"), display_name("mnist1d, 100")
    ('LSTM, forget bias 1', 'RNN, orthogonal × 2', 'MNIST-1D, 100')
    """
    name = str(value)
    if name in TASKS:
        return TASKS[name]
    for mark in (" · ", ", "):
        first, found, rest = name.partition(mark)
        if found and (mark == " · " or first in TASKS):
            return f"{display_name(first)}{mark}{display_name(rest)}"
    model, variant = model_of(name)
    if not model or name.startswith(tuple(ALIASES)):
        return name
    return ", ".join(filter(None, (MODELS[model], _variant(variant))))


def _variant(text: str) -> str:
    for pattern, words in VARIANTS:
        text = re.sub(pattern, rf"\0{words}\0".replace("\\0", "\0"), text)
    parts = [part.strip(" ,") for part in text.split("\0")]
    return ", ".join(filter(None, parts)).replace(", ×", " ×")


def axis_label(key: str) -> str:
    """Return a column's axis label, with its unit.

    >>> axis_label("seq_len"), axis_label("task.train_size"), axis_label("model.d_state")
    ('sequence length (steps)', 'training examples', 'd state')
    """
    last = key.rpartition(".")[2]
    name, unit = AXES.get(last, (last.replace("_", " "), ""))
    return f"{name} ({unit})" if unit else name


def without_unit(label: str) -> str:
    """Return a label without its unit.

    >>> without_unit("test accuracy (%)")
    'test accuracy'
    """
    return label.rpartition(" (")[0] or label


def setting_name(key: str, value: str) -> str:
    """Return what tells a group of runs apart, as a head or within a sentence: a column and its value.

    >>> setting_name("seq_len", "40"), setting_name("task", "mnist1d"), setting_name("model.pooling", "max")
    ('sequence length 40', 'MNIST-1D', 'pooling max')
    """
    return display_name(value) if key in SPEAKING else f"{without_unit(axis_label(key))} {value}"


def panel_title(key: str, value: str) -> str:
    """Return the title of the panel for one value of a column.

    >>> panel_title("seq_len", "40"), panel_title("task", "mnist1d"), panel_title("kernel_size", "3")
    ('sequence length 40', 'MNIST-1D', 'kernel size 3')
    """
    try:
        float(value.replace("−", "-"))
    except ValueError:
        if value != "–":
            return display_name(value)
    return f"{without_unit(axis_label(key))} {value}"
