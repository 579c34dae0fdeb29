"""Long memory: who still remembers after T steps?"""

import numpy as np
import pandas as pd

from gradreach.study import Answer, Claim, Results, Study, computed, figure, longest_solved, measure, share, table

COPIED, ADDED = 90, 0.017
"""When a task counts as solved: per cent of the symbols; a squared error that is a tenth of chance."""
BAI = {
    ("copy", "gru"): "below 20 % by T = 200",
    ("copy", "lstm b=1"): "below 20 % by T = 50",
    ("copy", "tcn"): "100 % at all T",
    ("adding", "rnn"): "0.177 at T = 600",
    ("adding", "gru"): "5.3e−5 at T = 600",
    ("adding", "lstm b=1"): "0.164 at T = 600",
    ("adding", "tcn"): "5.8e−5 at T = 600",
}
"""S. Bai et al. 2018: copy memory, 10,000 parameters, figure 5; squared error of adding, 70,000 parameters, table 1."""
WAITING = ("missing", "running", "interrupted")


def blanks(runs: pd.DataFrame) -> pd.Series:
    """Count T as the literature does."""
    steps = runs["seq_len"].astype(int)
    return steps.where(runs["task"] == "adding", steps - 20)


def tried(results: Results) -> Results:
    """Return the results of those T at which no run is still to be done."""
    runs = results.runs
    keys = [runs[key] for key in ("task", "architecture", "T")]
    return results.where(~runs["status"].isin(WAITING).groupby(keys).transform("any"))


def longest(results: Results) -> pd.DataFrame:
    """Return the longest T that each architecture has solved."""
    ended = tried(results).runs
    rows = []
    for (task, name), planned in results.runs.groupby(["task", "architecture"], sort=False):
        some = ended[(ended["task"] == task) & (ended["architecture"] == name)]
        row = {"task": task, "architecture": name, "T tried": "none yet"}
        if len(some):
            solved = some.pivot_table(index="seed", columns="T", values="solved", aggfunc="max", fill_value=False)
            lengths = [int(length) for length in solved.columns]
            left = len(planned["T"].unique()) - len(lengths)
            found = longest_solved(lengths, solved.to_numpy(dtype=bool), np.random.default_rng(0))
            row |= {
                "T tried": ", ".join(map(str, lengths)) + (f" ({left} to come)" if left else ""),
                "longest T solved": found.value,
                "95 % from": found.low,
                "to": found.high,
                "runs that solved it": f"{int(some['solved'].sum())}/{len(some)}",
            }
        rows.append(row | {"Bai et al. 2018": BAI.get((str(task), str(name)), "–")})
    return pd.DataFrame(rows)


def success(results: Results) -> pd.DataFrame:
    """Return how many seeds of how many have solved their task, by architecture and T; a dash: still to be done."""
    ended = tried(results).runs
    lengths = sorted(results.runs["T"].unique())
    rows = []
    for (task, name), planned in results.runs.groupby(["task", "architecture"], sort=False):
        some = ended[(ended["task"] == task) & (ended["architecture"] == name)]
        cells = dict.fromkeys((f"T = {length}" for length in lengths), "")
        cells |= {f"T = {length}": "–" for length in planned["T"].unique()}
        cells |= {f"T = {length}": f"{int(yes.sum())}/{len(yes)}" for length, yes in some.groupby("T")["solved"]}
        rows.append({"task": task, "architecture": name, **cells})
    return pd.DataFrame(rows)


STARTS = {"lstm": "torch's initialization", "lstm b=1": "forget bias 1", "lstm chrono": "chrono"}
JUDGED = {"copy over 50 steps": {"task": "copy", "T": 50}, "adding over 100 steps": {"task": "adding", "T": 100}}

