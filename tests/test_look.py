"""One thing has one look and one name, and what meets in a panel is told apart: by the colour-blind, and in grey."""

import re
from itertools import combinations

import numpy as np
import pytest

from colour_vision import TO_XYZ, difference, linear, seen
from gradreach.analysis.figures import against_known, decoding_by_lag, dots, metric_by_cost
from gradreach.analysis.figures.common import Series
from gradreach.analysis.figures.panels import split
from gradreach.analysis.results import Results
from gradreach.analysis.study.study_files import load_study
from gradreach.look import SHADES, axis_label, display_name, look_of, looks_of, palette_css
from gradreach.look.colours import RAMP
from gradreach.look.looks import FAMILIES, FIXED, VARIANTS
from gradreach.look.words import ALIASES, MODELS, TASKS, model_of
from gradreach.run_table.load import load_runs
from project import COMMITTED, PROJECT

APART = 20
"""CIEDE2000, under simulated deuteranopia (Machado 2009)."""
GREY = 5
"""L*: between colours of one panel that are printed in grey; their dashes and markers differ too."""

CHARTS = {
    "first quickstart": ["rnn", "lstm", "gru", "cnn k=3", "cnn k=5"],
    "quickstart": ["rnn", "lstm", "lstm chrono", "gru", "tcn k=3", "tcn k=5"],
    "vanishing_gradient": [
        "gru",
        "lstm",
        "lstm b=1",
        "lstm chrono",
        "rnn",
        "rnn orthogonal",
        "rnn orthogonal gain 2",
        "tcn",
    ],
    "sequence_length": ["cnn", "gru", "lstm", "lstm b=1", "lstm chrono", "rnn", "rnn orthogonal", "tcn"],
    "long_memory": ["gru", "lstm b=1", "lstm chrono", "rnn", "tcn"],
    "reach_and_accuracy": ["gru", "lstm", "lstm chrono", "rnn", "tcn k=3", "tcn k=5"],
    "gradient_horizon": ["gru", "lstm", "lstm chrono", "rnn"],
    "length_generalization": ["deltanet", "gru", "lru", "lstm", "lstm chrono", "mamba", "rnn", "transformer"],
    "mixers": ["deltanet", "gru", "lru", "lstm", "lstm chrono", "mamba", "s4d", "transformer"],
    "state_tracking": [
        *("gru", "lstm", "rnn", "transformer"),
        *(f"{name} {reach}" for name in ("deltanet", "mamba", "mingru") for reach in ("[0, 1]", "[−1, 1]")),
    ],
    "errata": ["gru", "gru_as_printed", "lstm", "lstm_as_printed"],
    "gru_vs_lstm": ["gru", "lstm b=1"],
    "text_benchmark": [
        "Kim's network, 3 to 5 words",
        "bag",
        "gru",
        "lstm",
        "rnn",
        "the notes' network, 3 words",
    ],
    "parameter_sharing": ["convolution", "locally connected", "dense"],
    "kernel_size": ["1 layer", "3 layers"],
    "families": [next(iter(models)) for models in FAMILIES.values()],
    "gates of an LSTM": ["forget gate", "input gate", "output gate", "the notes' tanh'·f"],
    "gates of a GRU": ["reset gate", "update gate (weighs the old state)"],
    "stages": ["before training", "after training"],
    "states": ["hidden state h", "cell c"],
    "five numbers": ["1", "2", "4", "8", "16"],
    "a user's models": ["mine", "yours", "theirs", "ours", "nobody's"],
}
"""What stands in the charts of the committed studies (``test_charts_of_committed_studies_are_listed``), and others."""


def panels(names):
    """Return the looks that meet in each panel of a chart."""
    looks = looks_of(names)
    return [[each.look for each in part.values()] for part in split({n: Series(looks[n], n) for n in names})]


PAIRS = [
    pytest.param(*pair, id=f"{chart}: {pair[0].name} – {pair[1].name}")
    for chart, names in CHARTS.items()
    for panel in panels(names)
    for pair in combinations(panel, 2)
]


KNOWN = {*MODELS, *ALIASES, *(name for names in CHARTS.values() for name in names if model_of(name)[0])}
VARIANTS_OF_ALL = [f"{model} {variant}" for model in MODELS for variant in (*VARIANTS, "of a user", "k=9", "× 3")]


def alike(names, key):
    """Return sets of models, by a part of their look, where it does not tell them apart."""
    found = {}
    for name in names:
        found.setdefault(key(look_of(name)), set()).add(model_of(name)[0])
    return [models for models in found.values() if len(models) > 1]


def test_no_two_models_share_a_look_nor_does_a_variant_have_that_of_another_model():
    assert not alike([*KNOWN, *VARIANTS_OF_ALL], lambda look: (look.color, look.linestyle, look.marker))
    assert not alike(KNOWN, lambda look: (look.color, look.linestyle))  # lines without markers
    assert all(
        look_of(name) != look_of(name.partition(" ")[0])
        for name in VARIANTS_OF_ALL
        if VARIANTS.get(model_of(name)[1], 1)
    )


