"""Texts: tokens, vocabulary, cutting, splits, and the sets of torchtext."""

import hashlib
import json
import lzma
import warnings
from collections import Counter

import numpy as np
import pytest
import torch

from gradreach.errors import ConfigError
from gradreach.tasks import IMDB, SST, TREC, TextFile
from gradreach.tasks.sst import subtrees
from gradreach.tasks.tokens import bare, encode, tokenizer
from gradreach.tasks.truncate import shorten


def write(path, rows, head="label,text"):
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return str(path)


def reviews(n=60):
    return [f"{i % 3},word{i} common{i % 3} {'long ' * (i % 7)}end" for i in range(n)]


def tokens_of(task, split):
    words = task.words()
    return [[words[i] for i in row[:n]] for row, n in zip(split.x.tolist(), split.lengths.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("tokens", "text", "cut"),
    [
        ("basic_english", "It's GOOD, isn't it?", ["it", "'", "s", "good", ",", "isn", "'", "t", "it", "?"]),
        ("whitespace", "It's GOOD,  isn't\tit?", ["It's", "GOOD,", "isn't", "it?"]),
        ("characters", " 很快，好吃 ", ["很", "快", "，", "好", "吃"]),
        ("basic_english", "", []),
        ("whitespace", "  ", []),
        ("characters", "", []),
    ],
)
def test_a_text_is_cut_into_tokens(tokens, text, cut):
    assert tokenizer(tokens)(text) == cut


@pytest.mark.parametrize(("keep", "kept"), [("head", [1, 2, 3]), ("tail", [5, 6, 7]), ("both", [1, 2, 7])])
def test_long_texts_are_cut_where_it_is_said(keep, kept):
    steps = np.arange(1, 8)
    assert shorten(steps, 3, keep).tolist() == kept
    assert shorten(steps[:3], 3, keep).tolist() == [1, 2, 3]
    assert shorten(steps[:2], 1, keep).tolist() == ([2] if keep == "tail" else [1])
    assert shorten(np.stack([steps, -steps], axis=1), 3, keep).tolist() == [[k, -k] for k in kept]


def test_of_a_long_text_that_part_is_given_which_is_asked_for(tmp_path):
    file = write(tmp_path / "a.csv", [f"{i % 2},x y z n{i}" for i in range(40)])
    other = write(tmp_path / "b.csv", ["0,something else"])
    for keep, kept in {"head": "xy", "tail": "zn", "both": "xn"}.items():
        task = TextFile(file=file, validation_file=file, test_file=other, seq_len=2, keep=keep)
        assert {first + second[0] for first, second in tokens_of(task, task.splits(tmp_path).train)} == {kept}


def test_texts_are_encoded_four_bytes_a_token():
    flat, sizes, tokens = encode(["b a b", "", "c a"], "whitespace")
    assert [tokens[number] for number in flat] == ["b", "a", "b", "c", "a"]
    assert sizes.tolist() == [3, 0, 2]
    assert tokens == ["b", "a", "c"]
    assert flat.itemsize == 4


def test_texts_come_back_from_their_tokens(tmp_path):
    rows = reviews()
    task = TextFile(file=write(tmp_path / "a.csv", rows))
    splits = task.splits(tmp_path)
    assert [len(s) for s in splits] == [42, 6, 12]
    label_of = {tuple(row[2:].split()): row[0] for row in rows}
    for tokens, target in zip(tokens_of(task, splits.train), splits.train.target.tolist(), strict=True):
        assert task.classes()[target] == label_of[tuple(tokens)]
    assert task.shape.outputs == 3
    assert task.shape.length == 9
    assert task.shape.variable_length
    assert splits.train.x.dtype == torch.int32  # as it is kept
    assert splits.train.take(slice(2)).x.dtype == torch.int64


def test_classes_that_are_numbers_stand_in_their_order_before_names(tmp_path):
    task = TextFile(file=write(tmp_path / "a.csv", [f"{('x', 10, 2)[i % 3]},text {i}" for i in range(60)]))
    task.prepare(tmp_path)
    assert task.classes() == ["2", "10", "x"]


def test_padding_is_0_on_the_right_and_nothing_else_is_0(tmp_path):
    task = TextFile(file=write(tmp_path / "a.csv", [*reviews(), "0,<pad> <unk> <pad>"]), tokens="whitespace")
    for split in task.splits(tmp_path):
        valid = torch.arange(split.x.shape[1]) < split.lengths.unsqueeze(1)
        assert (split.x[valid] > 0).all()
        assert (split.x[~valid] == 0).all()
        assert split.x.max() < task.shape.vocabulary


def test_the_vocabulary_is_that_of_the_training_split_alone(tmp_path):
    task = TextFile(file=write(tmp_path / "a.csv", reviews()), tokens="whitespace")
    splits = task.splits(tmp_path)
    trained = {word for text in tokens_of(task, splits.train) for word in text}
    assert set(task.words()) == trained | {"<pad>", "<unk>"}
    unknown = (splits.test.x == 1).sum() / splits.test.lengths.sum()
    assert unknown > 0
    assert task.facts()["unknown"] == pytest.approx(unknown.item())
    assert not (splits.train.x == 1).any()


def test_rare_words_and_words_beyond_the_most_are_unknown(tmp_path):
    file = write(tmp_path / "a.csv", reviews())
    rare = TextFile(file=file, tokens="whitespace", min_frequency=5)
    counts = Counter(w for text in tokens_of(rare, rare.splits(tmp_path).train) for w in text if w != "<unk>")
    assert set(rare.words()[2:]) == set(counts)
    assert min(counts.values()) >= 5
    assert not any(word.startswith("word") for word in rare.words())
    few = TextFile(file=file, tokens="whitespace", max_vocabulary=3)
    few.prepare(tmp_path)
    assert few.shape.vocabulary == 5


def test_the_share_of_texts_cut_is_told(tmp_path):
    rows = [f"{i % 2},{i} {'w ' * i}" for i in range(40)]
    task = TextFile(file=write(tmp_path / "a.csv", rows), seq_len=10)
    splits = task.splits(tmp_path)
    assert task.facts()["cut"] == 30 / 40
    assert task.facts()["tokens"]["max"] == 40
    assert task.shape.length == splits.train.x.shape[1] == 10
    assert splits.train.lengths.max() == 10


def test_fewer_training_texts_have_their_own_vocabulary_and_the_same_test(tmp_path):
    file = write(tmp_path / "a.csv", reviews(), "label,text")
    few, whole = TextFile(file=file, train_size=12), TextFile(file=file)
    small, large = few.splits(tmp_path), whole.splits(tmp_path)
    assert (len(small.train), len(large.train)) == (12, 42)
    assert few.shape.vocabulary < whole.shape.vocabulary
    assert torch.equal(small.test.target, large.test.target)
    assert {w for text in tokens_of(few, small.train) for w in text} == set(few.words()[2:])


def test_the_data_seed_draws_which_training_texts_are_left(tmp_path):
    file, asked = write(tmp_path / "a.csv", reviews()), write(tmp_path / "b.csv", ["0,what is asked"])
    tasks = [
        TextFile(file=file, validation_file=file, test_file=asked, train_size=12, data_seed=seed) for seed in (0, 1)
    ]
    one, other = (sorted(tokens_of(task, task.splits(tmp_path).train)) for task in tasks)
    assert one != other


def test_equal_texts_stand_in_one_split_even_with_different_labels(tmp_path):
    rows = [f"{i % 2},text number {i % 40}" for i in range(200)] + [f"{(i + 1) % 2},text number {i}" for i in range(40)]
    task = TextFile(file=write(tmp_path / "a.csv", rows), tokens="characters")
    splits = task.splits(tmp_path)
    assert sum(map(len, splits)) == 240
    assert_nothing_stands_in_two(splits)


def assert_nothing_stands_in_two(splits):
    train, validation, test = ({tuple(row) for row in split.x.tolist()} for split in splits)
    assert train.isdisjoint(test)
    assert validation.isdisjoint(train | test)


@pytest.mark.parametrize("keep", ["head", "tail", "both"])
def test_texts_of_which_a_model_is_given_the_same_part_stand_in_one_split(tmp_path, keep):
    rows = [f"{i % 2},{i % 30:02}{i:03}{i % 30:02}" for i in range(120)]
    length = 4 if keep == "both" else 2
    task = TextFile(file=write(tmp_path / "a.csv", rows), tokens="characters", seq_len=length, keep=keep)
    splits = task.splits(tmp_path)
    assert sum(map(len, splits)) == 120
    assert_nothing_stands_in_two(splits)


def test_texts_of_which_a_model_is_given_the_same_part_are_counted_and_leave_validation(tmp_path):
    train = write(tmp_path / "a.csv", [f"{i % 2},train {i} more" for i in range(20)])
    chosen_by = write(tmp_path / "b.csv", [f"{i % 2},asked {i} here" for i in range(20)])
    test = write(tmp_path / "c.csv", [*(f"{i % 2},asked {i} there" for i in range(5)), "0,train 3 too", "1,new"])
    for seq_len, left, learned in ((2, 15, 1), (3, 20, 0)):
        task = TextFile(file=train, validation_file=chosen_by, test_file=test, seq_len=seq_len, tokens="whitespace")
        assert len(task.splits(tmp_path).validation) == left
        assert task.facts()["also_in_test"] == 20 - left
        assert task.facts()["also_in_training"] == {"validation": 0, "test": learned}


def test_texts_that_a_model_can_tell_apart_are_different(tmp_path):
    """Spaces are tokens' ends, and a tokenizer that keeps capitals gives them to the model."""
    train = write(tmp_path / "a.csv", [f"{i % 2},train {i}" for i in range(20)])
    test = write(tmp_path / "c.csv", ["0,to get her", "1,The end"])
    chosen_by = write(tmp_path / "b.csv", ["0,together", "1,the end"])
    for tokens, taken_out in (("basic_english", 1), ("whitespace", 0), ("characters", 0)):
        task = TextFile(file=train, validation_file=chosen_by, test_file=test, tokens=tokens)
        task.prepare(tmp_path)
        assert task.facts()["also_in_test"] == taken_out


@pytest.mark.parametrize("tokens", ["basic_english", "whitespace", "characters"])
def test_texts_that_differ_in_capitals_and_spaces_stand_in_one_split(tmp_path, tokens):
    """What the model is given is never the same on two sides, whatever the tokens are."""
    words = ["good", "film", "dull", "plot", "the", "end"]
    texts = [f"{a} {b} {c}, no?" for a in words for b in words for c in words[:3]]
    change = [str, str.title, lambda text: text.replace(" ", "  "), lambda text: f' "{text}" <br />']
    rows = [{"label": i % 2, "text": one(text)} for one in change for i, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = TextFile(file="a.jsonl", tokens=tokens, seq_len=200)
    splits = task.splits(tmp_path)
    assert sum(map(len, splits)) == len(rows)
    train, validation, test = ({tuple(text) for text in tokens_of(task, split)} for split in splits)
    assert train.isdisjoint(test)
    assert validation.isdisjoint(train | test)


@pytest.mark.parametrize("first", ["basic_english", "whitespace", "characters"])
def test_what_texts_have_in_common_is_what_every_tokenizer_keeps(first):
    pieces = [
        " ",
        "  ",
        "\t",
        "a",
        "A",
        "é",
        "'",
        '"',
        ".",
        ",",
        "(",
        ")",
        "!",
        "?",
        ";",
        ":",
        "<br />",
        "<br",
        " />",
        "好",
    ]
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(pieces, size=6)) for _ in range(2000)]
    for text in texts:
        assert bare(text) == "".join(tokenizer("basic_english")(text))
    common = {}
    for text in texts:
        assert common.setdefault(tuple(tokenizer(first)(text)), bare(text)) == bare(text)


