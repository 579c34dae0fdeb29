"""The product of step Jacobians: Lyapunov exponents and singular values, even if it has lost rank."""

import math

import torch
from torch import Tensor

from gradreach.diagnostics.steps import Steps
from gradreach.diagnostics.trace import LayerTrace, check_layer

EPSILON = torch.finfo(torch.float64).eps
ROTATIONS = 50
"""The most sweeps of rotations over all pairs of rows; about ten are enough."""


@torch.no_grad()
def lyapunov_spectrum(layer: LayerTrace, k: int | None = None, transient: int | None = None) -> Tensor:
    """Return the k largest Lyapunov exponents along each example's trajectory, ``(batch, k)``, in nats a step.

    ``mean ln |R_ii|`` of QR decompositions along the product of Jacobians, run in the direction of the gradient
    (source: G. Benettin et al., 1980; the transposed product has the same singular values).

    Args:
        layer: one of ``trace(model, batch, loss).layers``; its valid steps are used.
        k: how many; default all.
        transient: initial steps that only align the vectors and do not count; default a tenth.

    Returns:
        NaN for an example without steps to count. −inf if the product loses a direction: the number of finite exponents
        is the rank of the product of all steps in float64.

    Raises:
        TypeError: the argument is not a traced layer.
        ValueError: k is not between 1 and the size of the state.

    >>> layer = trace(model, batch, loss).layers[0]
    >>> exponents = lyapunov_spectrum(layer, k=2)
    >>> exponents.shape, bool((exponents[:, 0] < 0).all())  # this LSTM forgets
    (torch.Size([64, 2]), True)
    """
    check_layer(layer)
    size = layer.steps.size
    if k is not None and not 1 <= k <= size:
        raise ValueError(f"k={k}: the state has {size} exponents; choose 1 to {size}")
    found = _exponents(layer, k or size, transient)
    if k is not None and k < size and bool(found.isneginf().any()):
        # a direction that led and died leaves its place to one that was not followed
        found = _exponents(layer, size, transient)[:, :k]
    return found


def _exponents(layer: LayerTrace, k: int, transient: int | None) -> Tensor:
    steps = layer.steps
    q = _start(steps, k)
    first = layer.end - layer.count + 1
    skip = layer.count // 10 if transient is None else torch.full_like(layer.count, transient)
    back = torch.arange(steps.length - 1, -1, -1, device=q.device).unsqueeze(1)
    there = (back <= layer.end) & (back >= first)
    ragged = not bool(there.all())
    sizes, orders = [], []
    for i, t in enumerate(back.flatten().tolist()):
        new, triangle, order = _orthonormal(_pull(steps, t, q))
        q = torch.where(there[i, :, None, None], new, q) if ragged else new
        sizes.append(triangle.diagonal(dim1=1, dim2=2))
        orders.append(order)
    logs = torch.stack(sizes).abs().log()
    # what is lost before counting begins is lost all the same
    counted = there.unsqueeze(2) & ((back <= layer.end - skip).unsqueeze(2) | logs.isneginf())
    logs = torch.where(counted, logs, 0)
    if k > 1:  # a column of the end has stood elsewhere before
        place = torch.arange(k, device=q.device).expand(steps.batch, k)
        for i in range(steps.length - 1, -1, -1):
            logs[i] = logs[i].gather(1, place)
            place = torch.where(there[i].unsqueeze(1), orders[i].gather(1, place), place)
    total = logs.sum(0)
    number = (layer.count - skip).clamp(min=0).unsqueeze(1)
    return torch.where(number > 0, total / number, math.nan).sort(1, descending=True)[0]


