"""The linear model beside which a network must hold its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from gradreach.tasks import Adding, Batch, Copy, Digits, Recall, Shape, Splits, Task, TextFile
from gradreach.tasks.baseline import linear_baseline

NOWHERE = Path("there is no such folder")
SIZES = {"train_size": 500, "validation_size": 100, "test_size": 300}


def inverted(part: Batch) -> Batch:
    return Batch(*part[:2], 1 - part.target)


def test_each_split_is_scored_by_itself(tmp_path):
    """Where its targets are the other way round, all that training teaches is wrong."""
    (tmp_path / "a.csv").write_text("label,text\n" + "".join(f"{i % 2},{i % 2} in text {i}\n" for i in range(60)))
    for task in (Recall(seq_len=20, values=2, **SIZES), TextFile(file="a.csv")):
        splits = task.splits(tmp_path)
        assert linear_baseline(task, splits)[1:3] == (1, 1)
        assert linear_baseline(task, splits._replace(test=inverted(splits.test)))[1:3] == (1, 0)
        assert linear_baseline(task, splits._replace(validation=inverted(splits.validation)))[1:3] == (0, 1)
    adding = Adding(seq_len=20, **SIZES)
    splits = adding.splits(tmp_path)
    right, wrong = (
        linear_baseline(adding, splits._replace(test=test)) for test in (splits.test, inverted(splits.test))
    )
    assert 0.1 < right.test < 0.25
    assert wrong.test > 0.5


def test_a_linear_model_does_what_a_linear_model_can():
    digits, copy = Digits(), Copy(seq_len=25, **SIZES)
    assert linear_baseline(digits, digits.splits(NOWHERE)).test > 0.93
    assert linear_baseline(copy, copy.splits(NOWHERE)) is None


@pytest.mark.parametrize("tokens", ["whitespace", "characters"])
def test_texts_are_read_in_words_and_pairs_or_in_up_to_three_characters_as_far_as_they_are_not_cut(tmp_path, tokens):
    """The same as scikit-learn makes of the texts themselves."""
    rng = np.random.default_rng(0)
    separator, reader = (
        (" ", TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2)))
        if tokens == "whitespace"
        else ("", TfidfVectorizer(analyzer="char", ngram_range=(1, 3)))
    )
    texts = [separator.join(rng.choice(list("abcdef"), rng.integers(1, 12))) for _ in range(400)]
    labels = ["yes" if "ab" in text.replace(" ", "") else "no" for text in texts]
    for name, part in (("train", slice(0, 200)), ("validation", slice(200, 300)), ("test", slice(300, 400))):
        rows = [f"{label}\t{text}" for label, text in zip(labels[part], texts[part], strict=True)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["label\ttext", *rows]), encoding="utf-8")
    task = TextFile(file="train.tsv", validation_file="validation.tsv", test_file="test.tsv", tokens=tokens, seq_len=8)
    splits = task.splits(tmp_path)
    cut = [separator.join((text.split(" ") if separator else list(text))[:8]) for text in texts]
    model = LinearSVC(random_state=0).fit(reader.fit_transform(cut[:200]), labels[:200])
    seen = [text in texts[300:] for text in texts[200:300]]  # a text of the test is taken out of validation
    kept = [cut[200 + i] for i, out in enumerate(seen) if not out]
    expected = model.score(reader.transform(cut[300:]), labels[300:])
    found = linear_baseline(task, splits)
    assert found.test == pytest.approx(expected)
    assert len(splits.validation) == len(kept)
    assert (found.fitted, found.tested) == (200, 100)


class Series(Task):
    """This many examples that say their class, one after the other."""

    shape = Shape(channels=1, length=2, outputs=2)

    def splits(self, data_dir):
        target = torch.arange(20_002) % 2
        return Splits(*[Batch(target.float().view(-1, 1, 1).expand(-1, 2, 1), None, target)] * 3)


def test_tokens_of_a_task_whose_examples_are_all_as_long_are_read_to_their_end():
    class Tokens(Series):
        shape = Shape(channels=1, length=2, outputs=2, vocabulary=4)

        def splits(self, data_dir):
            target = torch.arange(40) % 2
            return Splits(*[Batch(torch.stack([torch.ones_like(target), 2 + target], 1), None, target)] * 3)

    assert linear_baseline(Tokens(), Tokens().splits(NOWHERE))[1:] == (1, 1, 40, 40)


def test_classes_in_turn_are_all_among_the_series_that_are_drawn():
    found = linear_baseline(Series(), Series().splits(NOWHERE))
    assert found[1:] == (1, 1, 10_000, 10_000)
