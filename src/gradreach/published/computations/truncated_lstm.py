"""The LSTM of 1997, without a forget gate, and its truncated gradient, carried forward in time.

Source: S. Hochreiter and J. Schmidhuber, Long short-term memory, 1997, appendix A.1, whose equations have the numbers.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from gradreach.errors import advise
from gradreach.kernels.compiled import installed

Array = Any
SIGNATURE = "f8[::1](f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8, f8, f8)"


def present(hidden: Array, readout: Array, x: Array, target: Array, rate: float, g_most: float, h_most: float) -> Array:
    """Show one sequence, and change the weights, in place, by one step down the gradient of its error at the end.

    The error is half the sum of squares, as in (19). What arrives at the net input of a gate or a cell changes the
    weights there and goes no further back in time; within cells nothing is lost. Gates and cells read the input of the
    step and their activations of the step before, at first 0; outputs read the cells of the last step. Arrays are
    float64. Slices and products of arrays are written out, since numba takes five times as long to compile them.

    Args:
        hidden: weights ``(2 · blocks + cells, inputs + 2 · blocks + cells + 1)`` of input gates, output gates and
            cells, block by block; from the input, from those same units, and from 1.
        readout: weights ``(outputs, cells + 1)`` of the outputs, from the cells and from 1.
        x: ``(length, inputs)``.
        target: ``(outputs,)``.
        rate: of learning; at 0 the weights stay.
        g_most: g, which squashes what enters a cell, has the range −g_most to g_most; 2 in (5).
        h_most: the same of h, which squashes what leaves it; 1 in (4).

    Returns:
        Target minus output, ``(outputs,)``, before the step.

    >>> hidden, readout = np.zeros((4, 7)), np.zeros((1, 3))  # one block of two cells, two inputs
    >>> present(hidden, readout, np.ones((5, 2)), np.ones(1), 0.5, 2, 1), readout
    (array([0.5]), array([[0.    , 0.    , 0.0625]]))
    """
    units, sources = hidden.shape
    inputs, cells, outputs = x.shape[1], readout.shape[1] - 1, readout.shape[0]
    gates = units - cells
    blocks = gates // 2
    size = cells // blocks
    source, active, state = np.zeros(sources), np.zeros(units), np.zeros(cells)
    source[sources - 1] = 1
    by_gate, by_cell = np.zeros((cells, sources)), np.zeros((cells, sources))
    for t in range(x.shape[0]):
        for m in range(inputs):
            source[m] = x[t, m]
        for unit in range(units):
            source[inputs + unit] = active[unit]
        for unit in range(units):
            net = 0.0
            for m in range(sources):
                net += hidden[unit, m] * source[m]
            active[unit] = 1 / (1 + np.exp(-net))  # (3)
        for cell in range(cells):
            in_gate, out_gate = active[cell // size], active[blocks + cell // size]
            g = 2 * g_most * active[gates + cell] - g_most  # (5)
            through_gate, through_cell = g * in_gate * (1 - in_gate), in_gate * (g_most * g_most - g * g) / (2 * g_most)
            for m in range(sources):
                by_gate[cell, m] += through_gate * source[m]  # (25)
                by_cell[cell, m] += through_cell * source[m]  # (27)
            state[cell] += in_gate * g  # (9)
            active[gates + cell] = out_gate * h_most * (2 / (1 + np.exp(-state[cell])) - 1)  # (4)
    errors, at_cell = np.zeros(outputs), np.zeros(cells)
    for k in range(outputs):
        net = readout[k, cells]
        for cell in range(cells):
            net += readout[k, cell] * active[gates + cell]
        output = 1 / (1 + np.exp(-net))
        errors[k] = target[k] - output
        step = rate * output * (1 - output) * errors[k]  # (19)
        readout[k, cells] += step
        for cell in range(cells):
            at_cell[cell] += step * readout[k, cell]
            readout[k, cell] += step * active[gates + cell]  # (22)
    for cell in range(cells):
        block = cell // size
        out_gate, h = active[blocks + block], h_most * (2 / (1 + np.exp(-state[cell])) - 1)
        at_gate = at_cell[cell] * h * out_gate * (1 - out_gate)  # (21)
        at_state = at_cell[cell] * out_gate * (h_most * h_most - h * h) / (2 * h_most)  # (23)
        for m in range(sources):
            hidden[block, m] += at_state * by_gate[cell, m]  # (26)
            hidden[blocks + block, m] += at_gate * source[m]  # (22)
            hidden[gates + cell, m] += at_state * by_cell[cell, m]  # (28)
    return errors


@cache
def compiled() -> Callable[..., Array]:
    """Return ``present``, compiled, which takes a second; without numba itself, which is two hundred times as slow."""
    if not installed():
        advise("numba is not installed, so the LSTM of 1997 learns two hundred times as slowly (pip install numba)")
        return present
    from numba import njit

    made: Callable[..., Array] = njit(SIGNATURE)(present)
    return made
