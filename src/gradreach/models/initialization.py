"""Our own initializations; otherwise torch layers keep torch's."""

import math

import torch
from torch import Tensor, nn

from gradreach.errors import ConfigError

IDENTITY_INPUT_STD = 0.001
"""Standard deviation of the input weights of the identity initialization (Le et al., 2015)."""


def uniform_by_fan_in(module: nn.Module, fan_in: int) -> None:
    """Draw all parameters from U(±1/√fan_in), as torch does: recurrent layers with their width as ``fan_in``."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)


@torch.no_grad()
def scaled_start(embedding: nn.Embedding, std: float) -> None:
    """Initialize vectors from N(0, std²): torch's own draw, scaled."""
    embedding.weight.mul_(std)


@torch.no_grad()
def pretrained_start(embedding: nn.Embedding, vectors: Tensor) -> None:
    """Copy vectors ``(tokens, size)``; that of padding stays zero."""
    embedding.weight.copy_(vectors)
    if embedding.padding_idx is not None:
        embedding.weight[embedding.padding_idx] = 0


@torch.no_grad()
def recurrent_start(layer: nn.RNNBase, kind: str, gain: float) -> None:
    """Initialize an ``nn.RNN``: ``default`` is torch's, U(±1/√width).

    ``orthogonal`` redraws the recurrent matrix (Saxe et al., 2014) and keeps the rest; ``identity`` sets it to the
    identity, biases to zero, and draws the input weights from N(0, 0.001²) (Le, Jaitly and Hinton, 2015). Whichever it
    is, the recurrent matrix is then multiplied by the gain.
    """
    weights = dict(layer.named_parameters())
    if kind == "orthogonal":
        nn.init.orthogonal_(weights["weight_hh_l0"])
    if kind == "identity":
        nn.init.eye_(weights["weight_hh_l0"])
        nn.init.normal_(weights["weight_ih_l0"], std=IDENTITY_INPUT_STD)
        nn.init.zeros_(weights["bias_ih_l0"])
        nn.init.zeros_(weights["bias_hh_l0"])
    weights["weight_hh_l0"].mul_(gain)


@torch.no_grad()
def forget_bias_start(of_input: Tensor, of_state: Tensor, forget: slice, bias: float) -> None:
    """Set the sum of an LSTM's two biases in the forget gate's rows, for every unit (R. Jozefowicz et al., 2015)."""
    of_input[forget] = bias
    of_state[forget] = 0.0


@torch.no_grad()
def chrono_start(layer: nn.RNNBase, longest: int) -> None:
    """Spread an ``nn.LSTM``'s memory over 1 … longest − 1 steps: ``b_f = ln U(1, longest − 1)``, ``b_i = −b_f``.

    Source: C. Tallec and Y. Ollivier, Can recurrent neural networks warp time?, 2018, eq. 16.
    """
    width, weights = layer.hidden_size, dict(layer.named_parameters())
    spans = _log_spans(weights["bias_ih_l0"][:width], longest)
    weights["bias_ih_l0"][:width] = -spans
    weights["bias_ih_l0"][width : 2 * width] = spans
    weights["bias_hh_l0"][: 2 * width] = 0.0


@torch.no_grad()
def chrono_update_start(of_input: Tensor, of_state: Tensor, update: slice, longest: int) -> None:
    """The same for a GRU, whose update gate z weighs the old state: ``b_z = ln U(1, longest − 1)``, both biases added.

    Source: Tallec and Ollivier, 2018, §2 on eq. 10, of the gate g = 1 − z.
    """
    of_input[update] = _log_spans(of_input[update], longest)
    of_state[update] = 0.0


@torch.no_grad()
def chrono_leak_start(leak: Tensor, longest: int) -> None:
    """The same for a leaky network: α = σ(a) with ``a = −ln U(1, longest − 1)``, so that 1/α is from 2 to longest."""
    leak.copy_(-_log_spans(leak, longest))


