"""What every made-on-demand task is, and that its rule is what its targets follow."""

import random
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from gradreach.errors import ConfigError
from gradreach.tasks import (
    IGNORED,
    MQAR,
    Adding,
    Copy,
    CycleNavigation,
    EvenPairs,
    ModularArithmetic,
    Motif,
    Parity,
    Position,
    Recall,
    SelectiveCopy,
    TemporalOrder,
    Warping,
)

NOWHERE = Path("there is no such folder")
SIZES = {"train_size": 2000, "validation_size": 500, "test_size": 1000}
TASKS = [
    Recall(seq_len=30, **SIZES),
    Recall(seq_len=30, symbols=2, values=3, distractors=0, **SIZES),
    Copy(seq_len=30, **SIZES),
    Copy(seq_len=19, symbols=6, values=5, **SIZES),
    TemporalOrder(seq_len=30, **SIZES),
    Adding(seq_len=30, **SIZES),
    Adding(seq_len=30, variant="anywhere", **SIZES),
    Adding(seq_len=30, variant="hochreiter", **SIZES),
    Parity(seq_len=20, **SIZES),
    Parity(seq_len=20, per_step=True, **SIZES),
    MQAR(seq_len=30, vocabulary=64, **SIZES),
    MQAR(seq_len=17, vocabulary=13, filler="random", power=1.0, **SIZES),
    SelectiveCopy(seq_len=30, symbols=6, **SIZES),
    ModularArithmetic(seq_len=20, **SIZES),
    ModularArithmetic(seq_len=21, modulus=3, **SIZES),
    CycleNavigation(seq_len=20, **SIZES),
    EvenPairs(seq_len=20, **SIZES),
    Warping(seq_len=30, max_warp=3, **SIZES),
    Warping(seq_len=30, warp="variable", max_warp=5, characters=4, **SIZES),
    Warping(seq_len=30, max_warp=2, padded=True, **SIZES),
    Warping(seq_len=30, warp="variable", max_warp=4, padded=True, **SIZES),
    Motif(seq_len=40, **SIZES),
    Motif(seq_len=40, train_region="left", test_region="right", **SIZES),
    Position(seq_len=40, **SIZES),
    Position(seq_len=40, rule="half", **SIZES),
]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
KINDS = [Recall, Copy, TemporalOrder, Adding, Parity, Motif, Position, MQAR]
KINDS += [SelectiveCopy, ModularArithmetic, CycleNavigation, EvenPairs, Warping]
every_kind = pytest.mark.parametrize("kind", KINDS)
LENGTH = 32


