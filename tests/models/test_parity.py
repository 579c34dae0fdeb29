"""What the range of eigenvalues decides: without negative ones no linear recurrence tracks parity at all lengths.

Source: R. Grazzi et al., Unlocking state-tracking in linear RNNs through negative eigenvalues, 2025, theorem 1.
"""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gradreach import models as m
from gradreach.models import SequenceModel, build
from gradreach.models.cells import Cell
from gradreach.models.deltanet import DeltaRule
from gradreach.models.mamba import SelectiveSSM
from gradreach.models.scan import Eigenvalues, MinGRUCell, MinLSTMCell
from gradreach.tasks import Shape


def with_long_steps(cell: SelectiveSSM) -> SelectiveSSM:
    """Let step sizes spread around 1: they start near 0, where all eigenvalues are near 1."""
    torch.nn.init.uniform_(cell.step_size.bias, -4, 4)
    return cell


CELLS: dict[str, Any] = {
    "mingru": lambda eigenvalues: MinGRUCell(6, 6, eigenvalues),
    "minlstm": lambda eigenvalues: MinLSTMCell(6, 6, eigenvalues),
    "mamba": lambda eigenvalues: with_long_steps(SelectiveSSM(6, 3, 2, eigenvalues)),
    "deltanet": lambda eigenvalues: DeltaRule(2, 3, 1, eigenvalues),
}


def changes_of(cell: Cell, steps: int = 12) -> Tensor:
    """Return how the state changes from step to step under a constant input, ``(steps, batch, size)``."""
    x = 3 * torch.randn(64, {DeltaRule: 20}.get(type(cell), 6), dtype=torch.float64)
    states = [cell.initial_state(64, x.device, x.dtype)]
    for _ in range(steps):
        states.append(cell.step(x, states[-1]))
    return torch.stack(states).diff(dim=0)


@pytest.mark.parametrize("name", CELLS)
def test_under_a_constant_input_a_state_moves_one_way_unless_eigenvalues_may_be_negative(name: str) -> None:
    """The proof in one line: parity of 1, 11, 111, … alternates, and such a state cannot."""
    torch.manual_seed(0)
    one_way, to_and_fro = (changes_of(CELLS[name](eigenvalues).double()) for eigenvalues in ("positive", "signed"))
    assert (one_way[1:] * one_way[:-1] >= -1e-24).all()
    turned = (to_and_fro[1:] * to_and_fro[:-1] < -1e-6).all(0)
    assert turned.any()
    assert not turned.all()


@pytest.mark.parametrize(
    ("eigenvalues", "steps", "real"),
    [("positive", 1, True), ("positive", 2, True), ("positive", 3, False), ("signed", 1, True), ("signed", 2, False)],
)
def test_a_product_of_corrections_has_complex_eigenvalues_though_none_of_them_has(
    eigenvalues: Eigenvalues, steps: int, real: bool
) -> None:
    torch.manual_seed(0)
    cell = DeltaRule(1, 3, steps, eigenvalues)
    x = 3 * torch.randn(500, 3 + 7 * steps, dtype=torch.float64)
    x[:, 3 * (1 + steps) : 3 * (1 + 2 * steps)] = 0  # no values: what is left is the transition
    start = torch.eye(3, dtype=torch.float64).flatten().expand(500, -1)
    found = torch.linalg.eigvals(cell.step(x, start).unflatten(-1, (3, 3)))
    least = -1 if eigenvalues == "signed" else 0
    assert (found.abs() <= 1 + 1e-9).all()
    assert bool((found.imag.abs() < 1e-6).all()) == real
    if real:
        assert (found.real > least - 1e-6).all()


@pytest.mark.parametrize("eigenvalues", ["positive", "signed"])
def test_the_gate_of_a_correction_is_a_share_whatever_the_range(eigenvalues: Eigenvalues) -> None:
    cell = DeltaRule(1, 3, 2, eigenvalues)
    x = torch.randn(4, 3 + 2 * 7)
    write = cell.opened(cell.prepare(x), cell.initial_state(4, x.device, x.dtype))["write"]
    torch.testing.assert_close(write, x[:, -2:].sigmoid())


