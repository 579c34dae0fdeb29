"""Text: convolutional and recurrent networks beside published numbers and a linear model."""

import math
from functools import partial

import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures import metric_against
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Verdict, combine_named, compare, judge_threshold, level
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Computed, Measure, Table

BY = ["architecture", "task", "seq_len"]
SETS = {"trec": "TREC", "sst": "SST-2", "text_file": "MR"}
NETWORKS = {"notes_cnn": "the notes' network", "kim_cnn": "Kim's network"}
PUBLISHED = {"TREC": (91.2, 89.8), "SST-2": (82.7, 81.3), "MR": (76.1, 77.5)}
"""Kim's CNN-rand (2014, table 2; of SST-2 with phrases), and an untuned linear model (TF-IDF, SVM), in per cent."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the data sets, and choose learning rates."""
    return choose(runs.assign(texts=runs["task"].map(SETS)), BY)


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]
    parts = {}
    for texts in SETS.values():
        for model, words in NETWORKS.items():
            a, b = ({"texts": texts, "model": name} for name in (model, "bag"))
            label = f"accuracy, {texts}, {words} − bag of embeddings"
            gain = compare(runs, "test/accuracy", a, b, scale=100, unit="points", label=label)
            parts[f"{words} is better than the bag on {texts}"] = judge_threshold(
                gain, supported_above=0, refuted_below=0
            )
    return combine_named(parts)


def accuracy(results: Results) -> pd.DataFrame:
    """Put all networks and the published numbers beside each other."""
    runs = results.runs[results.runs["chosen"]]
    rows = []
    for name, some in runs.groupby("architecture", sort=False):
        row: dict[str, object] = {"network": name, "tried": int(some["tried"].max())}
        for texts in SETS.values():
            mine = some[some["texts"] == texts]
            found = "test/accuracy" in mine and mine["test/accuracy"].notna().any()
            known = level(mine, "test/accuracy", {}, scale=100) if found else None
            n = f"({known.n if known else 0}/{len(mine)})"
            if known is None:
                row[texts] = f"– {n}"
            else:
                half = "" if math.isnan(known.low) else f" ± {known.high - known.value:.1f}"
                row[texts] = f"{known.value:.1f}{half} {n}"
        rows.append(row)
    for i, name in enumerate(("Kim 2014, CNN-rand (published)", "linear, TF-IDF (untuned)")):
        rows.append({"network": name, "tried": "–", **{texts: f"{PUBLISHED[texts][i]}" for texts in SETS.values()}})
    return pd.DataFrame(rows)


EXPERIMENT = Experiment(
    title="Do convolutional networks extract local features from text?",
    question="Questions (TREC) and sentences of film reviews (SST-2, MR): is a network that sees several words at once better than a bag of single ones? And where do recurrent networks stand?",
    claim=Claim(
        "C14",
        "1.2",
        "卷积层：参数共享、局部连接，利用平移不变性从全局特征图提取局部特征（对文本做卷积的例子）",
        "Convolutions extract local features; they do so from text.",
    ),
    prediction=Prediction(
        "Kim's network reaches 91.2, 82.7 and 76.1 % with random embeddings (TREC, SST-2 with phrases, MR). Word "
        "order matters most for TREC. A linear model on words and pairs of words is about as good.",
        "Y. Kim 2014, table 2, CNN-rand; Y. Zhang and B. Wallace 2015",
    ),
    rule=(
        "If local features (several words at once) matter, a convolutional network beats a bag of single "
        "embeddings: test accuracy of the notes' network, and of Kim's, minus that of the bag, paired by seed, on "
        "each of three data sets: supported above 0, refuted below, by the whole 95 % interval."
    ),
    judge=judge,
    caveat=(
        "Random embeddings of size 100 (Kim: 300), Adam for 8 epochs (Kim: Adadelta), no phrases of SST; MR has one "
        "split of ours, a tenth each for validation and test (Kim: ten folds). Learning rates 0.001 and 0.003 were "
        "tried for each network and data set. Kim's network has 300 maps, dropout and a bound on the norm of its head; "
        "the bag has none of these, so that what it is behind need not be what one word alone cannot tell. C7 has "
        "kernels of one word and of several on TREC that differ in nothing else, but those of one word fall short of this bag there. IMDB is "
        "learned from 4,000 of its reviews in 320 steps, read from the beginning up to 50 … 400 words, and decides "
        f"nothing here. {ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        Computed(
            "accuracy",
            "Test accuracy in per cent, beside published numbers.",
            "Cells: mean over seeds ± half-width of its 95 % interval (Student's t), and in brackets the seeds that "
            f"count of those planned. {CHOSEN_RATE}",
            accuracy,
        ),
        Table(
            "imdb",
            "IMDB, learned from 4,000 reviews: test accuracy in per cent, by the words that are read of each.",
            f"{CELLS} {CHOSEN_RATE} A linear model on whole reviews, learned from all 25,000, reaches 90.7 (TF-IDF).",
            (Measure("test/accuracy", "accuracy", scale=100, best="max"),),
            rows=("architecture", "tried"),
            where=CHOSEN | {"task": "imdb"},
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "accuracy",
            "Test accuracy by network and data set: mean of the seeds with its 95 % interval; small points are "
            "seeds. The axis does not begin at zero.",
            of_chosen(partial(dots, by="architecture", beside="texts")),
        ),
        Figure(
            "imdb",
            "IMDB, learned from 4,000 reviews: test accuracy against how many words are read from the beginning of "
            "each, with 95 % intervals. Dotted: chance.",
            of_chosen(metric_against, {"task": "imdb"}),
        ),
    ),
)