def log10_condition_number(exponents: Tensor, steps: int | Tensor) -> Tensor:
    """Return ``log10`` of ``exp(T (λ_1 − λ_k))`` for exponents ``(batch, k)``; T may be each example's own.

    Infinite where a direction is lost, λ_k = −inf.

    >>> log10_condition_number(torch.tensor([[0.0, -math.log(10)]]), steps=7)
    tensor([7.])
    """
    if not (isinstance(exponents, Tensor) and exponents.dim() == 2):
        raise TypeError("exponents must be those of lyapunov_spectrum(layer), a tensor (batch, k)")
    ratio = steps * (exponents[:, 0] - exponents[:, -1]) / math.log(10)
    return torch.where(exponents[:, -1].isneginf(), math.inf, ratio)


@torch.no_grad()
def product_singular_values(layer: LayerTrace | Steps) -> Tensor:
    """Return ``ln σ_i`` of ``J_T … J_1``, ``(batch, size)``, even if no float could hold σ_i. For small widths.

    QR decompositions through its factors make it a triangle whose rows are graded by size (source: G. W. Stewart, On
    graded QR decompositions of products of matrices, 1995); each is kept as a direction and the logarithm of its
    length. Rotations of pairs of rows then make them orthogonal (source: M. R. Hestenes, 1958).

    Args:
        layer: one of ``trace(model, batch, loss).layers``, whose valid steps are used; or its ``steps``, then all are.

    Returns:
        The largest first; −inf beyond the product's rank in float64; NaN where a Jacobian holds what is not a number.

    Raises:
        TypeError: the argument is neither.

    >>> layer = trace(nn.Sequential(nn.RNN(1, 2, batch_first=True), Last()), batch, loss).layers[0]
    >>> product_singular_values(layer).shape
    torch.Size([64, 2])
    """
    if not isinstance(layer, Steps):
        check_layer(layer)
    steps = layer if isinstance(layer, Steps) else layer.steps
    factors = [steps.jacobian(t).mT for t in range(steps.length - 1, -1, -1)]  # the rightmost, which acts first
    if isinstance(layer, LayerTrace):
        ago = [layer.end - t for t in range(steps.length - 1, -1, -1)]
        identity = torch.eye(steps.size, dtype=torch.float64, device=steps.device)
        counted = [((since >= 0) & (since < layer.count))[:, None, None] for since in ago]
        factors = [torch.where(there, factor, identity) for there, factor in zip(counted, factors, strict=True)]
    q = _start(steps, steps.size)
    rows, logs = torch.eye(steps.size, dtype=torch.float64, device=steps.device).expand_as(q), q.new_zeros(q.shape[:2])
    for factor in factors:
        q, triangle, order = _orthonormal(factor @ q)
        triangle = torch.zeros_like(triangle).scatter(2, order.unsqueeze(1).expand_as(triangle), triangle)
        sizes = triangle.abs().log() + logs.unsqueeze(1)
        largest = sizes.amax(2, keepdim=True)
        scaled = triangle.sign() * (sizes - largest.masked_fill(largest.isneginf(), 0)).exp()
        rows, logs = _normalized(scaled @ rows, largest.squeeze(2))
    return _rotated(rows, logs)


def _start(steps: Steps, k: int) -> Tensor:
    """Return k random orthonormal columns, the same for every example."""
    generator = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(steps.size, k, generator=generator, dtype=torch.float64))
    columns: Tensor = q.to(steps.device)
    return columns.expand(steps.batch, -1, -1)


