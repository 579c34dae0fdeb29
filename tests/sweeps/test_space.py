"""What a search chooses from: Hydra's grammar, read without Optuna."""

import importlib.util

import pytest
from hydra.errors import OverrideParseException

from gradreach.errors import ConfigError
from gradreach.sweeps.space import Choice, Interval, Space, read_space, written

HAS_OPTUNA = importlib.util.find_spec("optuna") is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("constant,cosine", Choice(("constant", "cosine"))),
        ("choice(16, 32, 16)", Choice((16, 32))),
        ("choice(0.5, 2)", Choice((0.5, 2))),
        ("choice(true, false)", Choice(("True", "False"))),
        ("null,1", Choice(("null", "1"))),
        ("choice('a b', [1,2])", Choice(("a\\ b", "[1,2]"))),
        ("interval(0.1, 1)", Interval(0.1, 1.0)),
        ("interval(1, 10)", Interval(1.0, 10.0)),
        ("int(interval(1.5, 10))", Interval(1, 10)),
        ("tag(log, interval(0.001, 1))", Interval(0.001, 1.0, log=True)),
        ("range(0, 5)", Interval(0, 4, step=1)),
        ("range(5)", Interval(0, 4, step=1)),
        ("range(16, 64, 8)", Interval(16, 56, step=8)),
        ("range(5, 0, -2)", Interval(1, 5, step=2)),
        ("range(0.1, 0.5, 0.1)", Interval(0.1, 0.4, step=0.1)),
        ("shuffle(range(0, 5))", Interval(0, 4, step=1)),
    ],
)
def test_a_space_is_written_in_hydras_grammar_of_sweeps(text, expected):
    (found,) = read_space({"key": text}, []).parameters.values()
    assert found == expected
    assert [type(end) for end in found.ends] == [type(end) for end in expected.ends]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval(1, 0)", "an interval must go from a number to one at least as large"),
        ("interval(0, inf)", "an interval must go from a number to one at least as large"),
        ("interval(nan, 1)", "an interval must go from a number to one at least as large"),
        ("tag(log, interval(0, 1))", "a logarithmic interval needs numbers above 0"),
        ("tag(lg, interval(1, 2))", "the only tag is log, for an interval"),
        ("tag(log, choice(1, 2))", "the only tag is log, for an interval"),
        ("range(0, 0)", "has no values"),
        ("range(0, 5, 0)", "has no values"),
        ("range(0, inf)", "has no values"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigError) as refused:
        read_space({"optimizer.lr": text}, [])
    assert str(refused.value).startswith(f"optimizer.lr={text}: {message}; ")
    assert "\n" not in str(refused.value)


def test_what_is_not_hydras_grammar_is_refused_by_hydra():
    with pytest.raises(OverrideParseException):
        read_space({"optimizer.lr": "interval(1"}, [])


def test_the_command_line_wins_whatever_it_puts_before_a_key():
    params = {"optimizer.lr": "interval(0.1, 1)", "model.width": "choice(16, 32)", "seed": 3}
    space = read_space(params, ["++optimizer.lr=0.5", "model.width=range(1, 9)", "+search=training", "~task.values"])
    assert space == Space(
        {"model.width": Interval(1, 8, step=1)}, ["++optimizer.lr=0.5", "seed=3", "+search=training", "~task.values"]
    )
    with pytest.raises(ConfigError, match=r"^hydra.sweeper.params: nothing to search: every setting has a single val"):
        read_space(params, ["optimizer.lr=0.5", "model.width=1"])


def test_the_line_of_a_run_holds_what_is_fixed_and_numbers_as_people_would_type_them():
    space = read_space({"optimizer.lr": "interval(0.1, 1)"}, ["model=rnn"])
    assert space.overrides({"optimizer.lr": 0.1 + 0.2}) == ["model=rnn", "optimizer.lr=0.3"]
    assert [written(value) for value in (1e-05, 3, 2.0, "'a b'")] == ["1e-05", "3", "2.0", "'a b'"]


def test_the_outermost_points_have_every_end_of_each_parameter():
    space = Space({"a": Choice((1, 2, 3)), "b": Interval(0.1, 0.9), "c": Interval(5, 5)}, [])
    assert space.ends() == [
        {"a": 1, "b": 0.1, "c": 5},
        {"a": 2, "b": 0.1, "c": 5},
        {"a": 3, "b": 0.1, "c": 5},
        {"a": 1, "b": 0.9, "c": 5},
        {"a": 1, "b": pytest.approx(0.4056), "c": 5},
    ]


@pytest.mark.skipif(not HAS_OPTUNA, reason="needs the extra gradreach[optuna]")
def test_optuna_draws_from_a_parameter_its_values_alone():
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert Choice((16, 32)).distribution() == CategoricalDistribution((16, 32))
    assert Interval(0.1, 1.0, log=True).distribution() == FloatDistribution(0.1, 1.0, log=True)
    assert Interval(1, 10).distribution() == IntDistribution(1, 10)
    assert Interval(1, 10, log=True).distribution() == IntDistribution(1, 10, log=True)
    assert Interval(16, 56, step=8).distribution() == IntDistribution(16, 56, step=8)
    assert Interval(0.1, 0.4, step=0.1).distribution() == FloatDistribution(0.1, 0.4, step=0.1)
