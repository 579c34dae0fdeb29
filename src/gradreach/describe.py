"""A run before training: the model layer by layer, its size, cost and reach, and the task."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from gradreach.assemble import check
from gradreach.compose import compose, refuse_several
from gradreach.config import parse
from gradreach.errors import ConfigError
from gradreach.models import Cell, SequenceModel, caveat
from gradreach.rounding import number
from gradreach.tasks import Shape, Task
from gradreach.tasks.card import card

SAID = ("readout",)
"""Parts that have a row even without weights or cost."""
LONGEST = 20_000
"""Numbers of one input: ten thousand such inputs are 0.8 GB, and are drawn in ten seconds."""


def describe(overrides: Sequence[str], conf_dir: Path, console: Console) -> None:
    """Print the model and the task of overrides such as ``model=cnn seq_len=100``.

    Raises:
        ConfigError: they do not fit together; the card of a valid task is printed first.
    """
    refuse_several(overrides)
    run, environment = parse(compose(overrides, conf_dir))
    try:
        task, model = check(run, environment)
    except ConfigError:
        console.print(f"\n{_card(run.task.make(), environment.data_dir)}", markup=False)
        raise
    shape, encoder = task.shape, model.encoder
    title = run.label + (f" · width {model.width}" if run.model.match_params is not None else "")
    console.print(f"\n[bold]{title}[/bold]   {type(encoder).__module__}.{type(encoder).__name__}")
    console.print(layer_table(model, shape))
    seen = model.receptive_field
    reach = "all steps" + " before it" * encoder.causal if seen is None else f"{seen} steps"
    if seen is not None:
        reach += f" of {shape.length}" if seen < shape.length else f", all {shape.length} of the input"
    console.print(f"  parameters       {model.parameter_count:,}" + _off_target(model, run.model.match_params))
    console.print(f"  multiply-adds    {model.multiply_adds(shape.length):,} a sequence of {shape.length} steps")
    console.print(f"  receptive field  {reach}")
    console.print(f"  causal           {'yes' if encoder.causal else 'no'}")
    if (note := caveat(model, shape)) is not None:
        console.print(f"  note: {note}")
    console.print(f"\n{_card(task, environment.data_dir)}", markup=False)


def _card(task: Task, data_dir: Path) -> str:
    """Return a task's card, or a note if its data would take too long to draw."""
    task.prepare(data_dir)
    length, channels = task.shape.length, task.shape.channels
    if task.shape.vocabulary is None and length * channels > LONGEST:
        return f"{type(task).__name__}: {length:,} steps are too many to draw examples here; use a shorter length"
    return card(task, data_dir)


def layer_table(model: SequenceModel, shape: Shape) -> Table:
    """Return a table of the parts and their layers: output for one sequence, parameters, multiply-adds.

    A part's row is the sum of its layers'. Multiply-adds are a part's own statement, so layers have none. Weights that
    belong to no layer, such as the skips of an LRU, give nothing of their own, so their output is empty.

    Args:
        model: on the device ``meta``, so that running it costs nothing.
        shape: of what it reads.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("layer", "kind", "output"):
        table.add_column(column, overflow="fold")
    table.add_column("parameters", justify="right")
    table.add_column("multiply-adds", justify="right")
    shapes = output_shapes(model, shape)

    def row(title: str, name: str, module: nn.Module, cost: str, last: bool) -> None:
        count = sum(parameter.numel() for parameter in module.parameters())
        frozen = count and not any(parameter.requires_grad for parameter in module.parameters())
        output = " × ".join(map(str, shapes.get(name, ())))
        size = f"{count:,}" + (" frozen" if frozen else "")
        table.add_row(title, type(module).__name__, output, size, cost, end_section=last)

    for part, cost in model.multiply_adds_by_part(shape.length).items():
        inside = [(name, module) for name, module in layers(model) if name.startswith(f"{part}.")]
        if not (inside or cost or part in SAID):
            continue
        row(part, part, model.get_submodule(part), f"{cost:,}", last=not inside)
        for i, (name, module) in enumerate(inside, start=1):
            row(f"  {name.removeprefix(f'{part}.')}", name, module, "", last=i == len(inside))
    return table


def layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the outermost modules that have parameters of their own, with their names."""
    for name, child in module.named_children():
        full = f"{prefix}{name}"
        if isinstance(child, Cell) or next(child.parameters(recurse=False), None) is not None:
            yield full, child
        else:
            yield from layers(child, f"{full}.")


def output_shapes(model: SequenceModel, shape: Shape) -> dict[str, tuple[int, ...]]:
    """Run one sequence through a model on the device ``meta`` and return the shape that each module gives.

    Steps come first, then features, also where a module has them the other way round.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, given: Tensor | tuple[Tensor, ...]) -> None:
            size = tuple((given[0] if isinstance(given, tuple) else given).shape)
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                shapes[name] = (size[2], size[1])
            else:  # batch normalisation sees the steps of the batch in one row
                shapes[name] = size if isinstance(module, nn.BatchNorm1d) else size[1:]

        return hook

    hooks = [module.register_forward_hook(remember(name)) for name, module in model.named_modules()]
    size = (1, shape.length) if shape.vocabulary is not None else (1, shape.length, shape.channels)
    kind = torch.long if shape.vocabulary is not None else torch.get_default_dtype()
    model(torch.empty(size, dtype=kind, device="meta"))
    for hook in hooks:
        hook.remove()
    return {**shapes, "head": shapes[""]}  # its weights may be used without calling it


def _off_target(model: SequenceModel, target: int | None) -> str:
    return "" if target is None else f"   {number(model.parameter_count / target - 1, '+.1%')} of match_params={target}"