@pytest.mark.slow
def test_no_two_models_of_committed_studies_share_a_look():
    names = set()
    for name in COMMITTED:
        runs = load_runs(name, PROJECT / "results")
        names |= set(load_study(name, PROJECT / "experiments", runs).prepare(runs)["architecture"])
    assert len(names) > 50
    assert not alike(
        filter(lambda name: model_of(name)[0], names), lambda look: (look.color, look.linestyle, look.marker)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMITTED)
def test_charts_of_committed_studies_are_listed(name):
    """Each chart whose lines or points are architectures; those of rows have names beside them."""
    runs = load_runs(name, PROJECT / "results")
    study = load_study(name, PROJECT / "experiments", runs)
    results = Results(study.prepare(runs))
    listed = [set(names) for names in CHARTS.values()]
    for picture in study.pictures:
        options = {"by": "architecture", **picture.options}
        key = options.get("beside", "task") if picture.draw is dots else options["by"]
        if key == "architecture" and picture.draw not in (dots, against_known, decoding_by_lag, metric_by_cost):
            shown = set(results.along(["test_length"]).where(picture.where).runs[key])
            assert any(shown <= names for names in listed), f"{name}/{picture.name}: {sorted(shown)}"


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_looks_of_a_panel_are_told_apart(first, second):
    assert difference(seen(first.color), seen(second.color)) >= APART
    assert difference(seen(first.color, deuteranopia=True), seen(second.color, deuteranopia=True)) >= APART
    assert abs(seen(first.color)[0] - seen(second.color)[0]) >= GREY
    assert first.marker != second.marker or first.linestyle != second.linestyle


@pytest.mark.parametrize("pair", list(combinations(RAMP, 2)), ids=str)
def test_a_ramp_grows_in_lightness_and_its_shades_are_told_apart(pair):
    first, second = pair
    assert seen(second)[0] - seen(first)[0] >= GREY
    assert difference(seen(first, deuteranopia=True), seen(second, deuteranopia=True)) >= APART


@pytest.mark.parametrize("name", SHADES)
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_has_a_contrast_of_3_to_1_to_its_page(name, theme):
    """WCAG 2.2, 1.4.11."""
    style = (PROJECT / "src/gradreach/analysis/pages/report/templates/style.css").read_text(encoding="utf-8")
    paper = re.findall(r"--paper: (#[0-9a-f]{6})", style)[theme]
    low, high = sorted(TO_XYZ[1] @ linear(colour) for colour in (SHADES[name][theme], paper))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_dark_forms_keep_the_order_of_lightness():
    light, dark = (np.array([seen(shade[theme])[0] for shade in SHADES.values()]) for theme in (0, 1))
    order = np.argsort(light)
    assert (np.diff(dark[order]) > -1.5).all()  # as near as eight bits allow
    assert all(f"--{name}: {shade[1]};" in palette_css().partition("dark")[2] for name, shade in SHADES.items())


@pytest.mark.parametrize(("first", "second", "expected"), [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
])  # fmt: skip
def test_the_distance_of_colours_is_that_of_the_published_pairs(first, second, expected):
    assert difference(np.array(first, float), np.array(second, float)) == pytest.approx(expected, abs=5e-5)


def test_a_look_depends_on_the_name_alone():
    names = CHARTS["vanishing_gradient"]
    assert looks_of(names) == {name: look_of(name) for name in names}
    assert looks_of(names[::-1]) == looks_of(names)
    mine = CHARTS["a user's models"]
    assert looks_of(mine[::-1]) == looks_of(mine)
    assert len({(look.color, look.marker) for look in looks_of(mine).values()}) == len(mine)


def test_many_series_look_different():
    names = [*(f"model{letter}" for letter in "abcdefghijklmnop"), *(f"cnn k={k}" for k in range(1, 20)), *MODELS]
    looks = looks_of(names)
    assert len({(look.color, look.linestyle, look.marker) for look in looks.values()}) == len(names)
    assert all(look.color != "#000000" for look in looks.values())  # black is for lines to compare with


def test_every_model_and_task_has_a_name_and_every_model_a_family():
    models, tasks = ({path.stem for path in (PROJECT / "conf" / kind).glob("*.yaml")} for kind in ("model", "task"))
    assert set(MODELS) == models == {name for family in FAMILIES.values() for name in family}
    own = {"text_file", "text_values", "ts_file", "ts_values"}  # whose name is that of the user's file
    assert set(TASKS) == tasks - own
    assert all(look_of(name).name for name in FIXED)


@pytest.mark.parametrize(("key", "words"), {
    "lstm b=1": "LSTM, forget bias 1",
    "lstm chrono": "LSTM, chrono",
    "rnn orthogonal gain 2": "RNN, orthogonal × 2",
    "gru of equal size": "GRU, equal size",
    "gru without reset": "GRU, no reset gate",
    "cnn k=3": "CNN, kernel 3",
    "mnist1d": "MNIST-1D",
    "mnist1d, 400": "MNIST-1D, 400",
    "lstm b=1 · recall": "LSTM, forget bias 1 · recall",
    "mamba [−1, 1]": "Mamba, [−1, 1]",
    "a user's model": "a user's model",
}.items())  # fmt: skip
def test_things_are_called_what_people_call_them(key, words):
    assert display_name(key) == words


def test_axes_have_words_and_units():
    assert axis_label("seq_len") == "sequence length (steps)"
    assert axis_label("task.train_size") == "training examples"
