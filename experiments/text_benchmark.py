"""Text: convolutional and recurrent networks beside published numbers and a linear model."""

import pandas as pd

from gradreach.study import Claim, Results, Study, compare, computed, figure, number, table, value

CORPORA = {"trec": "TREC", "sst": "SST-2", "text_file": "MR"}
NETWORKS = {"notes_cnn": "the notes' network", "kim_cnn": "Kim's network"}
PUBLISHED = [
    {"network": "Kim 2014, CNN-rand (published)", "TREC": 91.2, "SST-2": 82.7, "MR": 76.1},
    {"network": "linear, TF-IDF (untuned)", "TREC": 89.8, "SST-2": 81.3, "MR": 77.5},
]
"""Per cent: Kim 2014, table 2 (of SST-2 with phrases); a linear SVM."""


def accuracy(results: Results) -> pd.DataFrame:
    """Put all networks and the published numbers beside each other."""
    rows = []
    for name in results.runs["architecture"].unique():
        row = {"network": name}
        for corpus in CORPORA.values():
            where = {"architecture": name, "corpus": corpus}
            _, mean, low, high, n, *_ = value("test/accuracy", where).of(results)
            half = f" ± {number((high - low) / 2, '.1f')}" if n > 1 else ""
            cell = f"{number(mean, '.1f')}{half}" if n else "–"
            row[corpus] = f"{cell} ({n}/{len(results.where(where).runs)})"
        rows.append(row)
    return pd.DataFrame([*rows, *PUBLISHED])


STUDY = Study(
    question="Do convolutional networks extract local features from text?",
    about=(
        "Questions (TREC) and sentences of film reviews (SST-2, MR): is a network that sees several words at once "
        "better than a bag of single embeddings? And where do recurrent networks stand?"
    ),
    derive={"corpus": lambda runs: runs["task"].map(CORPORA)},
    choose="optimizer.lr",
    claim=Claim(
        "Convolutions extract local features; they do so from text.",
        id="C14",
        section="1.2",
        source="founding notes",
        original="卷积层：参数共享、局部连接，利用平移不变性从全局特征图提取局部特征（对文本做卷积的例子）",
        expect=(
            "Kim's network reaches 91.2, 82.7 and 76.1 % with random embeddings (TREC, SST-2 with phrases, MR). Word "
            "order matters most for TREC. A linear model on words and pairs of words is about as good."
        ),
        expect_source="Y. Kim 2014, table 2, CNN-rand; Y. Zhang and B. Wallace 2015",
        parts={
            f"{words} is better than the bag on {corpus}": compare(
                "test/accuracy", {"model": model}, {"model": "bag"}, where={"corpus": corpus}
            ).above(0)
            for corpus in CORPORA.values()
            for model, words in NETWORKS.items()
        },
    ),
    show=[
        computed(
            "accuracy",
            accuracy,
            "Test accuracy in per cent, beside published numbers.",
            "Cells: mean over seeds ± half-width of its 95 % interval (Student's t), and in brackets the seeds that "
            "count of those planned. Validation chose the learning rates.",
        ),
        table(
            "test/accuracy",
            name="imdb",
            caption="IMDB: test accuracy in per cent, by the words that are read from the beginning of each review.",
            note="A linear model (TF-IDF) on whole reviews, learned from all 25,000, reaches 90.7.",
            columns="seq_len",
            where={"task": "imdb"},
        ),
        figure(
            "dots",
            about="Test accuracy by network and corpus.",
            beside="corpus",
            where={"corpus": list(CORPORA.values())},
        ),
        figure(
            "metric_against",
            name="imdb",
            about="IMDB: test accuracy by the words that are read from the beginning of each review.",
            where={"task": "imdb"},
        ),
    ],
    caveats=[
        "Kim used embeddings of size 300, Adadelta and the phrases of SST; here the size is 100, without phrases.",
        "MR has one split of ours, a tenth each for validation and test (Kim: ten folds).",
        "Kim's network has 300 maps, dropout and a bound on the norm of its head, and the bag has none of these: its "
        "lead over the bag need not come from local features.",
        "C7 has kernels of one word and of several on TREC that differ in nothing else, but those of one word fall "
        "short of this bag.",
        "IMDB is learned from 4,000 of its reviews, and decides nothing.",
    ],
)
