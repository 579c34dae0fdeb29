"""A model that fits a task: what goes together is put together, what cannot is refused with the reason."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch

from gradreach.errors import ConfigError
from gradreach.models.embedding import make_embedding
from gradreach.models.encoder import Encoder
from gradreach.models.model import SequenceModel
from gradreach.tasks.task import Shape


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
    match_params: int | None = None,
) -> SequenceModel:
    """Make a model for a task.

    Args:
        kind: the encoder's class.
        arguments: of its constructor, without sizes of the input.
        shape: what the task gives and wants.
        readout: a name in ``READOUTS``.
        head_dropout: share of what the head sees that is set to zero in training.
        head_max_norm: Euclidean norm to which the weights of each output are scaled down; None: they are free.
        embedding: whether the vectors of tokens are trained.
        embedding_size: of a token's vector, or of the projection of a series; None: that of the task's pretrained
            vectors, else 100, and no projection.
        match_params: choose the width whose model has a number of parameters nearest to this; None: it is given.

    Raises:
        ConfigError: where they cannot work together.
    """

    def made(arguments: Mapping[str, Any]) -> SequenceModel:
        embed = make_embedding(shape.channels, shape.vocabulary, embedding_size, embedding, shape.vectors)
        sizes = [getattr(embed, "d_out", shape.channels)] + [shape.length] * kind.fixed_length
        encoder = kind(*sizes, **arguments)
        encoder.check_length(shape.length)
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

    if kind.fixed_length and shape.variable_length:
        raise ConfigError(
            f"model: {kind.__name__} has weights for every step and this task has sequences of many lengths; "
            "choose a model that shares them, such as model=cnn or model=lstm"
        )
    if match_params is not None:
        arguments = {**arguments, "width": _matched_width(kind, arguments, made, match_params)}
    model = made(arguments)
    model.width = arguments.get("width")
    return model


def caveat(model: SequenceModel, shape: Shape) -> str | None:
    """Return what should be known of a model that works, but perhaps not as meant; None: nothing."""
    encoder, steps = model.encoder, model.encoder.output_length(shape.length)
    if model.readout_name != "last" or encoder.causal or steps == 1:
        return None
    if encoder.receptive_field is not None:
        seen = f"it has seen at most {min(encoder.receptive_field, shape.length)} of {shape.length} steps"
    else:
        seen = "of a bidirectional state the backward half has seen one step, and attention gives one step's view"
    return (
        f"model.readout=last: {type(encoder).__name__} is not causal here, so its last state does not sum up "
        f"the sequence: {seen}. readout=max, mean or attention would use all states"
    )


def _check_readout(encoder: Encoder, readout: str, shape: Shape) -> None:
    if shape.per_step and readout != "each_step":
        raise ConfigError(f"model.readout={readout}: this task is answered at every step; set model.readout=each_step")
    if readout == "each_step" and not shape.per_step:
        raise ConfigError(
            "model.readout=each_step: this task has one answer a sequence; choose last, mean, max, attention or flatten"
        )
    steps = encoder.output_length(shape.length)
    if readout == "each_step" and steps != shape.length:
        raise ConfigError(
            f"model.readout=each_step: {type(encoder).__name__} turns {shape.length} steps into {steps}; choose "
            "settings that keep the length (padding=same or causal, stride=1, pooling=none)"
        )
    if readout == "flatten" and shape.variable_length:
        raise ConfigError(
            "model.readout=flatten: has a weight for every step and this task has sequences of many lengths; "
            "choose last, mean, max or attention"
        )


def _matched_width(
    kind: type[Encoder],
    arguments: Mapping[str, Any],
    made: Callable[[Mapping[str, Any]], SequenceModel],
    target: int,
) -> int:
    """Return the width at which the number of parameters, which grows with it, is nearest to the target."""
    if "width" not in arguments:
        raise ConfigError(f"model.match_params={target}: {kind.__name__} has no width to choose; set match_params=null")
    unit = int(arguments[kind.width_divisor]) if kind.width_divisor else 1

    def parameters(units: int) -> int:
        with torch.device("meta"):
            return made({**arguments, "width": units * unit}).parameter_count

    smallest = parameters(1)
    if smallest > target:
        raise ConfigError(
            f"model.match_params={target}: {kind.__name__} has {smallest} parameters at width {unit} already; "
            f"choose {smallest} or more"
        )
    low, high = 1, 2
    while parameters(high) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(middle) < target else (low, middle)
    return unit * min((low, high), key=lambda units: (abs(parameters(units) - target), units))
