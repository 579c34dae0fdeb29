"""The loops over time, as numba compiles them: plain arrays in float32, time first, each gate by itself.

A step is one product a gate (``np.dot``), then passes over the whole batch; each names five arrays at most, since
LLVM vectorizes no loop that would have to tell more apart. Numbers are float32 constants: a literal is float64 to
numba. What is kept for the way back is what the formulas there name.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

Array = Any
f32 = np.float32

ZERO, ONE, TWO = f32(0), f32(1), f32(2)
LOWEST, HIGHEST = f32(-88), f32(89)
"""Where exp reaches 0 and inf in float32, as far as a scale of an exponent of 8 bits tells them."""
LOG2_E, LN2_HIGH, LN2_LOW = f32(1.44269504088896341), f32(0.693359375), f32(-2.12194440e-4)
ROUND = f32(12582912)
"""1.5 · 2^23: adding it leaves the nearest integer in the lowest bits."""
E0, E1, E2, E3, E4, E5 = map(
    f32, (5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4)
)
SMALL = f32(0.625)
T0, T1, T2, T3, T4 = map(
    f32, (-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3)
)


@register_jitable
def exp(x: Any) -> Any:
    """Return e^x: 0 below -88, inf above 88.4, NaN of NaN. Source: S. L. Moshier's Cephes, ``expf``."""
    x = LOWEST if x < LOWEST else x  # in this order, so that NaN stays NaN
    x = HIGHEST if x > HIGHEST else x
    rounded = f32(x * LOG2_E + ROUND)
    n = rounded - ROUND
    r = x - n * LN2_HIGH - n * LN2_LOW
    scale = np.int32((f32(rounded).view(np.int32) << 23) + 0x3F800000).view(f32)
    return scale * (((((((E5 * r + E4) * r + E3) * r + E2) * r + E1) * r + E0) * r) * r + r + ONE)


@register_jitable
def sigmoid(x: Any) -> Any:
    """Return σ(x), as right to the last digits where the gate is closed as where it is open."""
    return ONE / (ONE + exp(-x))


@register_jitable
def tanh(x: Any) -> Any:
    """Return tanh(x). Source: S. L. Moshier's Cephes, ``tanhf``."""
    square = x * x
    small = ((((T4 * square + T3) * square + T2) * square + T1) * square + T0) * square * x + x
    magnitude = abs(x)
    large = ONE - TWO / (exp(magnitude + magnitude) + ONE)
    return small if magnitude < SMALL else (-large if x < ZERO else large)


@register_jitable
def add_step(total: Array, gradient: Array, t: int, layout: int) -> None:
    """Add the gradient of step t to ``total (batch, width)``. Layout 0: none, 1: time first, 2: batch first."""
    if layout == 1:
        flat, step = total.reshape(total.size), gradient[t].reshape(total.size)
        for i in range(flat.size):
            flat[i] += step[i]
    elif layout == 2:
        for b in range(total.shape[0]):
            row, given = total[b], gradient[b, t]
            for i in range(row.size):
                row[i] += given[i]


def rnn_forward(x: Array, h: Array, recurrent: Array, relu: bool) -> None:
    """Turn the projected input ``x (T, batch, width)`` into the states, in place. ``h`` is the state before."""
    product = np.empty_like(h)
    flat = product.reshape(product.size)
    for t in range(x.shape[0]):
        np.dot(h, recurrent.T, product)
        h = x[t]
        state = h.reshape(h.size)
        if relu:
            for i in range(state.size):
                a = state[i] + flat[i]
                state[i] = ZERO if a <= ZERO else a
        else:
            for i in range(state.size):
                state[i] = tanh(state[i] + flat[i])


def rnn_backward(
    gradient: Array, layout: int, dh: Array, states: Array, recurrent: Array, da: Array, to_start: bool, relu: bool
) -> None:
    """Fill ``da (T, batch, width)``, the gradient before the nonlinearity; leave the initial state's in ``dh``."""
    flat = dh.reshape(dh.size)
    for t in range(states.shape[0] - 1, -1, -1):
        add_step(dh, gradient, t, layout)
        state, out = states[t].reshape(dh.size), da[t].reshape(dh.size)
        if relu:
            for i in range(dh.size):
                out[i] = ZERO if state[i] <= ZERO else flat[i]
        else:
            for i in range(dh.size):
                out[i] = flat[i] * (ONE - state[i] * state[i])
        if t > 0 or to_start:
            np.dot(da[t], recurrent, dh)