STUDY = Study(
    question="Who still remembers after T steps?",
    about=(
        "Ten symbols are to be repeated after T blanks; two marked numbers among T are to be added. Up to which T does "
        "each architecture succeed, at 10,000 parameters and a fixed budget?"
    ),
    answer=Answer("Not decided yet: pilot seeds only.", "6 open"),
    architecture={"model.forget_bias": "b={:g}", "model.chrono": "chrono"},
    derive={"T": blanks},
    solved={"test/accuracy": COPIED, "test/mse": ADDED},
    choose="optimizer.lr",
    claim=Claim(
        "The LSTM solves vanishing gradients, and catches long-range dependence.",
        id="C3",
        title="LSTMs solve vanishing",
        section="3, 4",
        source="founding notes",
        original="LSTM解决的问题：梯度消失，使得 RNN 很难有效地训练；RNN 难以捕捉到长距离依赖信息",
        expect=(
            "Not in general: at 10,000 parameters an LSTM recalls less than 20 % of the symbols beyond T = 50, where a "
            "TCN recalls all. The adding problem is solved by LSTMs with enough training."
        ),
        expect_source="S. Bai, J. Kolter and V. Koltun 2018, table 1 and figure 5; S. Hochreiter and J. Schmidhuber 1997",
        parts={
            f"more than half of the seeds of an LSTM solve {words}": {
                start: share("solved", name, where=where, beside={"RNN": share("solved", "rnn", where=where)}).above(50)
                for name, start in STARTS.items()
            }
            for words, where in JUDGED.items()
        },
    ),
    looks=[12, 18],
    show=[
        computed(
            "longest",
            longest,
            "The longest T solved.",
            f"Solved: at least {COPIED} % of the symbols recalled (copy), a squared error of at most {ADDED} (adding). A "
            "seed counts up to the T to which it solved that and every shorter one; median over seeds, bootstrap "
            "interval. 0: not even the shortest.",
        ),
        computed(
            "success",
            success,
            "Seeds that solved their task.",
            "Seeds run with the learning rate best in validation. A dash: runs are still to come.",
        ),
        table(
            measure("test/accuracy", "recalled"),
            name="copy",
            caption="Copy: symbols recalled, in per cent.",
            note="T is the number of blanks, as in the literature.",
            columns="T",
            where={"task": "copy"},
        ),
        table(
            measure("test/mse", "squared error"),
            name="adding",
            caption="Adding: mean squared error; chance is 1/6.",
            columns="T",
            where={"task": "adding"},
        ),
        figure(
            "metric_against", name="copy", about="Symbols recalled.", where={"task": "copy"}, x="T", threshold=COPIED
        ),
        figure(
            "metric_against",
            name="adding",
            about="Mean squared error of adding.",
            where={"task": "adding"},
            x="T",
            measure=measure("test/mse", "mean squared error"),
            log=True,
            threshold=ADDED,
        ),
    ],
    caveats=[
        (
            "We judge whether an LSTM learns what needs a long memory. Whether its gradient vanishes is measured in C1, and "
            "whether it needs one that reaches so far, in C18."
        ),
        "Lengths without a part, GRU and TCN are planned with three seeds: they are shown, and decide nothing.",
        (
            "The budget is small (Hochreiter and Schmidhuber's LSTM of 93 weights took 74,000 sequences for adding at "
            "T = 100, one by one); what is not solved here may be solved with more. The question is who solves it within the "
            "same budget."
        ),
        "Every network clips its gradients to norm 1; other values were not tried.",
        (
            "Each architecture is planned with three learning rates, around those that pilots chose: higher ones for networks with "
            "gates than for RNN and TCN; the last table says which were run. Where one end of the grid is chosen at nearly all "
            "lengths, a wider one may move an architecture up."
        ),
        "Solved is a threshold: a network that recalls 89 % counts as one that recalls nothing. The tables have the accuracies.",
        (
            f"For chrono on copy over 50 steps that bar, {COPIED} %, lies amid the results of an exploratory run whose rate was chosen "
            "after looking (0.03; five seeds: 91, 87, 84, 92 and 91 %): the part is near a coin toss, and most likely stays open. "
            "The bar is that of all studies, and was not moved to make it decide."
        ),
        (
            "The plan finds only large shares: 18 seeds decide a part if about nine in ten solve the task, or about one in ten. By "
            "gradreach decide C3 forget bias 1 on adding would need 54."
        ),
        (
            "Bai et al. trained longer, with a learning rate and clipping found for each; their accuracy too is that of the "
            "ten recalled symbols. They show the LSTM below 20 % by T = 50 and the GRU by T = 200; of adding they give "
            "the squared error at T = 600, which is beyond our lengths, with seven times our parameters."
        ),
        ("Each part names the RNN beside the LSTM: where both fail, or neither does, nothing follows about the gates."),
    ],
    changed=[
        (
            "One initialization and two rates were judged, by means whose intervals left what is possible; three initializations, rates up to "
            "0.03 and shares of seeds are now, as the exploratory run with 0.03 had shown that the rate decides."
        ),
    ],
)