def test_the_tokens_do_not_change_who_is_tested(tmp_path):
    file = write(tmp_path / "a.csv", [f"{i % 2},Text {i // 20} {i % 20}" for i in range(200)])
    words, characters = (TextFile(file=file, tokens=tokens) for tokens in ("whitespace", "characters"))
    for part, again in zip(words.splits(tmp_path), characters.splits(tmp_path), strict=True):
        assert [" ".join(text) for text in tokens_of(words, part)] == [
            "".join(text) for text in tokens_of(characters, again)
        ]


def test_the_split_depends_on_the_data_seed_alone(tmp_path):
    file = write(tmp_path / "a.csv", reviews(300))
    torch.manual_seed(0)
    first = TextFile(file=file).splits(tmp_path)
    torch.manual_seed(1)
    same = TextFile(file=file, seq_len=5).splits(tmp_path)
    other = TextFile(file=file, data_seed=1).splits(tmp_path)
    assert torch.equal(first.test.target, same.test.target)
    assert torch.equal(first.test.lengths.clamp(max=5), same.test.lengths)
    assert not torch.equal(first.test.x, other.test.x)


def test_other_shares_are_other_splits(tmp_path):
    file = write(tmp_path / "a.csv", reviews())
    for validation, test in ((0.1, 0.2), (0.2, 0.2), (0.2, 0.3)):
        splits = TextFile(file=file, validation_share=validation, test_share=test).splits(tmp_path)
        assert [len(split) for split in splits[1:]] == [60 * validation, 60 * test]


