"""Studies with made-up results, as the page of results has them."""

from dataclasses import replace

from gradreach.analysis.figures import gradient_by_lag, metric_against
from gradreach.analysis.figures.captions import explained
from gradreach.analysis.figures.figure import Figure
from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.report import section_of
from gradreach.analysis.stats.verdict import Effect, Verdict
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.analysis.study.parts import arithmetic
from gradreach.analysis.tables.layout import make
from gradreach.analysis.tables.specification import Measure, Table
from made_up import results

CLAIM = Claim(
    "LSTM solves the vanishing gradient.",
    id="C3",
    section="3",
    original="LSTM 可以解决梯度消失问题。",
    expect="Chance.",
    expect_source="somebody, 2018",
    parts={"it does": arithmetic(lambda: False, "No.")},
)
GAIN = Effect("gain", -3.0, -4.0, -2.0, 3, "points")
PARTS = (
    Verdict("refuted", GAIN, "A loss.", name="it gains", threshold="above 0"),
    Verdict("open", None, "None yet.", name="it is certain", why="there are too few runs"),
)
VERDICT = Verdict("refuted in part", None, "It does not <at all>.", PARTS)
ACCURACY = Table("accuracy", "Test accuracy & chance.", "Means.", (Measure("test/accuracy", "accuracy", scale=100),))
FIGURES = (
    Figure("by_length", "Read it from left to right.", metric_against),
    Figure("by_lag", "The line is 1 %.", gradient_by_lag),
)
STUDY = Study(question="Long memory", about="How long?", claim=CLAIM)
CAVEATS = ("Made up of `made_up` alone.", "One draw.")
LOSS = Measure("test/loss", "loss", digits=2)
WIDE = (replace(ACCURACY, columns=("seq_len", "seed"), measures=(*ACCURACY.measures, LOSS)),)


def built(name, folder, data, tables=(ACCURACY,), figures=FIGURES):
    views = tuple(make(table, data) for table in tables)
    pictures = {figure.name: figure.draw(data, folder / figure.name) for figure in figures}
    captions = {figure.name: explained(figure.caption, pictures[figure.name]) for figure in figures}
    return Built(
        name, STUDY, data, views, pictures, captions, VERDICT, "The state.", CAVEATS, "Refuted below 0.", folder
    )


def made_up_sections(folder):
    """Three experiments: a whole one, one that lacks runs, one with a wide table."""
    ten = results(models=("cnn", "lstm", "rnn"))
    ten.runs["seconds"] = [9.5, 10.0, 100.0] * (len(ten.runs) // 3)
    lacking = results(status=lambda model, length, seed: ("failed", "diverged", "finished")[seed])
    wide = results(seeds=6, **{"test/loss": -0.25})
    given = (("long_memory", ten), ("lacking", lacking), ("wide", wide, WIDE, ()))
    return [section_of(built(name, folder, *rest)) for name, *rest in given]