def _orthonormal(columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the QR decomposition of ``columns[:, :, order]``: Q, R, and the order, which puts lost columns last.

    A column is lost where what those before it leave of it is no more than rounding: the columns of Q and the rows of
    R are zero then. Rows are sorted by size, so that small ones are as exact as large ones (source: A. J. Cox and
    N. J. Higham, Stability of Householder QR factorization for weighted least squares problems, 1998).
    """
    order = torch.arange(columns.shape[2], device=columns.device).expand(len(columns), -1)
    if columns.shape[2] == 1:
        norm = torch.linalg.vector_norm(columns, dim=1, keepdim=True)
        return columns / norm.masked_fill(norm == 0, 1), norm, order
    sizes = torch.linalg.vector_norm(columns, dim=2)
    by_size = sizes.argsort(1, descending=True).unsqueeze(2).expand_as(columns)
    columns, sizes = columns.gather(1, by_size), sizes.gather(1, by_size[:, :, 0])
    lost = torch.zeros_like(order, dtype=torch.bool)
    while True:
        q, triangle = torch.linalg.qr(columns)
        least = EPSILON * columns.shape[1] * (q.abs().mT @ sizes.unsqueeze(2)).squeeze(2)
        now = (triangle.diagonal(dim1=1, dim2=2).abs() <= least) & ~lost
        now &= now.cumsum(1) == 1  # without the first of them, the others may not be
        if not bool(now.any()):
            break
        last = (now | lost).to(torch.int8).argsort(stable=True, dim=1)
        columns = columns.gather(2, last.unsqueeze(1).expand_as(columns))
        order, lost = order.gather(1, last), (now | lost).gather(1, last)
    q = torch.zeros_like(q).scatter(1, by_size, q).masked_fill(lost.unsqueeze(1), 0)
    return q, triangle.masked_fill(lost.unsqueeze(2), 0), order


def _normalized(rows: Tensor, logs: Tensor) -> tuple[Tensor, Tensor]:
    norms = torch.linalg.vector_norm(rows, dim=2)
    return rows / norms.masked_fill(norms == 0, 1).unsqueeze(2), logs + norms.log()


def _rotated(rows: Tensor, logs: Tensor) -> Tensor:
    """Return the logarithms of the singular values of ``diag(exp(logs)) rows``, rows of length 1; −inf are the last."""
    batch, size, width = rows.shape
    if size % 2:  # every row needs a partner
        rows = torch.cat([rows, rows.new_zeros(batch, 1, width)], 1)
        logs = torch.cat([logs, logs.new_full((batch, 1), -math.inf)], 1)
    half = (size + 1) // 2
    places = list(range(2 * half))
    # every row meets every other once: the first stays, the others go round
    places = [0, half, *places[1 : half - 1], *places[half + 1 :], half - 1] if half > 1 else places
    for _ in range(ROTATIONS):
        widest = 0.0
        for _ in range(2 * half - 1):
            swap = logs[:, :half] < logs[:, half:]
            one, other = _swapped(swap.unsqueeze(2), *rows.split(half, 1))
            high, low = _swapped(swap, *logs.split(half, 1))
            ratio = (low - high.masked_fill(high.isneginf(), 0)).exp().unsqueeze(2)
            cosine = (one * other).sum(2, keepdim=True)
            widest = max(widest, float(cosine.abs().nan_to_num(0).max()))
            apart = 1 - ratio**2
            root = apart + (apart**2 + 4 * (ratio * cosine) ** 2).sqrt()
            part = 2 * cosine / root.masked_fill(root == 0, 1)
            turn = 1 / (1 + (ratio * part) ** 2).sqrt()
            turned = turn * (one + ratio**2 * part * other), turn * (other - part * one)
            (one, high), (other, low) = _normalized(turned[0], high), _normalized(turned[1], low)
            rows = torch.cat(_swapped(swap.unsqueeze(2), one, other), 1)[:, places]
            logs = torch.cat(_swapped(swap, high, low), 1)[:, places]
        if widest < EPSILON * size:
            break
    ordered, _ = logs.sort(1, descending=True)
    return ordered[:, :size]


def _swapped(swap: Tensor, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(swap, other, one), torch.where(swap, one, other)


def _pull(steps: Steps, t: int, columns: Tensor) -> Tensor:
    """Apply ``J_tᵀ`` to the columns of ``(batch, size, k)``."""
    if columns.shape[-1] == 1:
        return steps.pull_back(t, columns.squeeze(-1))[0].unsqueeze(-1)
    return steps.pull_back(t, columns.permute(2, 0, 1))[0].permute(1, 2, 0)
