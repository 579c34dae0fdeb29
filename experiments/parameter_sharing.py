"""Sharing and sparsity: what they save, and whether they curb overfitting."""

from gradreach.study import Answer, Claim, Study, column, compare, figure, measure, table

GAP, REACHED = "gap/points", "reached"
TRAINED = 90
"""Per cent of the training examples known, where training ends."""
MODELS = {"cnn": "convolution", "locally_connected": "locally connected", "mlp": "dense"}
STEPS = (("convolution", "locally connected"), ("locally connected", "dense"))
OUTPUT, SIZE = "equal output", "equal size"
NOTE = (
    "Equal output: 40 × 8 features and a linear head on all of them. Equal size: about 5,000 parameters, which the "
    "locally connected network has at equal output too: its rows are the same networks."
)

STUDY = Study(
    question="Do sharing and sparsity save parameters and curb overfitting?",
    about=(
        "One layer on a signal of 40 steps: a convolution (sparse, shared), a locally connected layer (sparse), a "
        "dense one (neither), with few training examples and with many. Each is trained until it fits "
        f"{TRAINED} % of its training examples, and its last weights are tested: whichever then does better on the test "
        "has overfitted less."
    ),
    answer=Answer("Fewer parameters; overfitting open.", "2 supported, 12 open"),
    architecture=lambda runs: runs["model"].map(MODELS),
    derive={
        "at": lambda runs: runs["model.match_params"].isna().map({True: OUTPUT, False: SIZE}),
        "examples": lambda runs: runs["task.train_size"],
        REACHED: column(lambda runs: runs["train/accuracy"] >= TRAINED / 100, f"trained to {TRAINED} %", "%", 0),
        GAP: column(lambda runs: runs["train/accuracy"] - runs["test/accuracy"], "training − test accuracy", "points"),
    },
    choose="optimizer.lr",
    claim=Claim(
        "Sparse interaction and weight sharing save parameters and curb overfitting.",
        id="C8",
        title="Sharing regularizes",
        section="1.3",
        source="founding notes",
        original="稀疏交互使得参数大量减少，过拟合情况也得到改善；权重共享能起到很好正则的作用",
        expect=(
            "Parameters: by arithmetic. Overfitting: sharing helps most with few examples, and also at equal size "
            "where what is shared is true of the data; signals of MNIST-1D are shifted at random, which it is."
        ),
        expect_source="Y. LeCun 1989; I. Goodfellow et al. 2016, Deep Learning, §9.2",
        parts={
            **{
                f"{a} has fewer parameters than {b}": compare(
                    "parameters", a, b, where={"at": OUTPUT}, over="examples", ratio=True, outcome="fixed"
                ).below(1)
                for a, b in STEPS
            },
            **{
                f"{a} overfits less than {b} ({at})": compare(
                    "test/accuracy", a, b, where={"at": at}, each="examples"
                ).above(0)
                for a, b in STEPS
                for at in (OUTPUT, SIZE)
            },
        },
    ),
    looks=[12, 24, 36],
    show=[
        table(
            measure("test/accuracy", "accuracy", best=None),
            note=NOTE,
            rows=("at", "architecture"),
            columns="examples",
        ),
        table(measure(GAP, "gap"), name="gap", note=NOTE, rows=("at", "architecture"), columns="examples"),
        table(
            measure("train/accuracy", "training accuracy, %"),
            measure(REACHED, f"reached {TRAINED} %"),
            measure("steps", "steps", digits=0),
            name="trained",
            caption="Training accuracy reached, and in how many steps.",
            note="Training accuracy is that of the last epoch, a mean over it while weights moved.",
            rows=("at", "architecture"),
            columns="examples",
        ),
        figure(
            "metric_against",
            about="Test accuracy by training examples, at equal training accuracy.",
            x="examples",
            panels="at",
        ),
        figure(
            "metric_against",
            name="gap",
            about="Training minus test accuracy: the larger, the more overfitting.",
            x="examples",
            panels="at",
            measure=GAP,
        ),
    ],
    caveats=[
        "The threshold for accuracies is 0: any significant gain supports a part. Its size is listed beside it.",
        (
            "With few training examples a network may do poorly on the test whatever its weights: at 200 both sides of a "
            "comparison stand near 30 %, and differences are small: by gradreach decide C8 some would take 300 seeds."
        ),
        (
            "The notes speak of images; ours is one-dimensional: a layer on an image shares each weight over many more places, "
            "and would gain more by it."
        ),
        (
            f"Equal training accuracy ({TRAINED} % of the epoch's examples, counted while weights move) is not equal loss or "
            "equal time: steps to get there differ up to five times (the table)."
        ),
        "Sharing must suit the data: signals of MNIST-1D are shifted at random, which favours it.",
        "At equal output most parameters of the convolution are those of its head.",
    ],
    changed=[
        "Pairs of one seed counted as independent draws for each number of examples; their mean counts now.",
        "Run again with ten seeds after six had been seen; no verdict changed. All are pilots now.",
        (
            "Compared when all fit nine in ten training examples, and for each number of them: at their best validation epoch "
            "those that had learned less seemed to overfit less."
        ),
    ],
)