def test_the_share_that_a_set_states_is_no_setting_but_counts(tmp_path, monkeypatch):
    (tmp_path / "trec").mkdir()
    for name in TREC.digests:
        rows = [f"{'HUM' if i % 2 else 'NUM'}:ind text {i} of {name}\n" for i in range(40)]
        (tmp_path / "trec" / name).write_text("".join(rows))
    files = [tmp_path / "trec" / name for name in TREC.digests]
    monkeypatch.setattr(
        TREC, "digests", {path.name: f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files}
    )
    for share in (0.1, 0.5):
        monkeypatch.setattr(TREC, "validation_share", share)
        assert len(TREC().splits(tmp_path).validation) == 40 * share


def test_trees_become_sentences_and_phrases():
    assert subtrees("(3 (2 It) (4 (4 works) (2 -LRB-)))\n") == [
        ("2", "It"),
        ("4", "works"),
        ("2", "("),
        ("4", "works ("),
        ("3", "It works ("),
    ]
    for broken in ("", "no tree", "(3 (2 It)", "(3 It))"):
        with pytest.raises((ValueError, IndexError)):
            subtrees(broken)


def test_sst_without_neutral_sentences_and_with_phrases_of_training_alone(tmp_path, monkeypatch):
    folder = tmp_path / "sst" / "trees"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("(4 (2 very) (3 good))\n(0 (2 very) (1 bad))\n(2 (2 so) (2 so))\n")
    (folder / "dev.txt").write_text("(3 (3 fine) (2 film))\n")
    (folder / "test.txt").write_text("(1 (1 dull) (2 film))\n")
    files = [folder / name for name in ("train.txt", "dev.txt", "test.txt")]
    monkeypatch.setattr(
        SST, "digests", {path.name: f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files}
    )
    two, phrases, five = (task.read(files) for task in (SST(), SST(phrases=True), SST(labels=5)))
    assert sorted(zip(two[0].texts, two[0].labels, strict=True)) == [
        ("very bad", "negative"),
        ("very good", "positive"),
    ]
    assert sorted(phrases[0].texts) == ["bad", "good", "very bad", "very good"]
    assert phrases[1].texts == ["fine film"]
    assert sorted(five[0].labels) == ["0", "2", "4"]


