"""The look of one thing: its colour, dash and marker, the same in every figure, page and dashboard.

The family of a model is its hue, a variant is a shade with a dash and a marker of its own. Tasks, gates,
stages and a user's own names have hues beside those of the families.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gradreach.look.colours import RAMP, SHADES
from gradreach.look.words import display_name, model_of

Dash = str | tuple[int, tuple[int, ...]]
Slots = tuple[tuple[str, Dash, str], ...]
"""Shade, dash and marker of a model and of its variants."""

RECURRENT: Slots = (("r0", "-", "o"), ("r1", "--", "P"), ("r2", "-.", "X"))
LSTM: Slots = (("l0", "-", "s"), ("l1", "--", "D"), ("l2", "-.", "p"), ("l3", (0, (5, 1, 1, 1, 1, 1)), "d"))
GRU: Slots = (("g0", "-", "^"), ("g1", "--", "v"), ("g2", "-.", ">"))
CONVOLUTIONAL: Slots = (("c0", "-", "<"), ("c1", "--", "H"), ("c2", "-.", "8"))
LINEAR: Slots = (("s0", "-", "*"), ("s1", "--", "X"), ("s2", "-.", "d"), ("s3", (0, (5, 1, 1, 1, 1, 1)), "v"))
ATTENTION: Slots = (("a0", "-", "P"), ("a1", "--", "X"))
MEMORYLESS: Slots = (("d0", "-", "8"), ("d1", "--", "H"))
OTHER: Slots = (
    ("u0", "-", "o"),
    ("u1", "--", "s"),
    ("u2", "-.", "^"),
    ("u3", (0, (5, 1, 1, 1, 1, 1)), "D"),
    ("u4", (0, (8, 2)), "v"),
)

DASHES: tuple[Dash, ...] = ("-", "--", "-.", (0, (8, 2)), (0, (1, 1)))
MARKERS = "oDsvP^X<*>pdH8"
SPARE = tuple((DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)]) for i in range(len(DASHES) * len(MARKERS)))
"""Dashes and markers for more series of one family than it has shades: neighbours differ in both."""

FAMILIES: dict[str, dict[str, tuple[Slots, int]]] = {
    "recurrent": {"rnn": (RECURRENT, 0), "indrnn": (RECURRENT, 1)},
    "gated": {
        "lstm": (LSTM, 0),
        "lstm_coupled": (LSTM, 3),
        "lstm_as_printed": (LSTM, 3),
        "gru": (GRU, 0),
        "gru_as_printed": (GRU, 1),
        "gated_tanh": (GRU, 2),
    },
    "convolutional": {
        "tcn": (CONVOLUTIONAL, 0),
        "cnn": (CONVOLUTIONAL, 1),
        "kim_cnn": (CONVOLUTIONAL, 0),
        "notes_cnn": (CONVOLUTIONAL, 1),
        "time_cnn": (CONVOLUTIONAL, 2),
        "locally_connected": (CONVOLUTIONAL, 0),
    },
    "linear recurrences": {
        "mamba": (LINEAR, 0),
        "deltanet": (LINEAR, 1),
        "s4d": (LINEAR, 2),
        "lru": (LINEAR, 3),
        "mingru": (LINEAR, 2),
        "minlstm": (LINEAR, 3),
    },
    "attention": {"transformer": (ATTENTION, 0)},
    "without memory": {
        "mlp": (MEMORYLESS, 0),
        "residual_mlp": (MEMORYLESS, 1),
        "linear": (MEMORYLESS, 1),
        "bag": (MEMORYLESS, 0),
        "fasttext": (MEMORYLESS, 1),
    },
}
"""Models by family, each with the shade that it has itself."""

VARIANTS = {
    "b=1": 1,
    "b=3": 2,
    "chrono": 2,
    "orthogonal": 1,
    "orthogonal gain 2": 2,
    "identity": 2,
    "of equal size": 1,
    "without reset": 2,
    "lstm_coupled b=1": 0,
    "k=3": 0,
    "k=5": 1,
    "k=7": 2,
    "3 words": 0,
    "3 to 5 words": 0,
    "1 word": 1,
    "[0, 1]": 0,
    "[−1, 1]": 2,
}
"""By how many shades a variant, or one model's variant, is away from its model; of others their name decides."""

