"""Measures on schedule: each quantity has its own schedule, and one pass of the probe serves all."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.batch import Batch
from gradreach.diagnostics.bptt import bptt_shares
from gradreach.diagnostics.decay import curve_names, figures
from gradreach.diagnostics.decoding import decoding_figures, linear_decoding
from gradreach.diagnostics.gates import gate_coupling, gate_histograms, gate_statistics
from gradreach.diagnostics.jacobians import omega, recurrent_matrices, step_factors
from gradreach.diagnostics.probes import Loss, Probe, examples_of
from gradreach.diagnostics.products import log10_condition_number, lyapunov_spectrum
from gradreach.diagnostics.profile import profile_of
from gradreach.diagnostics.receptive_field import effective_receptive_field
from gradreach.diagnostics.sensitivity import has_parts, sensitivity, sensitivity_figures
from gradreach.diagnostics.trace import LayerTrace, Trace, check_model, trace_probe
from gradreach.schedule import Schedule, checked_schedule, due
from gradreach.system.machine import exactly

Tables = dict[str, pd.DataFrame]
Measured = tuple[dict[str, float], Tables]
"""A few scalars, and tables, by name."""
NEEDS = ("layers", "gates", "batch")


class Instrument:
    """Measures one model, on one probe, through training.

    - ``model``: the trained model, which is not changed.
    - ``probe``, ``loss``: see ``trace``; or a ``Probe``, which knows its losses.
    - ``schedules``: when each quantity is measured; others are not measured.
    - ``exponents``: how many Lyapunov exponents.
    - ``decoded``: hundreds of examples to fit and test linear decoding on; by default the probe.

    ``tables`` holds the measurements by name, each with a column ``stage``; ``seconds`` their cost.

    >>> instrument = Instrument(model, batch, loss, {"profile": "ends", "gates": 5})
    >>> found = instrument.measure("start")
    >>> sorted(instrument.tables), "h.half_life" in found
    (['gates', 'profile'], True)
    >>> instrument.measure("epoch 3", passed=(3, 90))  # nothing is due
    {}
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Batch | Probe,
        loss: Loss | None,
        schedules: Mapping[str, Schedule],
        exponents: int = 1,
        decoded: Batch | None = None,
    ) -> None:
        check_model(model)
        if not isinstance(probe, Probe):
            probe = examples_of(probe, loss)
        unknown = set(schedules) - set(QUANTITIES)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: choose quantities from {', '.join(QUANTITIES)}")
        self.model, self.probe = model, probe
        self.schedules = {name: checked_schedule(schedule) for name, schedule in schedules.items()}
        self.exponents = exponents
        self.decoded = probe.batch if decoded is None else decoded
        self.tables: dict[str, list[pd.DataFrame]] = {}
        self.seconds = 0.0

    def measure(self, stage: str, passed: tuple[float, int] | None = None) -> dict[str, float]:
        """Measure the quantities that are due.

        Args:
            stage: the name of this moment in the tables.
            passed: how many epochs and how many training steps; None at the start and at the end.

        Returns:
            A few scalars, such as ``h.half_life``; empty if nothing is due.
        """
        scheduled = {name: schedule for name, schedule in self.schedules.items() if schedule is not None}
        now = [name for name, schedule in scheduled.items() if passed is None or due(schedule, *passed)]
        if not now:
            return {}
        start = time.perf_counter()
        summary: dict[str, float] = {}
        with exactly():
            traced = self.trace()
            for name in now:
                if not QUANTITIES[name].fits(self, traced):
                    continue
                scalars, tables = QUANTITIES[name].measure(self, traced)
                summary |= scalars
                for title, table in tables.items():
                    self.tables.setdefault(title, []).append(table.assign(stage=stage))
        self.seconds += time.perf_counter() - start
        return summary

    def trace(self) -> Trace:
        """Run a copy of the model once forward and once back."""
        return trace_probe(self.model, self.probe)


def _profile(instrument: Instrument, traced: Trace) -> Measured:
    profile = profile_of(traced)
    return figures(profile), {"profile": profile}


def _gates(instrument: Instrument, traced: Trace) -> Measured:
    layers = [layer for layer in traced.layers if layer.steps.gates]
    table = pd.concat([gate_statistics(layer) for layer in layers], ignore_index=True)
    names = curve_names(traced.names)
    memory = {(layer.layer, layer.direction): layer.steps.memory_gate for layer in layers}
    scalars = {
        f"gate_{row['gate']}{names[row['layer'], row['direction']]}.{figure}": row[figure]
        for row in table.to_dict("records")
        for figure in ("mean", "closed", "open")
        if figure != "mean" or row["gate"] == memory[row["layer"], row["direction"]]
    }
    for layer in layers:
        for row in gate_coupling(layer).to_dict("records"):
            place = names[row.pop("layer"), row.pop("direction")]
            scalars |= {f"gate_coupling{place}.{figure}": value for figure, value in row.items()}
    return scalars, {"gates": table}


def _histograms(instrument: Instrument, traced: Trace) -> Measured:
    frames = [gate_histograms(layer) for layer in traced.layers if layer.steps.gates]
    return {}, {"gate_histograms": pd.concat(frames, ignore_index=True)}


