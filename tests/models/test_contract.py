"""An encoder that is not as an encoder must be is refused in one line that says what it must have."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradreach.config import signature_of
from gradreach.errors import ConfigError
from gradreach.models import Encoder, SequenceModel, build
from gradreach.tasks import Shape

SERIES = Shape(channels=2, length=40, outputs=3)
TEXT = Shape(channels=1, length=30, outputs=6, vocabulary=50, variable_length=True)


class Mine(Encoder):
    """What is right."""

    causal = True
    receptive_field = None

    def __init__(self, d_in: int, *, width: int = 4) -> None:
        super().__init__()
        self.d_out = width
        self.project = nn.Linear(d_in, width)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self.project(x), lengths

    def multiply_adds(self, length: int) -> int:
        return length * self.project.weight.numel()


def changed(name: str, **attributes: Any) -> type[Encoder]:
    return type(name, (Mine,), attributes)


class WithoutCost(Encoder):
    receptive_field = None

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return x, lengths


class WithoutSuper(Mine):
    def __init__(self, d_in: int, *, width: int = 4) -> None:
        self.project = nn.Linear(d_in, width)


class Unsized(Mine):
    def __init__(self, *, width: int = 4) -> None:
        super().__init__(2, width=width)


class Silent(Mine):
    def __init__(self, d_in: int) -> None:
        super().__init__(d_in)
        del self.d_out


class Raises(Mine):
    def __init__(self, d_in: int) -> None:
        raise RuntimeError("no such\nthing")


class Refuses(Mine):
    def __init__(self, d_in: int) -> None:
        raise ConfigError("model.width", 3, "odd")


class Unsure(WithoutCost):
    def multiply_adds(self, length: int) -> int:
        return 0

    def __init__(self, d_in: int) -> None:
        super().__init__()
        self.d_out = d_in


def made(kind: Any, shape: Shape = SERIES) -> SequenceModel:
    with torch.device("meta"):
        return build(kind, {}, shape, readout="mean")


BROKEN = {
    "an encoder must have multiply_adds\\(length\\)": WithoutCost,
    "must be a subclass of gradreach.models.Encoder": nn.LSTM,
    "must be a subclass of gradreach.models.Encoder ": len,
    "constructor must take d_in and then keyword-only settings": Unsized,
    "constructor raises RuntimeError \\(no such thing\\)": Raises,
    "constructor raises AttributeError .*__init__": WithoutSuper,
    "^model.width=3: odd$": Refuses,
    "an encoder must have d_out: the size of a state": Silent,
    "an encoder must have causal: whether": Unsure,
    "receptive_field=0: must be": changed("Blind", receptive_field=0),
    "causal='yes', receptive_field=None: must be": changed("Says", causal="yes"),
    "forward must take \\(x, lengths\\)": changed("Short", forward=lambda self, x: (x, None)),
    "forward gives a Tensor; it must give \\(states, lengths\\)": changed("Bare", forward=lambda self, x, lengths: x),
    "states of shape \\(2, 40, 2\\); .* is \\(2, 40, 4\\)": changed(
        "Wide", forward=lambda self, x, lengths: (x, lengths)
    ),
    "states of shape \\(2, 20, 4\\); .* is \\(2, 40, 4\\)": changed(
        "Halved", forward=lambda self, x, lengths: (self.project(x)[:, ::2], lengths)
    ),
    "forward raises RuntimeError \\(.*reduction dim": changed(
        "Misfit", forward=lambda self, x, lengths: (self.project(x.mT), lengths)
    ),
    "must give whole numbers, not 1.5 and 40": changed("Costs", multiply_adds=lambda self, length: 1.5),
    "multiply_adds or output_length raises ZeroDivisionError": changed(
        "Fails", multiply_adds=lambda self, length: length // 0
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_no_encoder_is_refused_in_one_line(message):
    kind = BROKEN[message]
    with pytest.raises(ConfigError, match=message.strip()) as refused:
        made(kind)
    assert "\n" not in str(refused.value)
    if kind is not Refuses:
        assert str(refused.value).startswith("model._target_=")
        assert str(refused.value).endswith("; see docs/models.md, A new encoder")


def test_what_is_right_or_can_only_not_be_tried_without_memory_is_made():
    assert made(Mine).parameter_count == made(Mine, TEXT).parameter_count - 50 * 100 - (100 - 2) * 4 - (6 - 3) * 5

    def looks(self: Any, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self.project(x) * x.sum().item(), lengths

    assert made(changed("Looks", forward=looks)).parameter_count


def test_ours_are_not_tried_and_their_own_mistakes_keep_their_trace(monkeypatch):
    from gradreach.models import GRU

    monkeypatch.setattr(GRU, "layer", lambda self, d_in, width: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made(GRU)


class Untyped(Mine):
    def __init__(self, d_in: int, *, width=4) -> None:  # type: ignore[no-untyped-def]
        super().__init__(d_in, width=width)


class Unknown(Mine):
    def __init__(self, d_in: int, *, width: "Nowhere" = 4) -> None:  # type: ignore[name-defined]  # noqa: F821
        super().__init__(d_in, width=width)


@pytest.mark.parametrize(
    ("constructor", "message"),
    [
        (Untyped, r"Untyped: its argument width has no type annotation; write it as width: PositiveInt$"),
        (Unknown, r"Unknown: its constructor cannot be read \(name 'Nowhere' is not defined\)$"),
        (made, "must be a class$"),
        (3.14, "^_target_=3.14: must be a class$"),
        (int, "int: its constructor cannot be read"),
    ],
)
def test_a_constructor_whose_settings_cannot_be_checked_is_refused(constructor, message):
    with pytest.raises(ConfigError, match=message):
        signature_of(constructor)
