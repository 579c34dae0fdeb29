"""Colour, dash and marker of each thing, the same in every figure, page and dashboard.

The family of a model is its hue; a model, and each variant, is a shade with a dash and a marker of its own. Tasks,
gates, stages and a user's own names have hues beside those of the families.
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

LONG: Dash = (0, (8, 2))
DOTTED: Dash = (0, (5, 1, 1, 1, 1, 1))
DASHES: tuple[Dash, ...] = ("-", "--", "-.", LONG, (0, (1, 1)))
MARKERS = "oDsvP^X<*>pdH8"

OTHER: Slots = (("u0", "-", "o"), ("u1", "--", "s"), ("u2", "-.", "^"), ("u3", DOTTED, "D"), ("u4", LONG, "v"))

FAMILIES: dict[str, dict[str, Slots]] = {
    "recurrent": {
        "rnn": (("r0", "-", "o"), ("r1", "--", "P"), ("r2", "-.", "X")),
        "indrnn": (("r2", "-", "p"), ("r0", "--", "D")),
        "leaky_rnn": (("r1", "-", "v"), ("r1", "-.", "<")),
    },
    "gated": {
        "lstm": (("l0", "-", "s"), ("l1", "--", "D"), ("l2", "-.", "p"), ("l3", DOTTED, "d")),
        "lstm_coupled": (("l3", "-", "X"), ("l0", "--", "*")),
        "lstm_as_printed": (("l3", "--", "P"), ("l1", "-.", "H")),
        "gru": (("g0", "-", "^"), ("g1", "--", "v"), ("g2", "-.", ">")),
        "gru_as_printed": (("g1", "-.", "<"), ("g2", LONG, "o")),
        "gated_tanh": (("g2", "-", "8"), ("g0", "--", "D")),
    },
    "convolutional": {
        "tcn": (("c0", "-", "<"), ("c1", "--", "H"), ("c2", "-.", "8")),
        "cnn": (("c3", "-", "v"), ("c2", "--", "D"), ("c1", "-.", "d")),
        "kim_cnn": (("c1", "-", "P"), ("c0", "--", "X")),
        "notes_cnn": (("c2", "-", "*"), ("c3", "--", "p")),
        "time_cnn": (("c0", "-.", "^"), ("c3", "-.", "o")),
        "locally_connected": (("c0", LONG, ">"), ("c2", LONG, "s")),
    },
    "linear recurrences": {
        "mamba": (("s0", "-", "*"), ("s2", "--", "X")),
        "deltanet": (("s1", "-", "d"), ("s3", "--", "D")),
        "lru": (("s3", "-", "v"), ("s1", "--", "^")),
        "s4d": (("s2", "-", "P"), ("s0", "--", "p")),
        "mingru": (("s1", "-.", "<"), ("s3", "-.", ">")),
        "minlstm": (("s0", "-.", "H"), ("s2", "-.", "8")),
    },
    "attention": {"transformer": (("a0", "-", "X"), ("a1", "--", "P"))},
    "without memory": {
        "mlp": (("d0", "-", "8"), ("d1", "-.", "o")),
        "residual_mlp": (("d1", "-", "s"), ("d0", "-.", "v")),
        "linear": (("d1", "--", "D"), ("d0", LONG, "^")),
        "bag": (("d0", "--", "H"), ("d1", LONG, "P")),
        "fasttext": (("d0", DOTTED, "p"), ("d1", DOTTED, "X")),
    },
}
"""Models by family: first the look of the model, then those of its variants.

A family has its shades for itself, and of its models each has its markers for itself: whatever its variants are called,
no two models look alike. Where lines have no markers, shade and dash tell apart.
"""

VARIANTS = {
    "b=1": 1,
    "b=3": 3,
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
    "[−1, 1]": 1,
}
"""Which look of its model a variant, or one model's variant, has; of others their name decides."""

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
    "the notes' tanh'·f": ("u3", DOTTED, "D"),
}
"""Stages, gates and quantities, by what they are called."""

_MODELS = {name: (family, slots) for family, models in FAMILIES.items() for name, slots in models.items()}
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
    """Return the look of a thing: always the same, whatever else is shown.

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
    ['#eb6543', '#2f0d5c']
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
    """Yield the looks that a name may have, the best first: enough for any chart."""
    model, variant = model_of(name)
    family, slots = _MODELS[model] if model else ("", OTHER)
    own, others = 0 if model else _hash(name) % len(OTHER), len(slots) - 1
    if model and variant:
        own = VARIANTS.get(name, VARIANTS.get(variant, 1 + _hash(variant)))
        own = own if own < len(slots) else 1 + (own - 1) % others
    order = [*slots[max(own, 1) :], *slots[1 : max(own, 1)]]  # no variant takes the look of its model
    if not own:
        order = [slots[0], *order]
    elif not model:
        order.append(slots[0])
    order = [FIXED[name]] if name in FIXED else order
    markers = MARKERS if name in FIXED or not model else [marker for *_, marker in slots]
    spare = [(shade, dash, marker) for marker in markers for dash in DASHES for shade, *_ in order]
    for shade, dash, marker in (*order, *spare):
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
