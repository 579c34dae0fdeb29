"""Gate statistics: how open gates are, how many are saturated, and which memory they imply."""

import math

import numpy as np
import pandas as pd

from gradreach.diagnostics.trace import LayerTrace, check_layer

CLOSED, OPEN = 0.1, 0.9
"""Below the first or above the second value a gate counts as saturated."""
COUPLED = 0.1
"""Within this distance from 0, i + f − 1 counts as coupled gates."""
BINS = 20


def gate_statistics(layer: LayerTrace) -> pd.DataFrame:
    """Summarise every gate over examples, valid steps and units.

    Returns:
        Columns ``layer, direction, gate, mean, closed, open, half_life``: the mean; the shares below 0.1 and above 0.9;
        for the gate that weighs the old state the half-life ``ln ½ / ln mean`` that it alone would imply (0 if closed,
        infinite if fully open), otherwise NaN. All NaN if one value is. An LSTM has a line ``notes`` too, the factor
        tanh'(c_t) · f_t of the founding notes; so has the simplified cell that they derive it for, there (1 − s_t²) ·
        f_t.

    >>> table = gate_statistics(trace(model, batch, loss).layers[0])
    >>> table["gate"].tolist()
    ['i', 'f', 'o', 'notes']
    """
    check_layer(layer)
    rows = []
    for name, values in _gates(layer).items():
        mean = float(values.mean()) if len(values) else math.nan
        implied = _half_life(mean) if name == layer.steps.memory_gate else math.nan
        shares = ((values < CLOSED).mean(), (values > OPEN).mean())
        closed, opened = (math.nan, math.nan) if math.isnan(mean) else shares
        rows.append((layer.layer, layer.direction, name, mean, float(closed), float(opened), implied))
    return pd.DataFrame(rows, columns=["layer", "direction", "gate", "mean", "closed", "open", "half_life"])


def gate_histograms(layer: LayerTrace, bins: int = BINS) -> pd.DataFrame:
    """Count gates by value: columns ``layer, direction, gate, low, high, count``; NaNs are in no bin.

    >>> counts = gate_histograms(trace(model, batch, loss).layers[0])
    >>> int(counts.loc[counts["gate"] == "f", "count"].sum()) == 64 * 20 * 8  # examples, steps, units
    True
    """
    check_layer(layer)
    frames = []
    for name, values in _gates(layer).items():
        counts, edges = np.histogram(values[np.isfinite(values)], bins=bins, range=(0, 1))
        facts = {"layer": layer.layer, "direction": layer.direction, "gate": name}
        frames.append(pd.DataFrame({**facts, "low": edges[:-1], "high": edges[1:], "count": counts}))
    columns = ["layer", "direction", "gate", "low", "high", "count"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def gate_coupling(layer: LayerTrace) -> pd.DataFrame:
    """Measure how close the input gate i is to 1 − f, f the forget gate: i + f − 1 is 0 if a single gate would do.

    Returns:
        Columns ``layer, direction, q10, median, q90, coupled, correlation``, over examples, valid steps and units: of
        i + f − 1 three quantiles and the share within ±0.1; Pearson's correlation of i with f, −1 where they are
        coupled (NaN of a gate that never moves). At torch's initialization both are about ½: i + f − 1 is small without
        any coupling: the correlation tells that. All NaN where one value is; no row for a layer without these gates.

    >>> table = gate_coupling(trace(model, batch, loss).layers[0])
    >>> bool(table["q10"][0] < 0 < table["q90"][0]), bool(abs(table["correlation"][0]) < 1)
    (True, True)
    """
    check_layer(layer)
    columns = ["layer", "direction", "q10", "median", "q90", "coupled", "correlation"]
    gates = layer.steps.gates
    if not {"i", "f"} <= gates.keys():
        return pd.DataFrame(columns=columns)
    i, f = (layer.valid(gates[name]).cpu().numpy() for name in "if")
    excess = i + f - 1
    known = len(excess) > 0 and not np.isnan(excess).any()
    quantiles = np.quantile(excess, (0.1, 0.5, 0.9)) if known else np.full(3, math.nan)
    moved = known and i.std() > 0 and f.std() > 0
    correlation = float(np.corrcoef(i, f)[0, 1]) if moved else math.nan
    coupled = float((np.abs(excess) < COUPLED).mean()) if known else math.nan
    return pd.DataFrame([(layer.layer, layer.direction, *quantiles.tolist(), coupled, correlation)], columns=columns)


def _half_life(mean: float) -> float:
    if mean in (0, 1):
        return math.inf if mean else 0.0
    return math.log(0.5) / math.log(mean)


def _gates(layer: LayerTrace) -> dict[str, np.ndarray]:
    return {name: layer.valid(gate).cpu().numpy() for name, gate in layer.steps.gates.items()}
