"""The card of a task tells what a person should know before using it."""

import re
from pathlib import Path

import pytest
import torch
from rich.cells import cell_len

from gradreach.rounding import score_text
from gradreach.tasks import (
    Batch,
    Copy,
    Digits,
    Recall,
    Shape,
    Splits,
    Task,
    TextFile,
    TimeSeriesFile,
)
from gradreach.tasks.card import card

NOWHERE = Path("there is no such folder")
SIZES = {"train_size": 500, "validation_size": 100, "test_size": 300}


@pytest.mark.parametrize(
    "task", [Copy(seq_len=25, **SIZES), Recall(seq_len=20, **SIZES), Digits()], ids=lambda t: type(t).__name__
)
def test_a_card_tells_sizes_classes_chance_and_source(task):
    text = card(task, NOWHERE)
    splits = task.splits(NOWHERE)
    assert type(task).__doc__.split("\n")[0].replace("``", "'") in " ".join(text.split())
    assert f"train {len(splits.train):,}, validation {len(splits.validation):,}, test {len(splits.test):,}" in text
    chance = score_text("accuracy", task.chance(splits))
    assert f"chance    {chance} test accuracy, always answering training's most frequent class" in text
    assert f"{task.shape.outputs} classes" in text
    assert f"lengths   all {task.shape.length}" in text
    assert task.source in " ".join(text.split())
    assert text.count("→") == 3
    assert max(map(len, text.splitlines())) < 80
    assert "`" not in text


def test_a_card_of_texts_shows_a_histogram_and_readable_samples(tmp_path):
    rows = [f"{'ab'[i % 2]},{'good' if i % 2 else 'bad'} film {'really ' * (i % 9)}" for i in range(90)]
    (tmp_path / "a.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    (tmp_path / "b.csv").write_text("label,text\nb,good\n")
    text = card(TextFile(file="a.csv", test_file="b.csv", seq_len=8), tmp_path)
    assert re.search(r"lengths   1 [ ▁▂▃▄▅▆▇█]{8} 8\n          mean \d", text)
    assert re.search(r"samples   (good|bad) film.*→  [ab]", text)
    assert "cut 0.2" in text
    assert "100.0% by TF-IDF" in text


def test_a_card_keeps_to_80_columns_whatever_the_texts(tmp_path):
    rows = [f"{'很长的名字' * 9 if i % 2 else 'b'},{'好吃' * 40}{i}\x1b[31m\u0007 {'x' * i}" for i in range(90)]
    (tmp_path / "a.csv").write_text("label,text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    text = card(TextFile(file="a.csv", tokens="characters", seq_len=300), tmp_path)
    samples = [line for line in text.splitlines() if "→" in line]
    assert len(samples) == 3
    assert max(map(cell_len, samples)) < 80
    assert all(character.isprintable() for character in "".join(text.splitlines()))


class Padded(Task):
    """Says nothing but how long its examples are, and of which class."""

    def __init__(self, lengths, target):
        self.shape = Shape(channels=1, length=int(lengths.max()), outputs=2, variable_length=True)
        x = target.float().view(-1, 1, 1).expand(-1, int(lengths.max()), 1)
        self.examples = Batch(x, lengths, target)

    def splits(self, data_dir):
        return Splits(*[self.examples] * 3)


@pytest.mark.parametrize(("longest", "bins"), [(32, 32), (33, 17), (40, 20), (64, 32), (65, 22), (1000, 32)])
def test_lengths_that_are_all_as_frequent_look_so(longest, bins):
    lengths = torch.arange(1, longest + 1).repeat(2)
    text = card(Padded(lengths, lengths % 2), NOWHERE)
    [bars] = re.findall(rf"lengths   1 ([ ▁▂▃▄▅▆▇█]+) {longest}\n", text)
    assert len(bars) == bins
    assert set(bars[:-1]) == {"█"}  # the last may hold fewer lengths


def test_a_card_says_of_how_many_series_its_baseline_is():
    lengths = torch.full((20_002,), 2)
    text = card(Padded(lengths, torch.arange(20_002) % 2), NOWHERE)
    told = "baseline  100.0% by logistic regression on all steps (10,000 training, 10,000 test examples)"
    assert told in " ".join(text.split()).replace("baseline ", "baseline  ")


def test_a_card_marks_what_is_a_setting_and_names_the_files(tmp_path):
    assert "The first 'symbols' steps show cues" in card(Recall(seq_len=20, **SIZES), NOWHERE)
    (tmp_path / "a.csv").write_text("label,text\n" + "".join(f"{i % 2},word{i}\n" for i in range(60)))
    (tmp_path / "b.csv").write_text("label,text\n0,one\n1,two\n")
    shown = card(TextFile(file="a.csv", test_file="b.csv"), tmp_path)
    assert "source    the files given: a.csv, b.csv\n" in shown
    assert TimeSeriesFile(file="a.ts", test_file="b.ts").source == "the files given: a.ts, b.ts"
