"""Texts of your own: the formats, and what is said of files that cannot be used."""

import gzip
import json
import lzma

import pytest

from gradreach.errors import ConfigError
from gradreach.tasks import TextFile
from gradreach.tasks.card import card

ROWS = [("good" if i % 2 else "bad", f'"Text" {i}, with a comma and "quotes"') for i in range(30)]


def csv_of(rows, head="label,text"):
    return "\n".join([head, *(label + ',"' + text.replace('"', '""') + '"' for label, text in rows)]) + "\n"


SPACED = [(f" {label} ", text) for label, text in ROWS]
CONTENTS = {
    "a.csv": csv_of(SPACED),
    "a.tsv": "text\tlabel\n" + "".join(f"{text}\t{label}\n" for label, text in SPACED),
    "a.jsonl": "".join(json.dumps({"text": text, "label": label, "more": 1}) + "\n" for label, text in SPACED),
    "a.txt": "".join(f"{label} {text}\n" for label, text in ROWS),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("packing", ["", ".gz", ".xz"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_every_format_gives_the_same_texts(tmp_path, name, packing, bom):
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[packing]
    (tmp_path / (name + packing)).write_bytes(pack(bom + CONTENTS[name].encode()))
    task = TextFile(file=name + packing, format="lines" if name == "a.txt" else "auto")
    train, _, _ = task.read(task.files(tmp_path))
    assert list(zip(train.labels, train.texts, strict=True)) == ROWS


def test_windows_line_ends_and_line_breaks_in_quotes_are_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'label,text\r\n1,"two\r\nlines"\r\n\r\n0,one\r\n')
    train, _, _ = (task := TextFile(file="a.csv")).read(task.files(tmp_path))
    assert (train.texts, train.labels, list(train.lines)) == (["two\r\nlines", "one"], ["1", "0"], [3, 5])


@pytest.mark.parametrize("encoding", ["latin-1", "gb18030", "utf-16"])
def test_an_encoding_that_is_named_is_used(tmp_path, encoding):
    text = "Fähre" if encoding == "latin-1" else "好吃"
    (tmp_path / "a.csv").write_bytes(f"label,text\n1,{text}\n0,x\n".encode(encoding))
    train, _, _ = (task := TextFile(file="a.csv", encoding=encoding)).read(task.files(tmp_path))
    assert train.texts == [text, "x"]


def test_separate_files_are_the_splits_and_validation_loses_what_the_test_holds(tmp_path):
    for name, part in (("train", ROWS), ("val", ROWS[:10]), ("test", ROWS[5:20])):
        (tmp_path / f"{name}.csv").write_text(csv_of(part))
    task = TextFile(file="train.csv", validation_file="val.csv", test_file="test.csv", tokens="whitespace")
    splits = task.splits(tmp_path)
    assert [len(s) for s in splits] == [30, 5, 15]
    assert task.facts()["also_in_test"] == 5


def test_texts_of_length_0_are_kept_and_work(tmp_path):
    (tmp_path / "a.csv").write_text(
        "label,text\n" + "".join(f"{i % 2},{'' if i % 4 < 2 else f'word {i}'}\n" for i in range(80))
    )
    task = TextFile(file="a.csv")
    splits = task.splits(tmp_path)
    assert sum(map(len, splits)) + task.facts()["also_in_test"] == 80
    assert task.facts()["empty"] > 0
    empty = [split for split in splits if (split.lengths == 0).any()]
    assert empty
    assert not empty[0].x[empty[0].lengths == 0].any()
    assert "empty" in card(task, tmp_path)


def test_a_file_of_nothing_but_empty_texts_works(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text("label,text\n" + "0,\n1,\n" * 10)
    task = TextFile(file="a.csv", test_file="b.csv")
    with pytest.raises(ConfigError, match="no texts are left for the validation split"):
        task.prepare(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "settings", "says"),
    [
        ("a.csv", b"", {}, "a.csv: the file is empty"),
        ("a.csv", b"label,text\n", {}, "a.csv: this file has no texts"),
        ("a.jsonl", b"", {}, "a.jsonl: this file has no texts"),
        (
            "a.csv",
            b"class,text\n1,x\n",
            {},
            "task.label_column=label: a.csv has no such column; choose from class, text",
        ),
        (
            "a.csv",
            b"a\x1b[31m,b\n1,x\n",
            {},
            r"task.text_column=text: a.csv has no such column; choose from 'a\x1b[31m', b",
        ),
        (
            "a.csv",
            b"label,review\n1,x\n",
            {},
            "task.text_column=text: a.csv has no such column; choose from label, review",
        ),
        ("a.csv", b"label,text\n1,a,b\n", {}, "a.csv: line 2 has 3 fields, the header has 2"),
        ("a.csv", b"label,text\n1,x\n,y\n", {}, "a.csv: line 3: column 'label' is empty"),
        ("a.csv", b"label,text\n1,x\n0.5,y\n", {}, "a.csv: line 3: column 'label' has a decimal number (0.5)"),
        (
            "a.jsonl",
            b'{"label": 1.0, "text": "x"}\n',
            {},
            "a.jsonl: line 1: column 'label' has a decimal number (1.0)",
        ),
        ("a.csv", b"label,text\n" + b"1,x\n" * 20, {}, "a.csv: all 20 texts are of class '1'"),
        ("a.csv", b"label,text\n1,x\n1,\xe9t\xe9\n", {}, "a.csv: line 3 is not utf-8 (byte 0xe9); set task.encoding"),
        ("a.csv", b"label,text\n1,x\n", {"encoding": "klingon"}, "task.encoding=klingon: there is no such encoding"),
        ("a.csv", b'label,text\n1,"x\n0,y\n1,z\n', {}, "a.csv: the row that begins in line 2 cannot be read"),
        ("a.csv", b"label,text\n" + b"1,x\n" * 11, {"max_rows": 10}, "a.csv: more than task.max_rows=10 rows"),
        ("a.jsonl", b'{"label": 1, "text": "x"}\nnot json\n', {}, "a.jsonl: line 2 is not JSON"),
        ("a.jsonl", b'{"label": 1, "text": 5}\n', {}, "a.jsonl: line 1: 'text' is not a text but 5"),
        ("a.jsonl", b'{"label": null, "text": "x"}\n', {}, "a.jsonl: line 1: 'label' is not a class but null"),
        ("a.jsonl", b'{"label": 1}\n', {}, "task.text_column=text: a.jsonl, line 1 has no such key; choose from label"),
        ("a.jsonl", b"[1]\n", {}, "a.jsonl: line 1 is not a JSON object"),
        ("a.dat", b"label,text\n", {}, "task.format=auto: a.dat does not show its format"),
        ("a.csv.gz", b"no gzip", {}, "a.csv.gz: cannot be read"),
        ("a.csv.xz", b"no xz", {}, "a.csv.xz: cannot be read"),
        ("a.csv", b"label,text\n1,x\n0,y\n", {}, "a.csv: no texts are left for the validation split"),
        ("a.jsonl", b"[" * 100_000 + b"\n", {}, "a.jsonl: line 1 is not JSON"),
        (
            "a.csv",
            b"label,text\n" + b"".join(b"%d,x\n" % i for i in range(1001)),
            {},
            "a.csv: column 'label' has 1,001 different values",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, name, content, settings, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        TextFile(file=name, **settings).prepare(tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_label_that_training_lacks_is_named_with_its_line(tmp_path):
    (tmp_path / "train.csv").write_text(csv_of(ROWS))
    (tmp_path / "test.csv").write_text(csv_of([*ROWS[:3], ("ugly", "x")]))
    with pytest.raises(ConfigError, match=r"test\.csv: line 5: class 'ugly' does not occur in training \(train\.csv\)"):
        TextFile(file="train.csv", test_file="test.csv").prepare(tmp_path)


def test_a_test_that_holds_all_of_validation_is_named_as_the_reason(tmp_path):
    (tmp_path / "a.csv").write_text(csv_of(ROWS))
    with pytest.raises(
        ConfigError, match=r"left for the validation split \(4 of them also stand in the test\); use a larger file"
    ):
        TextFile(file="a.csv", test_file="a.csv").prepare(tmp_path)


def test_files_that_are_not_there_are_named_by_their_setting(tmp_path):
    (tmp_path / "train.csv").write_text(csv_of(ROWS))
    with pytest.raises(ConfigError, match=r"task\.file=absent\.csv: there is no file /.*absent\.csv; give an absolute"):
        TextFile(file="absent.csv").prepare(tmp_path)
    with pytest.raises(ConfigError, match=r"task\.test_file=absent\.csv"):
        TextFile(file="train.csv", test_file="absent.csv").prepare(tmp_path)
    with pytest.raises(ConfigError, match=r"task\.file: name a file"):
        TextFile(file="???").prepare(tmp_path)
    with pytest.raises(ConfigError, match="is a folder"):
        TextFile(file=str(tmp_path)).prepare(tmp_path)
    with pytest.raises(ConfigError, match="nothing is left"):
        TextFile(file="train.csv", validation_share=0.6, test_share=0.4)


def test_a_changed_file_is_read_anew(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(csv_of(ROWS))
    first = TextFile(file="a.csv").splits(tmp_path)
    path.write_text(csv_of([*ROWS, *((label, text + " again") for label, text in ROWS)]))
    assert sum(map(len, TextFile(file="a.csv").splits(tmp_path))) == 2 * sum(map(len, first))


def test_label_and_text_may_stand_apart_by_any_blanks(tmp_path):
    (tmp_path / "a.txt").write_text("a\tone text\nb  two\tblanks \n\n c three\nb\n")
    train, _, _ = (task := TextFile(file="a.txt", format="lines")).read(task.files(tmp_path))
    assert train.labels == ["a", "b", "c", "b"]
    assert train.texts == ["one text", "two\tblanks", "three", ""]


def test_blank_lines_before_the_header_are_passed_over(tmp_path):
    (tmp_path / "a.csv").write_text("\n\nlabel,text\n1,x\n")
    train, _, _ = (task := TextFile(file="a.csv")).read(task.files(tmp_path))
    assert (train.texts, list(train.lines)) == (["x"], [4])


@pytest.mark.parametrize("name", ["A.CSV.GZ", "a.csv.GZ", "a.Csv.gz"])
def test_capitals_in_the_name_of_a_file_change_nothing(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(CONTENTS["a.csv"].encode()))
    train, _, _ = (task := TextFile(file=name)).read(task.files(tmp_path))
    assert len(train.texts) == 30


@pytest.mark.parametrize(
    ("content", "settings", "says"),
    [
        ('label,text\n0,x\n"0,5",y\n', {}, "a.csv: line 3: column 'label' has a decimal number (0,5), not a class"),
        ("label,text\n1_0.5,x\n", {}, "a.csv: line 2: column 'label' has a decimal number (1_0.5), not a class"),
        (
            "0.5 x\n",
            {"format": "lines"},
            "a.csv: line 1: the first word has a decimal number (0.5), not a class; write whole numbers or names, or "
            "set task.format",
        ),
        (
            "".join(f"{i} x\n" for i in range(1001)),
            {"format": "lines"},
            "a.csv: the first word has 1,001 different values; at most 1000 classes are allowed; set task.format",
        ),
        ("label,text,label\n1,x,2\n", {}, "task.label_column=label: a.csv has 2 columns of this name; rename one"),
        ("text,text,label\n1,x,2\n", {}, "task.text_column=text: a.csv has 2 columns of this name; rename one"),
        ("label;text\n1;x\n", {}, "choose from label;text; set \"task.delimiter=';'\" if that separates"),
        ("label\ttext\n1\tx\n", {}, "; set task.delimiter=tab if that separates its columns"),
        ("1,x\n0,y\n", {}, "choose from 1, x; set task.header=false if its first line is not a header"),
        (
            "\0l\0a\0b\0e\0l",
            {},
            "a.csv: line 1 holds a zero byte; is this a text file? if it is UTF-16, set task.encoding=utf-16",
        ),
        ("label,text\n1,x\n", {"encoding": "a\0b"}, "there is no such encoding; try utf-8"),
        ("label,text\n1,x\n", {"encoding": "hex"}, "task.encoding=hex: there is no such encoding; try utf-8"),
    ],
)
def test_what_else_is_wrong_with_a_file_is_said_in_one_line(tmp_path, content, settings, says):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ConfigError) as refused:
        TextFile(file="a.csv", **settings).prepare(tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("file", ["~nosuchuser/x.csv", "x" * 300 + ".csv", "a\0b.csv", "a.csv/b.csv"])
def test_a_path_that_cannot_be_is_refused_in_one_line(tmp_path, file):
    (tmp_path / "a.csv").write_text("label,text\n")
    with pytest.raises(
        ConfigError, match=r"^task\.file=.*; give an absolute path, or one relative to data_dir$"
    ) as refused:
        TextFile(file=file).prepare(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_text_cannot_be_its_own_class():
    with pytest.raises(ConfigError, match=r"task\.text_column=x, task\.label_column=x: .*; choose two columns"):
        TextFile(file="a.csv", text_column="x", label_column="x")