def test_torchtext_is_imported_late_and_its_warnings_stay_inside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer("basic_english")


def test_trec_is_split_as_published_without_test_questions_in_validation(data_dir):
    task = TREC()
    splits = task.splits(data_dir)
    assert [len(split) for split in splits] == [4911, 539, 500]
    train, validation, test = ({tuple(text) for text in tokens_of(task, split)} for split in splits)
    assert not validation & train
    assert all("<unk>" in text for text in validation & test)  # words that training lacks all look the same
    assert (task.facts()["also_in_test"], len(task.classes())) == (2, 6)
    assert len(set(TREC(fine=True).read(task.files(data_dir))[0].labels)) == 50
    words = [len(text.split()) for text in task.read(task.files(data_dir))[0].texts]
    assert sum(words) / len(words) == pytest.approx(10.2, abs=0.05)
    task.prepare(data_dir)
    assert (task.facts()["tokens"]["max"], task.facts()["cut"]) == (37, 0)


def test_sst_has_the_published_sizes(data_dir):
    task = SST()
    assert [len(s) for s in task.splits(data_dir)] == [6920, 872, 1821]
    assert task.classes() == ["negative", "positive"]
    five = SST(labels=5)
    assert [len(part.texts) for part in five.read(five.files(data_dir))] == [8544, 1101, 2210]


def test_imdb_is_read_from_lines_and_1_is_positive(tmp_path, monkeypatch):
    monkeypatch.setattr(IMDB, "size", 2)
    (tmp_path / "imdb").mkdir()
    for part in ("train", "test"):
        rows = f'{{"label": 1, "text": "fine {part}"}}\n{{"label": 0, "text": "bad {part}"}}\n'
        (tmp_path / "imdb" / f"{part}.jsonl.xz").write_bytes(lzma.compress(rows.encode()))
    task = IMDB()
    train, _, test = task.read(task.files(tmp_path))
    assert train.labels == test.labels == ["positive", "negative"]
    assert train.texts + test.texts == ["fine train", "bad train", "fine test", "bad test"]


@pytest.mark.slow
def test_imdb_is_read_and_its_validation_holds_both_classes(data_dir):
    task = IMDB(seq_len=50)
    splits = task.splits(data_dir)
    assert len(splits.test) == 25_000
    assert len(splits.train) + len(splits.validation) + task.facts()["also_in_test"] == 25_000
    assert splits.validation.target[:64].float().mean() == pytest.approx(0.5, abs=0.25)
    assert task.chance(splits) == 0.5