def oracle(task, x):
    """Answer by the rule, from the input alone."""
    match task:
        case Recall():
            cues = x[:, : task.symbols].argmax(-1).numpy()
            return torch.tensor([int("".join(map(str, row)), task.values) for row in cues])
        case Copy():
            answer = torch.full(x.shape[:2], IGNORED)
            answer[:, -task.symbols :] = x[:, : task.symbols].argmax(-1)
            return answer
        case TemporalOrder():
            seen = [[s for s in row if s < 2] for row in x.argmax(-1).tolist()]
            return torch.tensor([["00", "01", "10", "11"].index("".join(map(str, row))) for row in seen])
        case Adding():
            total = (x[:, :, 0] * x[:, :, 1]).sum(1)
            return 0.5 + total / 4 if task.variant == "hochreiter" else total
        case Parity():
            return (x.cumsum(1)[:, :, 0] if task.per_step else x.sum((1, 2))).long() % 2
        case MQAR():
            return torch.tensor([looked_up(row, task) for row in x.tolist()])
        case SelectiveCopy():
            answer = torch.full(x.shape[:2], IGNORED)
            shown = x.argmax(-1)
            answer[:, -task.symbols :] = shown[shown < task.values].view(len(x), -1)
            return answer
        case ModularArithmetic():
            return torch.tensor([eval(task.sample(row, task.seq_len).rstrip("_")) % task.modulus for row in x])
        case CycleNavigation():
            return torch.tensor([sum(map(int, task.sample(row, task.seq_len).split())) % task.places for row in x])
        case EvenPairs():
            words = [task.sample(row, task.seq_len).replace(" ", "") for row in x]
            return torch.tensor([sum(word.count(pair) for pair in ("ab", "ba")) % 2 for word in words])
        case Warping():
            return torch.tensor([shown_before(row, task) for row in x.argmax(-1).tolist()])
        case Motif():
            return matches(task, x).amax(-1).argmax(-1)
        case Position():
            at = matches(task, x).argmax(-1)
            if task.rule == "order":
                return (at[:, 1] < at[:, 0]).long()
            return (at[:, 0] >= task.seq_len // 2).long()


def looked_up(row, task):
    """Answer every key after the pairs by the value that came with it."""
    shown = row[: 2 * task.pairs]
    value = dict(zip(shown[::2], shown[1::2], strict=True))
    return [IGNORED] * len(shown) + [value.get(token, IGNORED) for token in row[len(shown) :]]


def shown_before(row, task):
    """Say at each character which other one came before it; blanks between characters are not answered."""
    blank = task.characters
    present, before, answers = blank, blank, []
    for symbol in row:
        if symbol not in (blank, present):
            before, present = present, symbol
        answers.append(IGNORED if symbol == blank else before)
    return answers


def matches(task, x):
    """Return the matched filter's answer, ``(batch, motifs, starts)``."""
    windows = x[:, :, 0].unfold(1, task.patterns.shape[1], 1)
    return torch.einsum("bsl,ml->bms", windows, torch.from_numpy(task.patterns))


def logits_of(task, answer):
    if task.metric == "mse":
        return answer.unsqueeze(-1)
    return torch.nn.functional.one_hot(answer.clamp(min=0), task.shape.outputs).float() * 50


@every_task
@pytest.mark.parametrize("length", [None, 61])
def test_an_oracle_that_reads_the_rule_solves_it(task, length):
    test = (
        task.splits(NOWHERE).test if length is None else task.at(length).examples(np.random.default_rng(0), 99, "test")
    )
    task = task if length is None else task.at(length)
    answer = oracle(task, test.x)
    score = task.score(logits_of(task, answer), test.target).mean().item()
    loss = task.loss(logits_of(task, answer), test.target).mean().item()
    if task.metric == "mse":
        assert score == loss < 1e-10
    elif isinstance(task, Motif | Position):
        assert score > 0.99  # noise can look like a pattern
    else:
        assert score == 1
        assert loss < 1e-6


@every_task
def test_chance_is_what_the_best_constant_answer_gets(task):
    splits = task.splits(NOWHERE)
    target = splits.train.target
    if task.metric == "mse":
        constant = target.mean().expand(len(splits.test))
    else:
        counted = target[target != IGNORED]
        constant = torch.full(splits.test.target.shape, counted.mode().values.item())
    score = task.score(logits_of(task, constant), splits.test.target).mean().item()
    assert score == pytest.approx(task.chance(splits), abs=1e-6)


@pytest.mark.parametrize(
    ("task", "level", "tolerance"),
    [
        (Adding(test_size=20_000, validation_size=1), 1 / 6, 0.005),
        (Adding(test_size=20_000, validation_size=1, variant="anywhere"), 1 / 6, 0.005),
        (Adding(test_size=20_000, validation_size=1, variant="hochreiter"), 1 / 24, 0.002),
        (Recall(test_size=10_000), 1 / 8, 0.015),
        (Copy(test_size=10_000), 1 / 8, 0.015),
        (TemporalOrder(test_size=10_000), 1 / 4, 0.02),
        (Parity(test_size=10_000), 1 / 2, 0.02),
        (Parity(test_size=10_000, per_step=True), 1 / 2, 0.02),
        (MQAR(vocabulary=64), 1 / 32, 0.005),
        (SelectiveCopy(), 1 / 14, 0.005),
        (ModularArithmetic(test_size=10_000), 1 / 5, 0.02),
        (CycleNavigation(test_size=10_000), 1 / 5, 0.02),
        (EvenPairs(test_size=10_000), 1 / 2, 0.02),
        (Warping(seq_len=100, max_warp=10), 1 / 10, 0.01),
        (Warping(seq_len=500, max_warp=100, train_size=2000), 1 / 5, 1e-12),
    ],
    ids=lambda value: type(value).__name__,
)
def test_chance_is_the_level_of_the_literature(task, level, tolerance):
    assert task.chance(task.splits(NOWHERE)) == pytest.approx(level, abs=tolerance)


def test_a_uniform_answer_to_copy_costs_the_logarithm_of_the_number_of_symbols():
    task = Copy(seq_len=50, **SIZES)
    test = task.splits(NOWHERE).test
    loss = task.loss(torch.zeros(*test.target.shape, 8), test.target)
    assert loss.mean().item() == pytest.approx(np.log(8), abs=1e-6)
    assert 10 / (1000 + 20) * np.log(8) == pytest.approx(0.02039, abs=5e-6)  # as published, at T=1000


@every_task
def test_shape_tells_what_the_batches_are(task):
    splits = task.splits(NOWHERE)
    for split, size in zip(splits, SIZES.values(), strict=True):
        if task.shape.vocabulary is None:
            assert split.x.shape == (size, task.shape.length, task.shape.channels)
            assert split.x.dtype == torch.float32
        else:
            assert split.x.shape == (size, task.shape.length)
            assert 0 < split.x.min() <= split.x.max() < task.shape.vocabulary
        assert split.lengths is None
        assert split.target.shape == ((size, task.shape.length) if task.shape.per_step else (size,))
    if task.metric == "accuracy":
        counted = splits.train.target[splits.train.target != IGNORED]
        least = task.keys + 1 if isinstance(task, MQAR) else 0  # keys are in its vocabulary, and are not answers
        assert counted.unique().tolist() == list(range(least, task.shape.outputs))
        assert len(task.classes()) == task.shape.outputs


@every_task
def test_no_two_examples_are_equal(task):
    rows = torch.cat([split.x for split in task.splits(NOWHERE)]).flatten(1).numpy()
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_short_sequences_leave_few_inputs_but_never_equal_ones():
    task = Parity(seq_len=10, train_size=300, validation_size=100, test_size=100)
    rows = torch.cat([split.x for split in task.splits(NOWHERE)]).flatten(1)
    assert len(rows.unique(dim=0)) == 500


@every_kind
def test_the_data_seed_alone_decides_and_no_global_random_state_is_touched(kind):
    arguments = {"seq_len": LENGTH, **SIZES}
    torch.manual_seed(1), np.random.seed(1), random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    one = kind(**arguments).splits(NOWHERE)
    torch.manual_seed(2)
    same, other = kind(**arguments).splits(NOWHERE), kind(**arguments, data_seed=1).splits(NOWHERE)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]
    assert all(torch.equal(a.x, b.x) and torch.equal(a.target, b.target) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.test.x, other.test.x)