def test_a_state_adds_up_what_bfloat16_would_lose() -> None:
    """Each step adds a sixty-thousandth."""
    rule, ssm = DeltaRule(1, 2, 1), SelectiveSSM(1, 1, 1)
    with torch.no_grad():
        ssm.log_a.fill_(-20)
        ssm.select.weight.copy_(torch.tensor([[0.0], [1], [1]]))
        ssm.step_size.bias.fill_(-11)
    inputs = [torch.tensor([1.0, 0, 1, 0, 1, 0, -11]).repeat(1, 8_000, 1), torch.ones(1, 8_000, 1)]
    for cell, x in zip((rule, ssm), inputs, strict=True):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            mixed = cell(x.bfloat16() if cell is ssm else x)[0, -1]
        whole = -math.expm1(-8_000 / math.exp(11)) if cell is rule else 8_000 / math.exp(11)
        assert mixed[0].item() == pytest.approx(whole, rel=0.02)


def test_a_signed_gate_holds_parity_for_a_thousand_steps() -> None:
    """Where β is 2, ``(1 − β) h + β ½ = 1 − h``; where it is 0, h stays."""
    cell = MinGRUCell(1, 1, "signed").double()
    with torch.no_grad():
        cell.from_input.weight.copy_(torch.tensor([[200.0], [0.0]]))
        cell.from_input.bias.copy_(torch.tensor([-100.0, 0.5]))
    bits = torch.randint(2, (20, 1000, 1)).double()
    torch.testing.assert_close(cell(bits), bits.cumsum(1) % 2)


LONGEST, STEPS = 20, 1000
LEARNERS: dict[str, tuple[type[m.Encoder], dict[str, Any]]] = {
    "mingru": (m.MinGRU, {}),
    "minlstm": (m.MinLSTM, {}),
    "mamba": (m.Mamba, {"states": 8}),
    "deltanet": (m.DeltaNet, {}),
}


def drawn(examples: int, length: int) -> tuple[Tensor, Tensor]:
    """Return bits as ±1, ``(examples, length, 1)``, and the parity up to each step, ``(examples, length)``."""
    bits = torch.randint(2, (examples, length))
    return 2.0 * bits.unsqueeze(2) - 1, bits.cumsum(1) % 2


def learned(kind: type[m.Encoder], settings: dict[str, Any]) -> SequenceModel:
    """Train two layers of width 16 in blocks on sequences of 3 to 20 steps, each step labelled."""
    torch.manual_seed(0)
    shape = Shape(channels=1, length=4 * LONGEST, outputs=2, per_step=True)
    model = build(kind, {"width": 16, "layers": 2, **settings}, shape, readout="each_step", block="prenorm")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        x, parity = drawn(64, int(torch.randint(3, LONGEST + 1, ())))
        optimizer.zero_grad()
        F.cross_entropy(model(x).flatten(0, 1), parity.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def right(model: SequenceModel, length: int) -> float:
    """Return how often the parity of whole sequences is right."""
    x, parity = drawn(1000, length)
    return float((model(x)[:, -1].argmax(1) == parity[:, -1]).double().mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_parity_beyond_the_training_length_is_solved_with_negative_eigenvalues_alone(name: str) -> None:
    kind, settings = LEARNERS[name]
    accuracy: dict[tuple[Eigenvalues, int], float] = {}
    for eigenvalues in ("positive", "signed"):
        model = learned(kind, {**settings, "eigenvalues": eigenvalues})
        accuracy |= {(eigenvalues, length): right(model, length) for length in (LONGEST, 2 * LONGEST, 4 * LONGEST)}
    print(name, accuracy)
    assert accuracy["signed", LONGEST] > 0.99
    assert accuracy["signed", 2 * LONGEST] > 0.8
    assert accuracy["positive", 2 * LONGEST] < 0.65
    assert accuracy["positive", 4 * LONGEST] < 0.56  # chance, within four standard errors of 1,000 draws
