"""Does a gradient path that was trained at one length extend to longer ones?"""

from gradreach.study import Answer, Claim, Quantity, Study, compare, figure, measure, table, value

REACH, START = "gradient/end/x.reach", "gradient/start/x.reach"
TRAINED, LONG = 40, 320
PATHS = {"gru": "a GRU", "mamba": "Mamba"}
"""What learns recall in this budget by a path that it had not before; an LSTM with chrono is judged by its answers alone."""
KEEP = {"gru": "a GRU", "lstm chrono": "an LSTM with chrono", "mamba": "Mamba", "deltanet": "DeltaNet"}
RECALL = {"task": "recall"}


def lost(name: str) -> Quantity:
    """Return by how many points fewer long sequences are right than those of the longest length of training."""
    long, short = ({"architecture": name, "test_length": length} for length in (LONG, TRAINED))
    return compare("test/accuracy", long, short, where=RECALL)


STUDY = Study(
    answer=Answer("Not decided yet: pilot seeds only.", "7 open"),
    question="Does a gradient path that was trained at one length extend to longer ones?",
    about=(
        f"Trained on sequences of 10 to {TRAINED} steps, each batch of one length, and tested at up to {LONG}: how far does the "
        "gradient of the trained weights reach there, and do the answers stay right? In recall the cue is the first step, so "
        "its path must be as long as the sequence."
    ),
    architecture={"model.chrono": "chrono"},
    claim=Claim(
        "A gradient path that was trained on short sequences extends to longer ones; whether the answer does is another matter.",
        id="C19",
        title="A trained gradient path extends",
        expect=(
            "Recurrent networks keep their answers at lengths that they were not trained at, a Transformer with sinusoidal "
            "positions does not. How far the gradient reaches there nobody has measured. In our pilots that of a GRU and of Mamba "
            f"reached the cue at {LONG} steps too, and that of DeltaNet and of a Transformer did so before training; that of an LSTM "
            "with chrono did not reach it any more, and its answers stayed right all the same."
        ),
        expect_source="G. Delétang et al. 2023; O. Press et al. 2022; our own pilots (seeds 0 and 1)",
        parts={
            **{
                f"the trained gradient of {words} reaches more than half of sequences eight times as long": value(
                    REACH, name, where={**RECALL, "test_length": LONG}
                ).above(LONG / 2)
                for name, words in PATHS.items()
            },
            **{
                f"{words} recalls as well on sequences eight times as long": lost(name).above(-5)
                for name, words in KEEP.items()
            },
            "a Transformer recalls worse on sequences eight times as long": lost("transformer").below(-5),
        },
    ),
    looks=[12, 18],
    show=[
        figure("metric_against", x="test_length", name="accuracy_by_length", about="Test accuracy by length."),
        figure(
            "metric_against",
            x="test_length",
            measure=REACH,
            name="reach_by_length",
            about="How far the gradient of the trained weights reaches; dotted: the whole sequence.",
        ),
        table("test/accuracy", name="accuracy", rows=("task", "architecture"), columns="test_length"),
        table(measure(REACH, "reach, steps"), name="reach", rows=("task", "architecture"), columns="test_length"),
        table(
            measure(START, "reach before training, steps"),
            name="reach_before",
            rows=("task", "architecture"),
            columns="test_length",
        ),
    ],
    caveats=[
        "The gradient of DeltaNet and of a Transformer reaches the cue before any training, so their reach says nothing of what is "
        "learned: it is shown, not judged.",
        "Two tasks, one budget, and one learning rate, tuned for no network: what does not extend here may do so with more.",
        f"An LSTM with chrono is given the longest training length, {TRAINED}; nothing else is.",
        "Reach is the largest lag with 1 % of the norm at lag 1: of a task that is solved, the gradient with respect to the cue may be small.",
        "The Transformer has sinusoidal positions and no causal mask, and answers from the mean of all steps; other positions are "
        "known to extend further.",
        "Weights are chosen by validation on training lengths; nothing is chosen at longer ones.",
        "Judged is recall; temporal order is shown. So are an LSTM and an RNN with torch's initialization, and an LRU, which in pilots did not "
        "learn recall in this budget, or not at the longest length of training.",
    ],
)