@every_kind
def test_more_training_examples_are_added_to_the_same_ones_and_the_test_stays(kind):
    arguments = {"seq_len": LENGTH, "validation_size": 100, "test_size": 100}
    few = kind(**arguments, train_size=500).splits(NOWHERE)
    many = kind(**arguments, train_size=1500).splits(NOWHERE)
    assert torch.equal(few.test.x, many.test.x)
    assert torch.equal(few.validation.x, many.validation.x)
    assert torch.equal(few.train.x, many.train.x[:500])


@pytest.mark.parametrize(("distractors", "shown"), [(4, range(8, 12)), (0, range(8))])
def test_distractors_of_recall_are_no_cues_unless_there_are_none(distractors, shown):
    x = Recall(seq_len=30, distractors=distractors, **SIZES).splits(NOWHERE).train.x
    assert x[:, 1:].argmax(-1).unique().tolist() == list(shown)


def test_a_delimiter_asks_for_the_answer_of_copy():
    task = Copy(seq_len=30, **SIZES)
    x = task.splits(NOWHERE).train.x[:, task.symbols :]
    assert {task.sample(one, 20) for one in x} == {" ".join("·" * 9 + "|" + "·" * 10)}


def test_queries_of_associative_recall_stand_every_second_step_and_mostly_soon():
    task = MQAR(seq_len=64, train_size=4000, validation_size=1, test_size=1)
    x, _, target = task.splits(NOWHERE).train
    keys, values, asked = x[:, 0:8:2], x[:, 1:8:2], target != IGNORED
    assert torch.equal(keys.sort(1)[0], x[asked].view(-1, 4).sort(1)[0])
    assert all(len(row.unique()) == 4 for row in torch.cat([keys, values])[::100])
    assert keys.max() < 4096 <= values.min()
    assert values.max() < 8192
    assert (x[:, 8:][~asked[:, 8:]] == 8192).all()
    alone = MQAR(seq_len=64, pairs=1, train_size=4000, validation_size=1, test_size=1).splits(NOWHERE).train.target
    shares = (alone[:, 2:] != IGNORED).double().mean(0).numpy()
    odds = np.arange(1, 32) ** -0.99
    assert np.abs(shares[::2] - odds / odds.sum()).max() < 0.03
    assert (shares[1::2] == 0).all()


