"""The space of a search, written in Hydra's sweep grammar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer

from gradreach.errors import ConfigError, value_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = str | int | float
"""A parameter's value: a number, or the text after ``=`` on a command line."""

WITHIN = 0.382
"""How far within an interval it is looked whether a fraction may be given."""
DIGITS = 12
"""Of a number that is drawn: what a sum of steps adds in rounding is cut off."""


@dataclass(frozen=True)
class Choice:
    """One of several values without an order: ``constant,cosine`` or ``choice(16, 32)``."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """Return the values that are checked before the search begins: all."""
        return self.values

    def distribution(self) -> "BaseDistribution":
        """Return it as an Optuna distribution."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


@dataclass(frozen=True)
class Interval:
    """A number between two others, both among them; a whole one where both are.

    - ``low``, ``high``: ``interval(0.1, 1)``; Hydra makes fractions of what is not ``int(interval(1, 10))``.
    - ``log``: whether its logarithm is drawn evenly: ``tag(log, interval(0.001, 1))``.
    - ``step``: how far neighbours are apart: ``range(16, 64, 8)``, which ends at 56; None: any number between.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def ends(self) -> tuple[Value, ...]:
        """Return the values that are checked before the search begins: the least, the largest, of fractions another."""
        within = [] if isinstance(self.low, int) else [self.low + (self.step or WITHIN * (self.high - self.low))]
        return tuple(dict.fromkeys([self.low, self.high, *within]))

    def distribution(self) -> "BaseDistribution":
        """Return it as an Optuna distribution."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Space:
    """What a search varies, and what it leaves as it is.

    - ``parameters``: by the key of a command line.
    - ``fixed``: overrides that hold for all runs.
    """

    parameters: Mapping[str, Choice | Interval]
    fixed: Sequence[str]

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """Return the line of the run that has these values."""
        return [*self.fixed, *(f"{key}={written(value)}" for key, value in values.items())]

    def ends(self) -> list[dict[str, Value]]:
        """Return the outermost points of the space: every end of each parameter, the others at their first."""
        first = {key: parameter.ends[0] for key, parameter in self.parameters.items()}
        others = [(key, value) for key, parameter in self.parameters.items() for value in parameter.ends[1:]]
        return [first, *({**first, key: value} for key, value in others)]


def read_space(params: Mapping[str, Any], arguments: Sequence[str], loader: Any = None) -> Space:
    """Read a space.

    >>> space = read_space({"optimizer.lr": "interval(0.1, 1)", "model": "lstm,gru"}, ["model=rnn"])
    >>> space.parameters
    {'optimizer.lr': Interval(low=0.1, high=1.0, log=False, step=None)}
    >>> space.fixed
    ['model=rnn']

    Args:
        params: what the configuration says, by key.
        arguments: what the command line says; it wins.
        loader: Hydra's, which knows what ``model=glob(*)`` means.

    Raises:
        ConfigError: a parameter has no values, or none is left to be searched.
        OverrideParseException: something is not Hydra's grammar.
    """
    words = [*(f"{key}={value if isinstance(value, str) else value_text(value)}" for key, value in params.items())]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides([*words, *arguments])
    last = {(override.key_or_group, override.package): override for override in parsed}.values()
    parameters = {each.get_key_element(): _parameter(each) for each in last if each.is_sweep_override()}
    if not parameters:
        hint = "give a setting a search space, such as optimizer.lr='interval(0.001, 0.1)'"
        raise ConfigError(
            "hydra.sweeper.params", allowed="nothing to search: every setting has a single value", hint=hint
        )
    return Space(parameters, [str(each.input_line) for each in last if not each.is_sweep_override()])


def _parameter(override: Override) -> Choice | Interval:
    key, sweep = override.get_key_element(), override.value()
    text = override.get_value_string()
    tags: set[str] = getattr(sweep, "tags", set())
    if tags - {"log"} or (tags and not override.is_interval_sweep()):
        raise ConfigError(key, text, "the only tag is log, for an interval", "tag(log, interval(0.001, 0.1))")
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None
        assert sweep.end is not None
        low, high, log = sweep.start, sweep.end, "log" in tags
        if not (isfinite(low) and isfinite(high) and low <= high):
            allowed = "an interval must go from a number to one at least as large"
            raise ConfigError(key, text, allowed, "such as interval(0.001, 0.1)")
        if log and low <= 0:
            raise ConfigError(key, text, "a logarithmic interval needs numbers above 0", "start the interval above 0")
        whole = isinstance(low, int) and isinstance(high, int)
        return Interval(low, high, log) if whole else Interval(float(low), float(high), log)
    found = _range(sweep) if isinstance(sweep, RangeSweep) else _choice(override)
    if found is None:
        raise ConfigError(key, text, "has no values", "give it at least one")
    return found


def _range(sweep: RangeSweep) -> Interval | None:
    """Return a range, which ends before its stop; None where it is empty."""
    start, stop, step = (Decimal(str(number)) for number in (sweep.start, sweep.stop, sweep.step))
    count = ceil((stop - start) / step) if step and all(number.is_finite() for number in (start, stop, step)) else 0
    if count < 1:
        return None
    low, high = sorted((start, start + (count - 1) * step))
    number = int if all(isinstance(each, int) for each in (sweep.start, sweep.stop, sweep.step)) else float
    return Interval(number(low), number(high), step=number(abs(step)))


def _choice(override: Override) -> Choice | None:
    """Return a choice, each value once; None where it is empty. Numbers stay numbers where all are."""
    values: list[Any] = list(override.sweep_iterator(Transformer.identity))
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values = list(override.sweep_iterator(Transformer.str))
    return Choice(tuple(dict.fromkeys(values))) if values else None


def written(value: Value) -> str:
    """Return a value as it stands on a command line.

    >>> written(0.1 + 0.2), written(32), written("cosine")
    ('0.3', '32', 'cosine')
    """
    return repr(float(f"{value:.{DIGITS}g}")) if isinstance(value, float) else str(value)