def gru_forward(x: Array, h: Array, recurrent: Array, bias: Array, hidden: Array, states: Array, keep: int) -> None:
    """Fill ``states (T, batch, width)``; turn the projected input ``x (3, T, batch, width)`` into r, z, n in place.

    ``bias (width)`` is that of n's recurrent part, which ``hidden`` keeps if ``keep`` is 1: ``U_n h + bias``.
    """
    size = h.size
    bias_of_all = np.empty_like(h)
    bias_of_all[:] = bias
    bias_flat = bias_of_all.reshape(size)
    product = np.empty((2, h.shape[0], h.shape[1]), f32)
    product_r, product_z = product[0].reshape(size), product[1].reshape(size)
    for t in range(states.shape[0]):
        q = hidden[t * keep].reshape(size)
        np.dot(h, recurrent[0].T, product[0])
        np.dot(h, recurrent[1].T, product[1])
        np.dot(h, recurrent[2].T, hidden[t * keep])
        r, z, n = x[0, t].reshape(size), x[1, t].reshape(size), x[2, t].reshape(size)
        before, state = h.reshape(size), states[t].reshape(size)
        for i in range(size):
            r[i] = sigmoid(r[i] + product_r[i])
        for i in range(size):
            q[i] += bias_flat[i]
        for i in range(size):
            n[i] = tanh(n[i] + r[i] * q[i])
        for i in range(size):
            z[i] = sigmoid(z[i] + product_z[i])
        for i in range(size):
            state[i] = n[i] + z[i] * (before[i] - n[i])
        h = states[t]


def gru_backward(
    gradient: Array,
    layout: int,
    dh: Array,
    states: Array,
    start: Array,
    gates: Array,
    hidden: Array,
    recurrent: Array,
    da: Array,
    to_start: bool,
) -> None:
    """Fill ``da (4, T, batch, width)``, the gradients before r, z, n and by ``hidden``; ``dh``: by the first state."""
    size = dh.size
    flat = dh.reshape(size)
    product = np.empty((3, dh.shape[0], dh.shape[1]), f32)
    p0, p1, p2 = product[0].reshape(size), product[1].reshape(size), product[2].reshape(size)
    for t in range(states.shape[0] - 1, -1, -1):
        add_step(dh, gradient, t, layout)
        before = (states[t - 1] if t > 0 else start).reshape(size)
        r, z, n = gates[0, t].reshape(size), gates[1, t].reshape(size), gates[2, t].reshape(size)
        q = hidden[t].reshape(size)
        dr, dz, dn = da[0, t].reshape(size), da[1, t].reshape(size), da[2, t].reshape(size)
        dq = da[3, t].reshape(size)
        for i in range(size):
            dn[i] = flat[i] * (ONE - z[i]) * (ONE - n[i] * n[i])
        for i in range(size):
            dz[i] = flat[i] * (before[i] - n[i]) * (z[i] * (ONE - z[i]))
        for i in range(size):
            dr[i] = dn[i] * q[i] * (r[i] * (ONE - r[i]))
        for i in range(size):
            dq[i] = dn[i] * r[i]
        if t > 0 or to_start:
            np.dot(da[0, t], recurrent[0], product[0])
            np.dot(da[1, t], recurrent[1], product[1])
            np.dot(da[3, t], recurrent[2], product[2])
            for i in range(size):
                flat[i] = flat[i] * z[i] + p0[i] + p1[i] + p2[i]


OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}
"""Of numba, here because its cache knows this file alone.

Full ``fastmath`` would give other bits in the process that compiles than in those that load, and lose NaN.
"""
SIGNATURES = {
    "rnn_forward": "void(f4[:,:,::1], f4[:,::1], f4[:,::1], b1)",
    "rnn_backward": "void(f4[:,:,::1], i8, f4[:,::1], f4[:,:,::1], f4[:,::1], f4[:,:,::1], b1, b1)",
    "gru_forward": "void(f4[:,:,:,::1], f4[:,::1], f4[:,:,::1], f4[::1], f4[:,:,::1], f4[:,:,::1], i8)",
    "gru_backward": (
        "void(f4[:,:,::1], i8, f4[:,::1], f4[:,:,::1], f4[:,::1], f4[:,:,:,::1], f4[:,:,::1], f4[:,:,::1], "
        "f4[:,:,:,::1], b1)"
    ),
}