def test_what_stands_between_queries_can_be_any_token():
    x, _, target = MQAR(seq_len=64, vocabulary=16, filler="random", **SIZES).splits(NOWHERE).train
    assert x[:, 8:][target[:, 8:] == IGNORED].unique().tolist() == list(range(1, 17))


def test_symbols_to_be_copied_stand_anywhere_before_the_markers():
    task = SelectiveCopy(seq_len=30, symbols=6, **SIZES)
    shown = task.splits(NOWHERE).train.x.argmax(-1)
    assert (shown[:, 24:] == 15).all()
    kept = (shown[:, :24] < 14).double().mean(0)
    assert (kept - 6 / 24).abs().max() < 0.04


class Given:
    """Draws what it is given."""

    def __init__(self, *drawn):
        self.drawn = iter(drawn)

    def integers(self, *bounds, size):
        return np.array([next(self.drawn)])


FEW = {"train_size": 1, "validation_size": 1, "test_size": 1}


@pytest.mark.parametrize(
    ("kind", "drawn", "shown", "answer"),
    [
        (ModularArithmetic, ([1, 2, 3], [0, 2]), "1 + 2 * 3", 2),
        (ModularArithmetic, ([1, 1, 1], [1, 1]), "1 - 1 - 1", 4),
        (ModularArithmetic, ([0, 1, 4, 3, 2], [2, 0, 2, 1]), "0 * 1 + 4 * 3 - 2", 0),
        (CycleNavigation, ([2, 0, 1, 0, 0],), "+1 -1 0 -1 -1", 3),
        (CycleNavigation, ([2, 2, 2, 0],), "+1 +1 +1 -1", 2),
        (EvenPairs, ([0, 0, 1, 1, 1, 0],), "a a b b b a", 0),
        (EvenPairs, ([0, 1, 0, 1, 0, 0, 1],), "a b a b a a b", 1),
    ],
)
def test_the_examples_of_the_authors_code_are_answered_as_there(kind, drawn, shown, answer):
    length = len(shown.split())
    task = kind(seq_len=length, **FEW)
    x, target = task.draw(Given(*drawn), 1, "train")
    assert " ".join(task.alphabet[symbol] for symbol in x[0]) == shown
    assert target.tolist() == [answer]


def test_an_expression_of_an_even_length_ends_with_a_blank():
    x, target = ModularArithmetic(seq_len=6, **FEW).draw(Given([1, 2, 3], [0, 2]), 1, "train")
    assert (x[0].tolist(), target.tolist()) == ([1, 5, 2, 7, 3, 8], [2])


def runs_of(row):
    """Return symbols and how many steps each lasts."""
    return [(symbol, len(list(steps))) for symbol, steps in groupby(row)]


def test_each_character_lasts_for_as_long_as_the_warp_says():
    task = Warping(seq_len=100, max_warp=7, **SIZES)
    rows = [runs_of(row) for row in task.splits(NOWHERE).train.x.argmax(-1).tolist()]
    assert {tuple(steps for _, steps in row) for row in rows} == {(7,) * 14 + (2,)}
    following = [(b - a) % 9 for row in rows for (a, _), (b, _) in pairwise(row)]
    assert chisquare([following.count(gap) for gap in range(1, 9)]).pvalue > 0.001
    assert chisquare([sum(row[0][0] == symbol for row in rows) for symbol in range(9)]).pvalue > 0.001


