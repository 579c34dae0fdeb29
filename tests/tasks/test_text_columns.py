"""Texts in tables of any form: without a header, of any delimiter, with values, in folds."""

import pytest
import torch

from gradreach.errors import ConfigError
from gradreach.tasks import TextFile, TextValues
from gradreach.tasks.card import card

TEXTS = [(f"{'ab'[i % 2]}", f"word{i % 7} and another {i}") for i in range(60)]


def read(tmp_path, content, name="a.csv", **settings):
    (tmp_path / name).write_text(content)
    task = TextFile(file=name, **settings)
    train, _, _ = task.read(task.files(tmp_path))
    return list(zip(train.labels, train.texts, strict=True))


@pytest.mark.parametrize(
    ("delimiter", "character"),
    [(";", ";"), ("|", "|"), ("tab", "\t"), ("\\t", "\t"), ("\t", "\t"), ("space", " "), ("§", "§")],
)
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_any_character_may_stand_between_fields(tmp_path, delimiter, character, header, form):
    rows = [character.join([label, "x", text.replace(" ", "_")]) for label, text in TEXTS]
    content = "\n".join([character.join(["label", "x", "text"]), *rows] if header else rows)
    columns = {} if header else {"label_column": 1, "text_column": 3}
    found = read(tmp_path, content, header=header, delimiter=delimiter, format=form, **columns)
    assert found == [(label, text.replace(" ", "_")) for label, text in TEXTS]


def test_a_column_may_be_named_by_its_number_with_a_header_too(tmp_path):
    content = "label,label,text\n" + "".join(f"x,{label},{text}\n" for label, text in TEXTS)
    assert read(tmp_path, content, label_column=2, text_column="text") == TEXTS


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"header": False}, "task.text_column=text: without a header columns have numbers; choose 1 to 2"),
        ({"header": False, "text_column": 3, "label_column": 1}, "task.text_column=3: a.csv has 2 columns; set task"),
        (
            {"text_column": 1, "label_column": "label"},
            "task.text_column=1, task.label_column=label: is the same column",
        ),
        ({"delimiter": "::"}, "task.delimiter=::: must be one character, and neither a quote nor a line break; choose"),
        ({"delimiter": '"'}, 'task.delimiter=": must be one character'),
        ({"delimiter": ""}, "task.delimiter=: must be one character"),
        ({"delimiter": ";"}, "task.text_column=text: a.csv has no such column; choose from label,text"),
        (
            {"format": "lines", "header": False},
            "task.header=false: has no effect in format lines; remove task.header",
        ),
        ({"format": "jsonl", "delimiter": ";"}, "task.delimiter=;: has no effect in format jsonl"),
        ({"format": "lines", "text_column": "x"}, "task.text_column=x: has no effect in format lines: the class is"),
        ({"fold": 3, "folds": 3}, "task.fold=3: must be below task.folds=3; choose 0 to 2"),
        (
            {"validation_file": "a.csv", "validation_share": 0.3},
            "task.validation_share=0.3: has no effect with a task.val",
        ),
    ],
)
def test_columns_that_cannot_be_are_refused_in_one_line(tmp_path, settings, says):
    (tmp_path / "a.csv").write_text("label,text\n" + "".join(f"{label},{text}\n" for label, text in TEXTS))
    with pytest.raises(ConfigError) as refused:
        TextFile(file="a.csv", **settings).prepare(tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_words_na_null_and_none_are_classes_and_texts(tmp_path):
    """A reader that takes them for missing values would lose them."""
    rows = "".join(f"word{i} NA null,{label}\n" for i in range(30) for label in ("NA", "null", "None", "US"))
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    task = TextFile(file="a.csv")
    task.prepare(tmp_path)
    assert task.classes() == sorted(["NA", "null", "None", "US"], key=lambda name: name.zfill(20))


def test_values_of_texts_are_predicted_in_units_of_their_spread_in_training(tmp_path):
    rows = "".join(f"{1 + i % 9 / 2},text number {i}\n" for i in range(90))
    (tmp_path / "a.csv").write_text("stars,review\n" + rows)
    task = TextValues(file="a.csv", text_column="review", label_column="stars")
    splits = task.splits(tmp_path)
    facts = task.facts()
    assert (task.metric, task.shape.outputs, splits.train.target.dtype) == ("mse", 1, torch.float32)
    assert splits.train.target.mean() == pytest.approx(0, abs=1e-6)
    given = torch.cat([split.target for split in splits]).double() * facts["value_std"] + facts["value_mean"]
    assert sorted(given.tolist()) == pytest.approx(sorted(1 + i % 9 / 2 for i in range(90)))
    assert "one value, training mean" in card(task, tmp_path)
    (tmp_path / "b.csv").write_text("stars,review\n1,x\nmany,y\n")
    with pytest.raises(ConfigError, match=r"b\.csv: line 3: 'many' is not a value; write a finite number"):
        TextValues(file="b.csv", text_column="review", label_column="stars").prepare(tmp_path)


def test_folds_test_on_every_text_once_and_never_choose_on_one_that_is_tested(tmp_path):
    rows = [f"{i % 2},{'xyz'[i % 3]}{i % 40:02}" for i in range(200)]  # each several times
    (tmp_path / "a.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    tested = []
    for fold in range(10):
        splits = TextFile(file="a.csv", fold=fold, tokens="characters").splits(tmp_path)
        assert sum(map(len, splits)) == 200
        train, validation, test = ([tuple(x) for x in split.x.tolist()] for split in splits)
        assert not set(train) & (set(validation) | set(test))
        assert not set(validation) & set(test)
        tested.append(len(test))
    assert sum(tested) == 200


def test_the_fold_is_part_of_the_identity_only_where_there_is_one(configured):
    base = ["task=text_file", "task.file=a.csv"]
    plain, *folds = (configured(*base, *more)[0] for more in ([], ["task.fold=0"], ["task.fold=1"]))
    assert not {"fold", "folds", "header", "delimiter"} & set(plain.canonical()["task"])
    assert len({run.run_id for run in (plain, *folds)}) == 3
    assert folds[0].canonical()["task"]["fold"] == 0
    semicolon, _ = configured(*base, "task.delimiter=';'", "task.text_column=2", "task.header=false")
    assert semicolon.task.arguments()["text_column"] == 2
    assert semicolon.canonical()["task"]["delimiter"] == ";"