def _log_spans(like: Tensor, longest: int) -> Tensor:
    return torch.empty_like(like).uniform_(1, longest - 1).log()


def indrnn_start(recurrent: Tensor) -> None:
    """Draw the recurrent weights from U(0, 1) (S. Li et al., 2018)."""
    nn.init.uniform_(recurrent, 0, 1)


@torch.no_grad()
def lru_start(nu: Tensor, theta: Tensor, log_gamma: Tensor, from_input: Tensor, r_min: float, r_max: float) -> None:
    """Draw ``λ = exp(−e^ν + i e^θ)`` uniformly on the ring ``r_min ≤ |λ| ≤ r_max``; ``γ = √(1 − |λ|²)``.

    Real and imaginary part of the input matrix, ``(2 · states, d_in)``, come from N(0, 1 / (2 d_in)).
    Source: A. Orvieto et al., 2023, lemma 3.2 and appendix A.
    """
    if nu.is_meta:  # no memory to fill, and torch works long on saying so
        return
    squared = torch.empty_like(nu).uniform_(r_min**2, r_max**2).clamp(min=1e-12)
    nu.copy_((-0.5 * squared.log()).log())
    theta.copy_(torch.empty_like(theta).uniform_(0, 2 * math.pi).clamp(min=1e-6).log())
    log_gamma.copy_(0.5 * torch.log1p(-squared))
    nn.init.normal_(from_input, std=1 / math.sqrt(2 * from_input.shape[1]))


@torch.no_grad()
def s4d_lin_start(log_step: Tensor, log_decay: Tensor, frequency: Tensor, output: Tensor) -> None:
    """Set ``A_n = −1/2 + i π n``; draw the step size from ln U(ln 0.001, ln 0.1) and C from the complex N(0, 1).

    Source: A. Gu et al., On the parameterization and initialization of diagonal state space models, 2022, eq. 9, with
    the ranges of its published code.
    """
    if log_step.is_meta:
        return
    nn.init.uniform_(log_step, math.log(0.001), math.log(0.1))
    nn.init.constant_(log_decay, math.log(0.5))
    frequency.copy_(math.pi * torch.arange(frequency.shape[1], device=frequency.device).expand_as(frequency))
    nn.init.normal_(output, std=math.sqrt(0.5))


def skip_start(skip: Tensor) -> None:
    """Draw the path around a linear recurrence, D, from N(0, 1), as the published code of S4D and LRU does."""
    nn.init.normal_(skip)


@torch.no_grad()
def mamba_start(log_a: Tensor, step_bias: Tensor) -> None:
    """Set ``A_n = −n``, n from 1, in all channels; draw the step size, the bias' softplus, from ln U(ln 0.001, ln 0.1).

    Source: A. Gu and T. Dao, Mamba, 2023, §3.6, with the ranges of its published code.
    """
    if log_a.is_meta:
        return
    log_a.copy_(torch.arange(1, len(log_a) + 1, device=log_a.device).log().unsqueeze(1).expand_as(log_a))
    steps = torch.empty_like(step_bias).uniform_(math.log(0.001), math.log(0.1)).exp()
    step_bias.copy_(steps + (-torch.expm1(-steps)).log())  # the inverse of softplus


@torch.no_grad()
def keras_defaults(model: nn.Module) -> None:
    """Give linear layers, convolutions and norms Keras's defaults instead of torch's.

    Weights are drawn from U(±√(6 / (fan-in + fan-out))) (X. Glorot and Y. Bengio, 2010, eq. 16), biases are zero,
    norms add 0.001 to a variance, and batch normalisation keeps 0.99 of its running statistics.

    Raises:
        ConfigError: the model has weights of other kinds.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.LayerNorm):
            module.eps = 1e-3
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 0.01  # of the new, where Keras counts the old
        elif next(module.parameters(recurse=False), None) is not None:
            others = f"{type(module).__name__} is not a linear layer, convolution or norm"
            raise ConfigError("model.layer_defaults", "keras", others, "set model.layer_defaults=torch")
