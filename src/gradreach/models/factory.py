"""Builds a model that fits a task; combinations that cannot work are rejected with the reason."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

import torch

from gradreach.errors import ConfigError
from gradreach.models.block import PreNorm, prenorm
from gradreach.models.contract import make_encoder, try_encoder
from gradreach.models.embedding import Embedding, make_embedding
from gradreach.models.encoder import LARGEST_SIZE, Encoder
from gradreach.models.initialization import keras_defaults
from gradreach.models.model import SequenceModel
from gradreach.models.recurrent import Recurrent
from gradreach.tasks.task import Shape

LARGEST = 10**9
"""The most parameters of a model."""


def build(
    kind: type[Encoder],
    arguments: Mapping[str, Any],
    shape: Shape,
    *,
    readout: str,
    head_dropout: float = 0.0,
    head_max_norm: float | None = None,
    embedding: Literal["trainable", "frozen"] = "trainable",
    embedding_size: int | None = None,
    embedding_ngrams: int = 1,
    match_params: int | None = None,
    block: Literal["none", "prenorm"] = "none",
    block_expansion: int = 4,
    layer_defaults: Literal["torch", "keras"] = "torch",
) -> SequenceModel:
    """Make a model for a task.

    Args:
        kind: the encoder's class.
        arguments: of its constructor, without sizes of the input.
        shape: of the task's inputs and outputs.
        readout: a name in ``READOUTS``.
        head_dropout: share of the head's input that is set to zero in training.
        head_max_norm: Euclidean norm to which the weights of each output are scaled down; None: they are free.
        embedding: whether the vectors of tokens are trained.
        embedding_size: of a token's vector, or of the projection of a series; None: that of the task's pretrained
            vectors, else 100, and no projection.
        embedding_ngrams: how many tokens the longest run has that gets a vector of its own, hashed; 1: tokens alone.
        match_params: choose the width whose model has a number of parameters nearest to this; None: it is given.
        block: ``prenorm``: each layer of the encoder stands in a block, with a norm, a path around it and a perceptron.
        block_expansion: units inside the perceptron of a block, in multiples of the width; 0: there is none.
        layer_defaults: how linear layers, convolutions and norms are initialized, and what they add; see
            ``keras_defaults``.

    Raises:
        ConfigError: where they cannot work together.

    >>> shape = Shape(channels=1, length=64, outputs=10)
    >>> models = [build(kind, {"width": 1}, shape, readout="last", match_params=10_000) for kind in (RNN, LSTM)]
    >>> [model.width for model in models], all(abs(model.parameter_count - 10_000) < 200 for model in models)
    ([94, 47], True)
    """

    def embedded() -> tuple[Embedding, int]:
        embed = make_embedding(
            shape.channels,
            shape.vocabulary,
            embedding_size,
            embedding,
            shape.vectors,
            shape.vector_std,
            embedding_ngrams,
        )
        return embed, getattr(embed, "d_out", shape.channels)

    def encoded(d_in: int, arguments: Mapping[str, Any]) -> Encoder:
        if block == "prenorm":
            stack = prenorm(kind, d_in, arguments, block_expansion, shape.length)
            try_encoder(stack.mixers[0], stack.d_out, shape.length, shape.variable_length)
            return stack
        sizes = [d_in] + [shape.length] * getattr(kind, "fixed_length", False)
        encoder = make_encoder(kind, sizes, arguments)
        try_encoder(encoder, d_in, shape.length, shape.variable_length)
        return encoder

    def made(arguments: Mapping[str, Any]) -> SequenceModel:
        embed, d_in = embedded()
        encoder = encoded(d_in, arguments)
        encoder.check_length(shape.length)
        if shape.lengths is not None:
            _check_lengths(encoder, *shape.lengths)
        _check_readout(encoder, readout, shape)
        return SequenceModel(
            encoder,
            readout,
            shape.outputs,
            length=shape.length,
            embedding=embed,
            dropout=head_dropout,
            max_norm=head_max_norm,
        )

    if getattr(kind, "fixed_length", False) and (shape.variable_length or shape.lengths):
        raise ConfigError(
            "model",
            allowed=f"{kind.__name__} has weights for every step, but this task has sequences of several lengths",
            hint="choose a model that shares weights over time, such as model=cnn or model=lstm",
        )
    if block == "none" and block_expansion != 4:
        raise ConfigError("model.block_expansion", block_expansion, "there are no blocks", "set model.block=prenorm")
    if match_params is not None:
        with torch.device("meta"):
            arguments = {**arguments, "width": _matched_width(kind, arguments, made, embedded()[1], match_params)}
    model = made(arguments)
    if (size := sum(parameter.numel() for parameter in model.parameters())) > LARGEST:
        raise ConfigError(
            "model", allowed=f"too large, {size:,} parameters", hint=f"choose sizes that give at most {LARGEST:,}"
        )
    model.width = arguments.get("width")
    if layer_defaults == "keras":
        keras_defaults(model)
    return model


def caveat(model: SequenceModel, shape: Shape) -> str | None:
    """Return a caveat about a model that works, but perhaps not as intended; None if there is none.

    >>> shape = Shape(channels=1, length=64, outputs=10)
    >>> print(caveat(build(LSTM, {}, shape, readout="last"), shape))
    None
    >>> "CNN sees 16 of 64 steps" in caveat(build(CNN, {}, shape, readout="last"), shape)
    True
    """
    encoder, length = model.encoder, shape.length
    kind = encoder.title if isinstance(encoder, PreNorm) else type(encoder).__name__
    seen = model.seen_by_last(length)
    reach = model.receptive_field
    if model.readout_name == "each_step" and reach is not None and reach < length:
        return (
            f"model.readout=each_step: each answer of {kind} sees {reach} neighbouring steps of {length}; if the task "
            "needs more, choose more layers or a larger kernel_size"
        )
    if model.readout_name != "last" or encoder.output_length(length) == 1:
        return None
    if len(seen) < length:
        between = _steps(1 + seen[0], 1 + seen[-1]) if len(seen) else ""
        told = f"the last state of {kind} sees {len(seen)} of {length} steps{between}"
    elif encoder.causal:
        return None
    elif isinstance(encoder, Recurrent):
        below = " of what the layer below gives" if len(encoder.layers) > 1 else ""
        told = (
            f"in the last state of a bidirectional {kind} the forward half has read all {length} steps, the backward "
            f"half only the last{below}"
        )
    else:
        told = f"{kind} is not causal here: its last state depends on all {length} steps, but as seen from one position"
    return f"model.readout=last: {told}; readout=mean, max or attention would use all states"


def _steps(first: int, last: int) -> str:
    return f", step {first}" if first == last else f", steps {first} to {last}"


def _check_lengths(encoder: Encoder, shortest: int, longest: int) -> None:
    """Refuse lengths that an encoder does not support; a kernel may be larger than the shortest sequence."""
    kind = type(encoder).__name__
    if encoder.output_length(shortest) < 1:
        wrong = (
            f"{kind} would give no state for {shortest} steps, the smallest of task.train_lengths and task.test_lengths"
        )
        raise ConfigError("model", allowed=wrong, hint="choose longer sequences, or padding=same")
    try:
        encoder.check_length(longest)
    except ConfigError as error:
        raise ConfigError("task.test_lengths", longest, f"{kind}: {error.problem}", error.hint) from None


def _check_readout(encoder: Encoder, readout: str, shape: Shape) -> None:
    if shape.per_step and readout != "each_step":
        answered = "this task has one answer per step"
        raise ConfigError("model.readout", readout, answered, "set model.readout=each_step")
    if readout == "each_step" and not shape.per_step:
        answered = "this task has one answer per sequence"
        raise ConfigError("model.readout", readout, answered, "choose last, mean, max, attention or flatten")
    steps = encoder.output_length(shape.length)
    if readout == "each_step" and steps != shape.length:
        raise ConfigError(
            "model.readout",
            readout,
            f"{type(encoder).__name__} turns {shape.length} steps into {steps}",
            "choose settings that keep the length (padding=same or causal, stride=1, pooling=none)",
        )
    if readout == "flatten" and (shape.variable_length or shape.lengths):
        raise ConfigError(
            "model.readout",
            readout,
            "has a weight for every step, but this task has sequences of several lengths",
            "choose last, mean, max or attention",
        )


def _matched_width(
    kind: type[Encoder],
    arguments: Mapping[str, Any],
    made: Callable[[Mapping[str, Any]], SequenceModel],
    d_in: int,
    target: int,
) -> int:
    """Return the width at which the number of parameters is nearest to the target; for ties the smaller one.

    The number grows with the width, but that some encoders do without a map of their input where it has that width
    already. So this one width is looked at by itself, and the search goes through the others.
    """
    if "width" not in arguments:
        no_width = f"{kind.__name__} has no width to choose"
        raise ConfigError("model.match_params", target, no_width, "set match_params=null")
    unit = int(arguments[kind.width_divisor]) if kind.width_divisor else 1

    @cache
    def parameters(width: int) -> int:
        return made({**arguments, "width": width}).parameter_count

    def nth(number: int) -> int:
        """Return the width of this number, from 1, among those that are not ``d_in``."""
        return unit * (number + (d_in % unit == 0 and unit * number >= d_in))

    if parameters(unit) > target:
        least = parameters(unit)
        more = f"{kind.__name__} has {least} parameters at width {unit} already"
        raise ConfigError("model.match_params", target, more, f"choose {least} or more")
    low = _estimate({nth(number): parameters(nth(number)) for number in (1, 2, 3)}, target) // unit
    high, stride = low + 1, 1
    while parameters(nth(high)) < target:
        low, high, stride = high, high + stride, 2 * stride
    while low > 1 and parameters(nth(low)) >= target:
        low, high, stride = max(1, low - stride), low, 2 * stride
    reached = low + bisect_left(range(low, high), target, key=lambda number: parameters(nth(number)))
    candidates = {nth(reached), nth(max(1, reached - 1))} | ({d_in} if d_in % unit == 0 else set())
    width = min(candidates, key=lambda width: (abs(parameters(width) - target), width))
    if width > LARGEST_SIZE:
        wide = f"{kind.__name__} would need a width of {width:,}, more than {LARGEST_SIZE:,}"
        raise ConfigError(
            "model.match_params", target, wide, f"choose {parameters(LARGEST_SIZE // unit * unit)} or less"
        )
    return width


def _estimate(sizes: Mapping[int, int], target: int) -> int:
    """Return at which width, 1 or more, the parabola through three sizes reaches the target."""
    (a, at_a), (b, at_b), (c, at_c) = sizes.items()
    first = (at_b - at_a) / (b - a)
    square = ((at_c - at_b) / (c - b) - first) / (c - a)
    slope = first - square * (a + b)
    missing = target - at_a + slope * a + square * a * a
    root = math.sqrt(max(0.0, slope * slope + 4 * square * missing))
    return max(1, int(2 * missing / (slope + root))) if slope + root > 0 else 1
