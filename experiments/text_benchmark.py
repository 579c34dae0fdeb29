"""Text: convolutional and recurrent networks beside published numbers and a linear model."""

import pandas as pd

from gradreach.study import Answer, Claim, Results, Study, compare, computed, figure, number, table, value

CORPORA = {"trec": "TREC", "sst": "SST-2", "text_file": "MR"}
NETWORKS = {
    "the notes' network": ("the notes' network, 3 words", "the notes' network, 1 word"),
    "Kim's network": ("Kim's network, 3 to 5 words", "Kim's network, 1 word"),
}
"""Over several words, and the same network over one."""
ONE_WORD = "[1, 1, 1]"
PUBLISHED = [
    {"network": "Kim 2014, CNN-rand (published)", "TREC": 91.2, "SST-2": 82.7, "MR": 76.1},
    {"network": "linear, TF-IDF (untuned)", "TREC": 89.8, "SST-2": 81.3, "MR": 77.5},
]
"""Per cent: Kim 2014, table 2 (of SST-2 with phrases); a linear SVM."""


def names(runs: pd.DataFrame) -> pd.Series:
    """Name networks by how many words a kernel sees."""
    notes, kim = ((runs["model"] == model) for model in ("notes_cnn", "kim_cnn"))
    one = (notes & (runs["kernel_size"] == 1)) | (kim & (runs["model.kernel_sizes"].astype(str) == ONE_WORD))
    named = runs["model"].astype(object)
    for is_network, (several, single) in zip((notes, kim), NETWORKS.values(), strict=True):
        named = named.mask(is_network & ~one, several).mask(is_network & one, single)
    return named


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
        "Questions (TREC) and sentences of film reviews (SST-2, MR): is a network that sees several words at once better than "
        "the same network over single words? And where do recurrent networks stand, and a bag of embeddings?"
    ),
    answer=Answer("Not decided yet: pilot seeds only.", "6 open"),
    architecture=names,
    derive={"corpus": lambda runs: runs["task"].map(CORPORA)},
    choose="optimizer.lr",
    claim=Claim(
        "Convolutions extract local features; they do so from text.",
        id="C14",
        title="CNNs find text features",
        section="1.2",
        source="founding notes",
        original="卷积层：参数共享、局部连接，利用平移不变性从全局特征图提取局部特征（对文本做卷积的例子）",
        expect=(
            "Several words are better than one, on TREC most: there their order matters. Kim's network reaches 91.2, 82.7 and "
            "76.1 % with random embeddings (TREC, SST-2 with phrases, MR); kernels of one word fall a few points short. A "
            "linear model on words and pairs of words is about as good."
        ),
        expect_source="Y. Kim 2014, table 2, CNN-rand; Y. Zhang and B. Wallace 2015, on the size of regions",
        parts={
            f"{network} gains by several words on {corpus}": compare(
                "test/accuracy", several, one, where={"corpus": corpus}, outcome="examples"
            ).above(0)
            for corpus in CORPORA.values()
            for network, (several, one) in NETWORKS.items()
        },
    ),
    looks=[21],
    show=[
        computed(
            "accuracy",
            accuracy,
            "Test accuracy in per cent, beside published numbers.",
            "Cells: mean over seeds ± half-width of its 95 % interval (Student's t), and in brackets the seeds that "
            "count of those planned. Learning rates are the best in validation.",
        ),
        table(
            "test/accuracy",
            name="imdb",
            caption="IMDB: test accuracy in per cent, by the number of words read from the beginning of each review.",
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
            about="IMDB: test accuracy by the number of words read from the beginning of each review.",
            where={"task": "imdb"},
        ),
    ],
    caveats=[
        (
            "The notes speak of images where they say what a layer extracts; ours is text, one-dimensional: that local "
            "features help with words says nothing about pixels."
        ),
        "The threshold is 0: any significant gain supports a part. Its size is listed beside it.",
        "We compare each network with itself with kernels of one word: the same maps, head, dropout and bound, so that "
        "only the number of words differs, with three to five times the weights of a kernel.",
        "By gradreach decide C14 21 seeds find gains of about 1.5 to 4 points, not smaller ones, however many seeds there are: questions "
        "are few (500 on TREC), and they count too.",
        "A gain from several words says that local features help. That features are local, and the same at "
        "every position, is by construction, and not tested here.",
        "A kernel of one word with a maximum or a mean over time is a bag of words; the bag of embeddings beside them has "
        "neither maps nor nonlinearity.",
        "Kim used embeddings of size 300, Adadelta and the phrases of SST; here the size is 100, without phrases.",
        "MR has one split of ours, a tenth each for validation and test (Kim: ten folds).",
        "IMDB is trained on 4,000 of its reviews, and decides nothing.",
    ],
    changed=[
        "12 seeds had been planned before any pilot of a kernel of one word; by two such pilots Kim's network asks for 21.",
        "In pilots (seeds 0 to 5) both networks were compared with the bag, from which they differ in more than what a kernel "
        "sees, and 500 questions were treated as the whole population.",
    ],
)