def test_chinese_is_read_by_characters(data_dir):
    task = TextFile(file="zh_waimai10k/waimai_10k.csv.xz", text_column="review", tokens="characters", seq_len=70)
    splits = task.splits(data_dir)
    assert sum(map(len, splits)) == 11_987
    assert task.chance(splits) == pytest.approx(0.667, abs=0.005)
    assert task.facts()["tokens"]["max"] == 463
    assert task.facts()["cut"] == pytest.approx(0.05, abs=0.02)


def test_latin_1_files_say_which_line_is_not_utf_8(data_dir):
    with pytest.raises(ConfigError, match=r"rt-polarity\.all: line \d+ is not utf-8 \(byte 0x..\); set task\.encoding"):
        TextFile(file="kim/rt-polarity.all", format="lines").prepare(data_dir)
    task = TextFile(file="kim/rt-polarity.all", format="lines", encoding="latin-1")
    assert sum(map(len, task.splits(data_dir))) == 10_662


def test_words_are_kept_whole_and_in_no_more_room_than_they_take(tmp_path):
    """numpy keeps every text as wide as the widest, and drops zeros at its end."""
    long = "w" * 100_000
    rows = [{"label": i % 2, "text": f"word{i} {long} zero\0 \ud800"} for i in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = TextFile(file="a.jsonl", tokens="whitespace")
    splits = task.splits(tmp_path)
    assert {long, "zero\0", "\ud800"} < set(task.words())
    assert task.prepared.arrays()["words"].nbytes < 2 * len(long)
    assert tokens_of(task, splits.train)[0][1:] == [long, "zero\0", "\ud800"]


def test_fewer_training_texts_than_classes_are_refused(tmp_path):
    file = write(tmp_path / "a.csv", reviews())
    with pytest.raises(
        ConfigError, match=r"task\.train_size=2: training needs an example of each of its 3 classes; choose 3 or more"
    ):
        TextFile(file=file, train_size=2).prepare(tmp_path)
    assert TextFile(file=file, train_size=3).splits(tmp_path).train.target.sort().values.tolist() == [0, 1, 2]


def test_what_a_file_is_read_as_is_in_the_name_of_what_is_made_of_it(tmp_path):
    write(tmp_path / "a.csv", ["text,label", *(f"some text {i},{i % 2}" for i in range(60))], "text,label")
    (tmp_path / "a.tsv").write_bytes((tmp_path / "a.csv").read_bytes())
    as_csv = TextFile(file="a.csv")
    as_csv.prepare(tmp_path)
    with pytest.raises(ConfigError, match=r"a\.tsv has no such column"):
        TextFile(file="a.tsv").prepare(tmp_path)
    same = [
        TextFile(file="a.tsv", format="csv"),
        TextFile(file="a.csv", max_rows=99),
        TextFile(file="a.csv", vector_std=1),
    ]
    for task in same:  # what shapes nothing is not in it
        task.prepare(tmp_path)
        assert task.prepared.path == as_csv.prepared.path
    assert same[-1].shape.vector_std == 1


def test_texts_of_the_users_own_test_that_are_learned_from_are_told(tmp_path, capfd):
    learned = [f"{i % 2},text number {i}" for i in range(20)]
    write(tmp_path / "a.csv", learned)
    write(tmp_path / "b.csv", [*(row.upper() for row in learned[:3]), "0,new", "1,newer"])
    write(tmp_path / "c.csv", [*learned[2:7], "0,newest"])
    task = TextFile(file="a.csv", validation_file="c.csv", test_file="b.csv")
    assert [len(split) for split in task.splits(tmp_path)] == [20, 5, 5]
    assert task.facts()["also_in_test"] == 1
    assert task.facts()["also_in_training"] == {"validation": 4, "test": 3}
    told = "texts that are also in training: 4 of validation, 3 of test; they count as if they were new"
    assert capfd.readouterr().err == f"gradreach: note: {told}: remove them from one file\n"
    alone = TextFile(file="a.csv", validation_share=0.2)
    alone.prepare(tmp_path)
    assert alone.facts()["also_in_training"] == {"validation": 0, "test": 0}
    assert not capfd.readouterr().err


def test_nothing_is_drawn_where_all_splits_are_given(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.csv", [f"{i % 2},text {name} {i}" for i in range(20)])
    monkeypatch.setattr("gradreach.tasks.splits.grouped_split", None)
    splits = TextFile(file="a.csv", validation_file="b.csv", test_file="c.csv").splits(tmp_path)
    assert splits.train.target.tolist() == [0, 1] * 10  # in the order of the file
    with pytest.raises(TypeError):
        TextFile(file="a.csv", test_file="c.csv").prepare(tmp_path)
