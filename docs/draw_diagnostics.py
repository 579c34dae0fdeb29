"""Draw the pictures of docs/diagnostics.md with the instrument itself: ``python docs/draw_diagnostics.py``."""

from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.diagnostics import (
    Instrument,
    bptt_shares,
    effective_receptive_field,
    gate_histograms,
    gradient_profile,
    trace,
)
from gradreach.drawing import TIMELESS, draw_band, draw_run_profile, save_figure
from gradreach.look import look_of, looks_of
from gradreach.models import LSTM, SequenceModel
from gradreach.tasks import Batch

FIGURES = Path(__file__).parent / "figures"
WIDTH, CHANNELS, LENGTH, EXAMPLES = 64, 8, 120, 32

BIASES = {0: look_of("lstm"), 3: look_of("lstm b=3")}


def read_last(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    """Read the last state, all units alike."""
    return output[0][:, -1].sum(1)


def probe() -> Batch:
    """Return standard normal inputs."""
    torch.manual_seed(0)
    return Batch(torch.randn(EXAMPLES, LENGTH, CHANNELS), None, torch.zeros(EXAMPLES))


def lstm(forget_bias: float) -> nn.LSTM:
    """Make an untrained LSTM with a forget bias."""
    torch.manual_seed(1)
    layer = nn.LSTM(CHANNELS, WIDTH, batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[WIDTH : 2 * WIDTH] = forget_bias
        layer.bias_hh_l0[WIDTH : 2 * WIDTH] = 0
    return layer


def draw_profiles() -> None:
    """Draw norm against lag for untrained layers."""
    torch.manual_seed(1)
    layers = {
        "rnn": nn.RNN(CHANNELS, WIDTH, batch_first=True),
        "gru": nn.GRU(CHANNELS, WIDTH, batch_first=True),
        **{f"lstm b={bias}" if bias else "lstm": lstm(bias) for bias in (0, 1, 3)},
    }
    with save_figure(FIGURES / "profile", size=(6.0, 3.4)) as (axes,):
        for name, layer in layers.items():
            curve = gradient_profile(layer, probe(), read_last).query("quantity == 'h'")
            draw_band(axes, *(curve[c].to_numpy(float) for c in ("lag", "q10", "median", "q90")), look_of(name))
        axes.set(xlabel="lag (steps back from where the loss reads)", ylabel="log10 ‖dL/dh‖: median, 10–90 %")
        axes.legend()


def draw_terms() -> None:
    """Draw which lag teaches the recurrent weights, and what the gates do."""
    layers = {bias: trace(lstm(bias), probe(), read_last).layers[0] for bias in (0, 3)}
    with save_figure(FIGURES / "terms", size=(6.0, 3.0)) as (axes,):
        for bias, layer in layers.items():
            shares = bptt_shares(layer).query("weight == 'W_s'")
            axes.plot(shares["lag"], shares["share"], color=BIASES[bias].color, label=f"LSTM, forget bias {bias}")
        axes.set(xlabel="lag", ylabel="share of dL/dW_s", xlim=(-1, 60))
        axes.legend()
    with save_figure(FIGURES / "gates", size=(6.0, 3.0)) as (axes,):
        for bias, layer in layers.items():
            counts = gate_histograms(layer).query("gate == 'f'")
            heights = counts["count"] / counts["count"].sum()
            axes.stairs(heights, [*counts["low"], 1.0], color=BIASES[bias].color, label=f"forget gate, bias {bias}")
        axes.set(xlabel="value of the gate", ylabel="share")
        axes.legend()


def draw_field() -> None:
    """Draw what the middle output of convolutions looks at."""
    with save_figure(FIGURES / "receptive_field", size=(6.0, 3.0)) as (axes,):
        looks = looks_of(["2", "8"])
        for layers in (2, 8):
            torch.manual_seed(1)
            sizes = [1] + [16] * layers
            convolutions = [nn.Conv1d(a, b, 5, padding="same") for a, b in pairwise(sizes)]
            stack = nn.Sequential(*(part for one in convolutions for part in (one, nn.ReLU())))

            def encode(x: Tensor, stack: nn.Module = stack) -> Tensor:
                return stack(x.transpose(1, 2)).transpose(1, 2)

            found = effective_receptive_field(encode, torch.randn(64, 81, 1))
            label = f"{layers} layers, k = 5: reaches {found.extent} steps, spread {found.spread:.1f}"
            axes.plot(found.weights["offset"], found.weights["weight"], color=looks[str(layers)].color, label=label)
        axes.set(
            xlabel="offset from the output's centre (steps)",
            ylabel="share of |gradient|",
            xlim=(-25, 25),
            ylim=(0, 0.2),
        )
        axes.legend()


def draw_training() -> None:
    """Draw what a run draws: an LSTM learns to say the sign of a sequence's first step, and is measured meanwhile."""
    torch.manual_seed(0)
    model = SequenceModel(LSTM(1, width=16, forget_bias=1.0), "last", 2)
    losses = nn.CrossEntropyLoss(reduction="none")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def examples() -> Batch:
        x = torch.randn(64, 20, 1)
        return Batch(x, None, (x[:, 0, 0] > 0).long())

    instrument = Instrument(model, examples(), losses, {"profile": "20 steps"})
    instrument.measure("start")
    for step in range(1, 401):
        batch = examples()
        optimizer.zero_grad()
        losses(model(batch.x), batch.target).mean().backward()
        optimizer.step()
        instrument.measure(f"epoch {step / 100}", (step / 100, step))
    instrument.measure("end")
    figure = draw_run_profile(pd.concat(instrument.tables["profile"], ignore_index=True))
    figure.savefig(FIGURES / "training.png", metadata=TIMELESS["png"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    draw_profiles()
    draw_terms()
    draw_field()
    draw_training()