def test_a_variable_warp_is_uniform_and_begins_anew_with_each_character():
    x = Warping(seq_len=100, warp="variable", max_warp=5, **SIZES).splits(NOWHERE).train.x.argmax(-1)
    lasts = [steps for row in x.tolist() for _, steps in runs_of(row)[:10]]
    assert set(lasts) == {1, 2, 3, 4, 5}
    assert chisquare([lasts.count(steps) for steps in range(1, 6)]).pvalue > 0.001
    assert abs(np.corrcoef(lasts[::2], lasts[1::2])[0, 1]) < 0.03


@pytest.mark.parametrize(("warp", "gaps"), [("uniform", {4}), ("variable", {1, 2, 3, 4})])
def test_a_padded_character_stands_for_one_step_and_blanks_come_after_it(warp, gaps):
    x = Warping(seq_len=60, warp=warp, max_warp=4, padded=True, **SIZES).splits(NOWHERE).train.x.argmax(-1)
    assert (x[:, 0] < 9).all()
    places = [(row < 9).nonzero().flatten() for row in x]
    assert {int(gap) - 1 for place in places for gap in place.diff()} == gaps
    assert all(place[-1] >= 60 - 5 for place in places)


def test_inputs_of_few_and_long_characters_may_be_equal():
    task = Warping(seq_len=500, max_warp=300, train_size=200, validation_size=50, test_size=50)
    assert len(task.splits(NOWHERE).train.x.flatten(1).unique(dim=0)) <= 9 * 8


def test_symbols_of_temporal_order_stand_where_the_paper_says():
    x = TemporalOrder(seq_len=40, **SIZES).splits(NOWHERE).train.x
    assert x[:, :, :2].any(-1).any(0).nonzero().flatten().tolist() == [*range(4, 9), *range(20, 25)]


def test_marks_of_the_adding_problem_stand_where_the_variant_says():
    marks = {
        v: Adding(seq_len=40, variant=v, **SIZES).splits(NOWHERE).train.x[:, :, 1]
        for v in ("halves", "anywhere", "hochreiter")
    }
    assert all((m.sum(1) == 2).all() for m in marks.values())
    assert (marks["halves"][:, :20].sum(1) == 1).all()
    assert (marks["anywhere"][:, :20].sum(1).unique() == torch.tensor([0, 1, 2])).all()
    assert (marks["hochreiter"][:, 20:] == 0).all()
    assert (marks["hochreiter"][:, :10].sum(1) >= 1).all()
    assert [m.any(0).sum().item() for m in marks.values()] == [40, 40, 20]


@pytest.mark.parametrize(
    ("region", "first", "last"), [("left", 0, 12), ("right", 20, 32), ("centre", 13, 18), ("anywhere", 0, 32)]
)
def test_a_motif_stands_wholly_in_its_region(region, first, last):
    task = Motif(seq_len=40, noise=0.01, test_region=region, **SIZES)
    splits = task.splits(NOWHERE)
    starts = matches(task, splits.test.x).amax(1).argmax(-1)
    assert starts.unique().tolist() == list(range(first, last + 1))
    assert matches(task, splits.validation.x).amax(1).argmax(-1).unique().tolist() == list(range(33))


def test_a_motif_at_the_edge_is_flush_with_it():
    task = Motif(seq_len=40, noise=0.01, test_region="edge", **SIZES)
    starts = matches(task, task.splits(NOWHERE).test.x).amax(1).argmax(-1)
    assert starts.unique().tolist() == [0, 32]