def _lyapunov(instrument: Instrument, traced: Trace) -> Measured:
    scalars, frames = {}, []
    names = curve_names(traced.names)
    for layer in traced.layers:
        k = min(instrument.exponents, layer.steps.size)
        there = layer.count > 0  # of the others there is nothing to know; a NaN among these must show
        exponents, counts = lyapunov_spectrum(layer, k)[there], layer.count[there]
        medians = _median(exponents).tolist()
        name = names[layer.layer, layer.direction]
        scalars[f"h{name}.lyapunov"] = medians[0]
        if k > 1:
            scalars[f"h{name}.log10_condition"] = float(_median(log10_condition_number(exponents, counts)))
        facts = {"layer": layer.layer, "direction": layer.direction}
        frames.append(pd.DataFrame({**facts, "index": range(1, k + 1), "exponent": medians}))
    return scalars, {"lyapunov": pd.concat(frames, ignore_index=True)}


def _median(values: Tensor) -> Tensor:
    """Return the median over examples; NaN if one of them is, or if there are none."""
    return values.median(0)[0] if len(values) else values.new_full(values.shape[1:], math.nan)


def _bptt(instrument: Instrument, traced: Trace) -> Measured:
    frames = [bptt_shares(layer) for layer in traced.layers]
    return {}, {"bptt": pd.concat(frames, ignore_index=True)}


def _jacobians(instrument: Instrument, traced: Trace) -> Measured:
    names = curve_names(traced.names)

    def middle(layer: LayerTrace) -> float:
        return float(_median(omega(layer)[layer.count > 1]))

    scalars = {f"h{names[layer.layer, layer.direction]}.omega": middle(layer) for layer in traced.layers}
    factors = pd.concat([step_factors(layer) for layer in traced.layers], ignore_index=True)
    return scalars, {"factors": factors, "matrices": recurrent_matrices(instrument.model)}


def _receptive_field(instrument: Instrument, traced: Trace) -> Measured:
    encoder: Any = getattr(instrument.model, "encoder", None)
    field = getattr(encoder, "receptive_field", None)
    if field is None or not instrument.probe.x.is_floating_point():
        return {}, {}
    probe = copy.deepcopy(encoder).double().eval()
    x = instrument.probe.x.to(next(probe.parameters()).device, torch.float64)
    try:
        found = effective_receptive_field(lambda values: probe(values, None)[0], x)
    except ValueError:  # dead, or not a number: said as such
        return {"x.centroid": math.nan, "x.spread": math.nan, "x.beyond_field": math.nan}, {}
    scalars = {"x.centroid": found.centroid, "x.spread": found.spread, "x.beyond_field": float(found.beyond(field))}
    return scalars, {"receptive_field": found.weights}


def _decoding(instrument: Instrument, traced: Trace) -> Measured:
    assert instrument.decoded is not None
    table = linear_decoding(instrument.model, instrument.decoded)
    return decoding_figures(table), {"decoding": table}


def _sensitivity(instrument: Instrument, traced: Trace) -> Measured:
    batch = instrument.probe.batch
    if batch is None or not has_parts(instrument.model) or not batch.x.is_floating_point() or len(batch) < 2:
        return {}, {}
    table = sensitivity(instrument.model, batch)
    return sensitivity_figures(table), {"sensitivity": table}


@dataclass(frozen=True)
class Quantity:
    """A quantity that an instrument can measure.

    - ``measure``: ``(instrument, traced) -> (scalars, tables)``.
    - ``needs``: what it requires; without it, it is silently skipped: ``layers`` that are recurrent,
      ``gates``, or a ``batch`` with its targets, which ``decoded`` is; None: it can always be measured.

    Raises:
        ValueError: its requirement is unknown.

    >>> Quantity(lambda instrument, traced: ({"layers": len(traced.layers)}, {})).needs is None
    True
    """

    measure: Callable[[Instrument, Trace], Measured]
    needs: str | None = None

    def __post_init__(self) -> None:
        if self.needs is not None and self.needs not in NEEDS:
            raise ValueError(f"needs={self.needs}: choose from {', '.join(NEEDS)}, or None")

    def fits(self, instrument: Instrument, traced: Trace) -> bool:
        """Return whether its requirement is met."""
        if self.needs == "gates":
            return any(layer.steps.gates for layer in traced.layers)
        return bool(self.needs is None or traced.layers) and (self.needs != "batch" or instrument.decoded is not None)


QUANTITIES: dict[str, Quantity] = {
    "profile": Quantity(_profile),
    "gates": Quantity(_gates, "gates"),
    "histograms": Quantity(_histograms, "gates"),
    "lyapunov": Quantity(_lyapunov, "layers"),
    "bptt": Quantity(_bptt, "layers"),
    "jacobians": Quantity(_jacobians, "layers"),
    "receptive_field": Quantity(_receptive_field),
    "decoding": Quantity(_decoding, "batch"),
    "sensitivity": Quantity(_sensitivity),
}
"""All quantities, by their names in ``conf/diagnostics/``; ``register`` adds one."""


def register(name: str, quantity: Quantity) -> None:
    """Add your own quantity, under a name.

    Raises:
        ValueError: another quantity has the name.

    >>> register("count", Quantity(lambda instrument, traced: ({"recurrent": len(traced.layers)}, {})))
    >>> Instrument(model, batch, loss, {"count": "ends"}).measure("start")
    {'recurrent': 1}
    """
    if QUANTITIES.setdefault(name, quantity).measure is not quantity.measure:
        raise ValueError(f"{name}: a quantity with this name already exists; choose another name")
