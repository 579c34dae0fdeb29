"""The card of a task: what a person should know before using it."""

import inspect
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from torch import Tensor

from gradreach.batch import IGNORED, Batch
from gradreach.rounding import number, score_text
from gradreach.tasks.baseline import linear_baseline
from gradreach.tasks.task import Splits, Task

SAMPLES = 3
BARS = " ▁▂▃▄▅▆▇█"
BINS = 32
SAMPLE, ANSWER = 45, 19
NARROW = 79


def card(task: Task, data_dir: Path) -> str:
    """Return the card: what to do, splits, classes, lengths, samples, chance, a linear baseline, source, licence."""
    splits = task.splits(data_dir)
    parts = [
        _prose(inspect.getdoc(type(task)) or ""),
        "",
        _line("examples", ", ".join(f"{name} {len(part):,}" for name, part in splits._asdict().items())),
        _line("input", _input(task)),
        _line("answer", _answer(task, splits.train.target)),
        *_lengths(splits),
    ]
    facts = task.facts()
    if facts:
        parts.append(_line("data", ", ".join(f"{name} {_value(value)}" for name, value in facts.items())))
    for i in range(min(SAMPLES, len(splits.train))):
        parts.append(_head("samples" if i == 0 else "") + _sample(task, splits.train, i))
    unit, constant = "accuracy", "most frequent class"
    if task.metric == "mse":
        unit, constant = "mean squared error", "mean"
    chance = score_text(task.metric, task.chance(splits))
    parts += [
        _line("chance", f"{chance} test {unit}, always answering training's {constant}"),
        _line("baseline", _baseline(task, splits)),
        _line("source", task.source),
        _line("licence", task.licence),
    ]
    return "\n".join(parts)


def _prose(docstring: str) -> str:
    """Return the text before the list of arguments, for any terminal, with plain quotes around code."""
    paragraphs = docstring.replace("``", "'").split("\n\n- ")[0].split("\n\n")
    return "\n".join(fill(" ".join(paragraph.split()), NARROW) for paragraph in paragraphs)


def _baseline(task: Task, splits: Splits) -> str:
    """Describe a linear model's score on the test split, and the number of examples if not all were used."""
    found = linear_baseline(task, splits)
    if found is None:
        return "none is fitted to a task of steps"
    some = (found.fitted, found.tested) != (len(splits.train), len(splits.test))
    of = f" ({found.fitted:,} training, {found.tested:,} test examples)" if some else ""
    return f"{score_text(task.metric, found.test)} by {found.name}{of}"


def _input(task: Task) -> str:
    shape = task.shape
    kind = f"{shape.channels} values a step" if shape.vocabulary is None else f"tokens, {shape.vocabulary:,} different"
    return f"{kind.replace('1 values', '1 value')}, up to {shape.length} steps"


def _answer(task: Task, target: Tensor) -> str:
    if task.metric == "mse":
        mean, variance = (number(found.item(), ".3g") for found in (target.mean(), target.var()))
        return f"one value, training mean {mean}, variance {variance}"
    counted = target[target != IGNORED]
    counts = torch.bincount(counted, minlength=task.shape.outputs).tolist()
    shares = [
        f"{name} {number(count / max(1, len(counted)), '.0%')}"
        for name, count in zip(task.classes(), counts, strict=True)
    ]
    named = ", ".join(shares[:12]) + (", …" if len(shares) > 12 else "")
    return f"{len(counts)} classes{' a step' if task.shape.per_step else ''} ({named})"


def _lengths(splits: Splits) -> list[str]:
    if splits.train.lengths is None:
        return [_line("lengths", f"all {splits.train.x.shape[1]}")]
    lengths = np.concatenate([part.lengths.numpy() for part in splits if part.lengths is not None])
    low, high = int(lengths.min()), int(lengths.max())
    width = -(-(high - low + 1) // BINS)  # as many lengths in every bin: else some would look frequent
    counts, _ = np.histogram(lengths, bins=np.arange(low, high + width + 1, width))
    bars = "".join(BARS[int(np.ceil(count / counts.max() * (len(BARS) - 1)))] for count in counts)
    median, most = (number(float(np.quantile(lengths, share)), ".0f") for share in (0.5, 0.95))
    middle = f"mean {number(float(lengths.mean()), '.1f')}, median {median}, 95 % up to {most}"
    return [f"{_head('lengths')}{low} {bars} {high}", _line("", middle)]


def _sample(task: Task, part: Batch, i: int) -> str:
    length = part.x.shape[1] if part.lengths is None else int(part.lengths[i])
    text = task.sample(part.x[i], length)
    target = part.target[i]
    if task.metric == "mse":
        answer = number(float(target), ".3g")
    elif task.shape.per_step:
        answer = " ".join(task.classes()[c] for c in target[target != IGNORED].tolist())
    else:
        answer = task.classes()[int(target)]
    return f"{_shown(text, SAMPLE)}  →  {_shown(answer, ANSWER)}"


def _shown(text: str, columns: int) -> str:
    """Return a text cut to a number of terminal columns: a Chinese character takes two."""
    from rich.cells import cell_len, set_cell_size

    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if cell_len(text) <= columns else set_cell_size(text, columns - 1).rstrip() + "…"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_value(one)}" for name, one in value.items()) + ")"
    return number(value, ".3g") if isinstance(value, float) else str(value)


def _line(head: str, text: str) -> str:
    return fill(text, NARROW, initial_indent=_head(head), subsequent_indent=_head(""), break_long_words=False)


def _head(head: str) -> str:
    return f"{head:<10}"