def test_motifs_whose_order_is_asked_never_overlap():
    task = Position(seq_len=40, noise=0.01, **SIZES)
    at = matches(task, task.splits(NOWHERE).train.x).argmax(-1)
    assert (at[:, 0] - at[:, 1]).abs().unique().tolist() == list(range(8, 33))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Recall(seq_len=1, symbols=2), "seq_len=1: Recall needs task.symbols=2"),
        (lambda: Recall(symbols=8, values=8), "choose 2 to 1024"),
        (lambda: Recall(values=1), "choose 2 to 1024"),
        (lambda: Recall(seq_len=5), "too few for 13,000 different examples"),
        (lambda: Copy(seq_len=20), "choose 21 or more"),
        (lambda: Copy(symbols=2), "only 64 different strings"),
        (lambda: TemporalOrder(seq_len=9), "choose 10 or more"),
        (lambda: Adding(seq_len=1), "choose 2 or more"),
        (lambda: Adding(seq_len=3, variant="hochreiter"), "choose 4 or more"),
        (lambda: Parity(seq_len=6), "only 64 different inputs"),
        (lambda: MQAR(seq_len=15), "seq_len=15: MQAR needs task.pairs=4 pairs of two steps"),
        (
            lambda: MQAR(vocabulary=9),
            "task.pairs=4, task.vocabulary=9: there are only 3 different keys; choose at most 3",
        ),
        (lambda: MQAR(vocabulary=20, pairs=2), "only 6,480 different lists of 2 pairs, too few for 13,000"),
        (lambda: SelectiveCopy(seq_len=31), "choose 32 or more"),
        (lambda: SelectiveCopy(seq_len=5, symbols=2), "only 588 different inputs"),
        (lambda: ModularArithmetic(seq_len=8), "only 16,875 different inputs"),
        (lambda: CycleNavigation(seq_len=9), "only 19,683 different inputs"),
        (lambda: EvenPairs(seq_len=14), "only 16,384 different inputs"),
        (lambda: Warping(seq_len=10), "seq_len=10: Warping needs a step more than the longest character, 10 with its"),
        (lambda: Warping(seq_len=11, padded=True), "choose 12 or more"),
        (lambda: Motif(seq_len=15, train_region="left"), "region 'left'; choose 16 or more"),
        (lambda: Motif(seq_len=23, test_region="centre"), "choose 24 or more"),
        (lambda: Motif(motifs=9), "choose 9 or more"),
        (lambda: Motif(motifs=1), "choose 2 or more"),
        (lambda: Motif(noise=0), "task.noise=0"),
        (lambda: Motif(noise=1e-50, seq_len=24), "task.noise=1e-50: training and test would share examples"),
        (lambda: Position(noise=1e-7), "task.noise=1e-07"),
        (lambda: Position(seq_len=15), "choose 16 or more"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make, says):
    with pytest.raises(ConfigError, match=says.replace("*", r"\*")) as refused:
        make()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Copy(seq_len=21),
        lambda: TemporalOrder(seq_len=10),
        lambda: MQAR(seq_len=16),
        lambda: SelectiveCopy(seq_len=32),
        lambda: ModularArithmetic(seq_len=9),
        lambda: CycleNavigation(seq_len=10),
        lambda: EvenPairs(seq_len=15),
        lambda: Warping(seq_len=11),
        lambda: Warping(seq_len=12, warp="variable", padded=True),
        lambda: Adding(seq_len=2),
        lambda: Adding(seq_len=4, variant="hochreiter"),
        lambda: Motif(seq_len=16, train_region="left", test_region="right"),
        lambda: Motif(seq_len=24, test_region="centre"),
        lambda: Position(seq_len=16),
        lambda: Position(seq_len=16, rule="half"),
    ],
)
def test_the_shortest_sequences_that_are_allowed_work(make):
    splits = make().splits(NOWHERE)
    assert len(splits.train) == 10_000


class OneInput(Parity):
    """Yields one and the same input for ever."""

    def draw(self, generator, n, part):
        return np.zeros((n, self.seq_len, 1), dtype=np.float32), np.zeros(n, dtype=np.int64)


def test_a_task_that_yields_nothing_new_is_refused_and_not_drawn_for_ever():
    with pytest.raises(ConfigError, match=r"seq_len=64: OneInput yields no more different inputs, but 1,999 examples"):
        OneInput().splits(NOWHERE)


@pytest.mark.parametrize(
    "settings", [{"values": 200}, {"distractors": 200}, {"values": 126}, {"values": 129, "distractors": 0}]
)
def test_more_symbols_than_a_byte_holds_can_be_recalled(settings):
    task = Recall(seq_len=5, train_size=2000, validation_size=100, test_size=100, **settings)
    splits = task.splits(NOWHERE)
    assert torch.equal(splits.train.x[:, 0].argmax(-1), splits.train.target)
    assert (splits.train.x.sum(-1) == 1).all()
    assert splits.train.x[:, 1:].argmax(-1).max() > 120