FIXED: dict[str, tuple[str, Dash, str]] = {
    "before training": ("u1", ":", "s"),
    "after training": ("u0", "-", "o"),
    "hidden state h": ("u0", "-", "o"),
    "cell c": ("u2", "--", "^"),
    "forget gate": ("u0", "-", "o"),
    "input gate": ("u1", "--", "s"),
    "output gate": ("u2", "-.", "^"),
    "reset gate": ("u1", "--", "s"),
    "update gate (weighs the old state)": ("u0", "-", "o"),
    "the notes' tanh'·f": ("u3", (0, (5, 1, 1, 1, 1, 1)), "D"),
}
"""Stages, gates and quantities, by what they are called."""

_MODELS = {name: (family, *slots) for family, models in FAMILIES.items() for name, slots in models.items()}
_NUMBER = re.compile(r"[−-]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Look:
    """How one thing is drawn.

    - ``name``: what people call it.
    - ``color``, ``linestyle``, ``marker``: as matplotlib takes them.
    - ``family``: of a model, such as ``gated``; empty for what is not a known model.
    """

    name: str
    color: str
    linestyle: Dash = "-"
    marker: str = "o"
    family: str = ""

    @property
    def line(self) -> dict[str, Any]:
        """The look as arguments of ``Axes.plot``."""
        return {"color": self.color, "linestyle": self.linestyle, "marker": self.marker}


def look_of(name: str) -> Look:
    """Return the look of a thing: always the same, whatever stands beside it.

    >>> look_of("lstm b=1").name, look_of("lstm b=1").family
    ('LSTM, forget bias 1', 'gated')
    >>> look_of("lstm").color == look_of("lstm").color != look_of("gru").color
    True
    """
    return next(_candidates(name))


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """Return the looks of what stands in one chart: each as ``look_of`` says.

    Of two that would look alike, such as variants or models that are a user's own, the later by the alphabet takes the
    next look of its family that is free. Names of no model that differ in one number alone are shades of a ramp.

    >>> looks_of(["lstm", "gru"])["gru"] == looks_of(["gru", "tcn"])["gru"]
    True
    >>> [look.color for look in looks_of(["64", "16"]).values()]
    ['#f6bd48', '#17243f']
    """
    names = list(dict.fromkeys(names))
    if len(names) > 1 and _differ_in_a_number(names):
        return _ramp(names)
    found: dict[str, Look] = {}
    taken: set[tuple[str, Dash, str]] = set()
    for name in sorted(names, key=lambda name: (name not in FIXED and name not in _MODELS, name)):
        found[name] = next(look for look in _candidates(name) if (look.color, look.linestyle, look.marker) not in taken)
        taken.add((found[name].color, found[name].linestyle, found[name].marker))
    return {name: found[name] for name in names}


def _candidates(name: str) -> Iterator[Look]:
    """Give the looks that a name may have, the best first: enough for any chart."""
    model, variant = model_of(name)
    family, slots, own = _MODELS[model] if model else ("", OTHER, _hash(name) % len(OTHER))
    others = len(slots) - 1
    if model and variant:  # no variant takes the first look of its family
        away = VARIANTS.get(name, VARIANTS.get(variant, 1 + _hash(variant) % others))
        own = own if not away else 1 + (max(own, 1) - 1 + away - (own == 0)) % others
    order = [slots[own], *(slots[1 + i % others] for i in range(own, own + others)), slots[0]]
    if name in FIXED:
        order = [FIXED[name]]
    for turn in range(1 + len(SPARE)):
        for shade, dash, marker in order:
            if turn:
                dash, marker = SPARE[((turn - 1) * len(order) + int(shade[1])) % len(SPARE)]
            yield Look(display_name(name), SHADES[shade][0], dash, marker, family)


def _differ_in_a_number(names: list[str]) -> bool:
    return not any(model_of(name)[0] for name in names) and (
        all(len(_NUMBER.findall(name)) == 1 for name in names)
        and len({_NUMBER.sub("", name).rstrip("s") for name in names}) == 1  # 1 layer, 2 layers
    )


def _ramp(names: list[str]) -> dict[str, Look]:
    order = sorted(names, key=lambda name: float(_NUMBER.findall(name)[0].replace("−", "-")))
    looks = {}
    for name in names:
        i = order.index(name)
        shade = RAMP[round(i * (len(RAMP) - 1) / (len(order) - 1))]
        looks[name] = Look(display_name(name), shade, *OTHER[i % len(OTHER)][1:])
    return looks


def _hash(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big")
