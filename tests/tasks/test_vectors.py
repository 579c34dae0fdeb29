"""Pretrained word vectors: what is read of them, what is drawn, what is refused."""

import gzip
import hashlib
import io
import ssl
import zipfile

import pytest
import torch

from gradreach.errors import ConfigError
from gradreach.models import LSTM, build
from gradreach.tasks import TextFile
from gradreach.tasks import vectors as reading_vectors
from gradreach.tasks.card import card

SIZE = 4
HELD = {"good": [1, 2, 3, 4], "bad": [-1, -2.5, 3e-2, 0], "film": [0.5, 0.5, 0.5, 0.5], "elsewhere": [9, 9, 9, 9]}
LINES = [" ".join([word, *map(str, numbers)]) for word, numbers in HELD.items()]


@pytest.fixture
def folder(tmp_path):
    rows = [f"{i % 2},{'good' if i % 2 else 'bad'} film number{i}" for i in range(60)]
    (tmp_path / "a.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    (tmp_path / "v.txt").write_text("\n".join(LINES) + "\n")
    return tmp_path


def prepared(folder, **settings):
    task = TextFile(file="a.csv", **{"vectors": "v.txt", **settings})
    task.prepare(folder)
    return task


def test_a_word_of_the_file_has_its_vector_and_others_start_small(folder):
    task = prepared(folder)
    vectors, words = task.shape.vectors, task.words()
    assert vectors.shape == (task.shape.vocabulary, SIZE)
    for word in ("good", "bad", "film"):
        assert vectors[words.index(word)].tolist() == pytest.approx(HELD[word])
    drawn = torch.stack([vectors[i] for i, word in enumerate(words) if word not in HELD]).flatten()
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    assert drawn.std().item() == pytest.approx(0.1, abs=0.03)
    assert len(drawn.unique()) == len(drawn)
    assert task.facts()["vectors"] == {"size": SIZE, "known": pytest.approx(3 / len(words))}
    assert f"vectors (size {SIZE}, known 0.0" in card(task, folder)


def test_what_is_drawn_depends_on_the_data_seed_alone(folder, monkeypatch):
    torch.manual_seed(1)
    first = prepared(folder).shape.vectors.clone()
    monkeypatch.setenv("GRADREACH_CACHE_DIR", str(folder / "another cache"))
    torch.manual_seed(2)
    again = prepared(folder)
    assert torch.equal(again.shape.vectors, first)
    other = prepared(folder, data_seed=1)
    place, other_place = (task.words().index("<unk>") for task in (again, other))
    assert not torch.equal(other.shape.vectors[other_place], first[place])


def test_a_model_starts_from_them(folder):
    task = prepared(folder)
    model = build(LSTM, {"width": 8}, task.shape, readout="last", embedding="frozen")
    weights = model.embedding.vectors.weight
    assert torch.equal(weights[1:], task.shape.vectors[1:])
    assert not weights[0].any()
    assert not weights.requires_grad


def test_without_them_there_are_none(folder):
    task = prepared(folder, vectors=None)
    assert task.shape.vectors is None
    assert "vectors" not in task.facts()


def test_headings_packed_files_and_lines_in_other_encodings_are_read(folder):
    plainly = prepared(folder).shape.vectors
    heading = "4 4\n" + " \n".join(LINES) + " \n"  # as fastText writes them
    (folder / "v.vec.gz").write_bytes(gzip.compress(b"caf\xe9 1 2 3 4\n".join([heading.encode(), b""])))
    assert torch.equal(prepared(folder, vectors="v.vec.gz").shape.vectors, plainly)


def test_another_content_of_the_file_is_not_taken_from_the_cache(folder):
    before = prepared(folder).shape.vectors.clone()
    (folder / "v.txt").write_text("\n".join(LINES).replace("good 1", "good 7") + "\n")
    task = prepared(folder)
    assert task.shape.vectors[task.words().index("good")].tolist() == [7, 2, 3, 4]
    assert not torch.equal(before, task.shape.vectors)


def test_vectors_that_torchtext_knows_by_name_are_verified_and_read_from_their_archive(folder, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("glove.6B.50d.txt", "\n".join(LINES))
        archive.writestr("../evil.txt", "x")
    monkeypatch.setattr("gradreach.tasks.download.download", lambda url: packed.getvalue())
    with pytest.raises(ConfigError, match=r"glove\.6B\.zip: its content has sha256:.*, not sha256:617afb2f"):
        prepared(folder, vectors="glove.6B.50d")
    digest = "sha256:" + hashlib.sha256(packed.getvalue()).hexdigest()
    monkeypatch.setitem(reading_vectors.DIGESTS, "6B", digest)
    assert torch.equal(prepared(folder, vectors="glove.6B.50d").shape.vectors, prepared(folder).shape.vectors)
    assert [path.name for path in (folder / "vectors").iterdir()] == ["glove.6B.zip"]
    assert not (folder / "evil.txt").exists()
    with pytest.raises(ConfigError, match=r"glove\.6B\.zip: cannot be read"):
        prepared(folder, vectors="glove.6B.100d")


def test_reading_them_prints_nothing_and_leaves_certificates_checked(folder, capfd):
    prepared(folder)
    assert ssl._create_default_https_context is ssl.create_default_context
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("good 1 2 3\nbad 1 2\n", "v.txt: line 2 has 2 numbers, those before 3"),
        ("good 1 2 3\nfilm\n", "v.txt: line 2 has 0 numbers"),
        ("good 1 2\n", "v.txt: line 1 has 2 numbers; each line must be a word and 3 or more numbers"),
        ("good 1 2 three\n", "v.txt: line 1: the vector of 'good' has a value that is not a finite number"),
        ("good 1 2 nan\n", "v.txt: line 1: the vector of 'good' has a value that is not a finite number"),
        ("le 1 2 3\nla 1 2 3\n", "task.vectors=v.txt: has vectors for none of the"),
        ("", "task.vectors=v.txt: has vectors for none of the"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused_in_one_line(folder, content, says):
    (folder / "v.txt").write_text(content)
    with pytest.raises(ConfigError) as refused:
        prepared(folder)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named_and_so_are_the_names(folder):
    with pytest.raises(ConfigError, match=r"task\.vectors=w\.txt: there is no file .*w\.txt.* glove\.6B\.100d"):
        prepared(folder, vectors="w.txt")


def test_a_model_of_another_size_is_refused(folder):
    with pytest.raises(ConfigError, match=r"model\.embedding_size=5: .* size 4"):
        build(LSTM, {"width": 8}, prepared(folder).shape, readout="last", embedding_size=5)
