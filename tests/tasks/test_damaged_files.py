"""Whatever is in a file: it is read, or refused in one line."""

import gzip
import json
import lzma
import os
import random
import resource
import time

import pytest
import torch

from accidents import damaged
from gradreach.errors import ConfigError
from gradreach.tasks import IMDB, MNIST, SST, TREC, TextFile, TextValues, TimeSeriesFile, TimeSeriesValues
from gradreach.tasks.mnist import FILES
from gradreach.tasks.reading import LONGEST_LINE

TEXTS = [(i % 2, f'the "film" number {i}, which was {"good" if i % 2 else "bad"}') for i in range(40)]
SERIES = [(i % 2, f"{i % 7}.5,{-i},?,{i / 8}") for i in range(40)]
QUOTED = [(label, text.replace('"', '""')) for label, text in TEXTS]
TEXT_FILES = {
    "a.csv": "label,text\n" + "".join(f'{label},"{text}"\n' for label, text in QUOTED),
    "a.tsv": "label\ttext\n" + "".join(f"{label}\t{text}\n" for label, text in TEXTS),
    "a.jsonl": "".join(json.dumps({"label": label, "text": text}) + "\n" for label, text in TEXTS),
    "a.txt": "".join(f"{label} {text}\n" for label, text in TEXTS),
}
SERIES_FILES = {
    "s.ts": "@classLabel true 0 1\n@data\n" + "".join(f"{row}:{row}:{label}\n" for label, row in SERIES),
    "s.tsv": "".join(f"{label}\t{row.replace(',', chr(9)).replace('?', 'NaN')}\n" for label, row in SERIES),
}
VALUES = "@targetLabel true\n@data\n" + "".join(f"{row}:{i / 3}\n" for i, (_, row) in enumerate(SERIES))
VECTORS = "".join(f"{word} 0.1 0.2 {i} -1e-3\n" for i, word in enumerate(["the", "film", "good", "bad", "was"]))


def text_task(name):
    return TextFile(file=name, format="lines" if name.startswith("a.txt") else "auto", seq_len=8)


def with_vectors(name):
    return TextFile(file="texts.csv", vectors=name, seq_len=8)


READERS = {
    **{name: (text_task, content) for name, content in TEXT_FILES.items()},
    **{name: (lambda name: TimeSeriesFile(file=name), content) for name, content in SERIES_FILES.items()},
    "v.ts": (lambda name: TimeSeriesValues(file=name), VALUES),
    "v.csv": (lambda name: TextValues(file=name), TEXT_FILES["a.csv"]),
    "vectors.txt": (with_vectors, VECTORS),
}
PACKINGS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def read_or_refused(task, folder):
    """Return the splits, or None where they are refused in one line that says why."""
    try:
        return task.splits(folder)
    except ConfigError as error:
        said = str(error)
    assert "\n" not in said
    assert 10 < len(said) < 1000
    return None


def read_damaged(name, folder, times):
    make, text = READERS[name]
    (folder / "texts.csv").write_text(TEXT_FILES["a.csv"])
    chance, outcomes = random.Random(name), []
    for number in range(times):
        packing = chance.choice(["", "", *PACKINGS])
        content = damaged(text.encode(), chance)
        content = PACKINGS[packing](content)
        if packing and chance.random() < 0.5:
            content = damaged(content, chance)
        path = folder / f"{number}{name}{packing}"
        path.write_bytes(content)
        task = TextFile(file=path.name, format="lines", seq_len=8) if name == "a.txt" else make(path.name)
        start = time.process_time()
        splits = read_or_refused(task, folder)
        assert time.process_time() - start < 10
        outcomes.append(splits is not None)
        if splits is not None:
            assert all(torch.isfinite(split.x.float()).all() for split in splits)
            assert all(torch.isfinite(split.target.float()).all() for split in splits)
        path.unlink()
    return outcomes


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name, tmp_path):
    outcomes = read_damaged(name, tmp_path, 40)
    assert {True, False} == set(outcomes)  # else nothing was tried


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files_are_read_or_refused_in_one_line(name, tmp_path):
    assert {True, False} == set(read_damaged(name, tmp_path, 2000))


def published(folder):
    """Lay made-up files where those of published sets stand; return the tasks that read them."""
    paths = [
        *(folder / "trec" / name for name in TREC.digests),
        *(folder / "sst" / "trees" / name for name in SST.digests),
        *(folder / "imdb" / f"{part}.jsonl.xz" for part in ("train", "test")),
        *(folder / "mnist" / name for name in FILES),
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    return paths, [TREC(), SST(), IMDB(), MNIST(seq_len=64)]


@pytest.mark.parametrize(
    "kind", ["empty", "junk", "gzip junk", "pipe", "folder", "zeros", "link to itself", "no rights"]
)
def test_what_stands_in_the_place_of_a_published_file_is_refused_in_one_line(kind, tmp_path, monkeypatch):
    def offline(url):
        raise OSError("offline")

    monkeypatch.setattr("gradreach.tasks.download.download", offline)
    monkeypatch.setattr("gradreach.tasks.sst.download", offline)
    paths, tasks = published(tmp_path)
    for path in paths:
        match kind:
            case "empty":
                path.touch()
            case "junk":
                path.write_bytes(random.Random(0).randbytes(1000))
            case "gzip junk":
                path.write_bytes(gzip.compress(random.Random(0).randbytes(1000)))
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "zeros":
                path.symlink_to("/dev/zero")
            case "link to itself":
                path.symlink_to(path)
            case "no rights":
                path.write_bytes(b"x")
                path.chmod(0)
    for task in tasks:
        assert read_or_refused(task, tmp_path) is None


@pytest.mark.parametrize("name", ["a.csv", "s.ts", "vectors.txt"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "zeros", "link to itself"])
def test_what_is_no_file_is_refused_in_one_line(name, kind, tmp_path):
    (tmp_path / "texts.csv").write_text(TEXT_FILES["a.csv"])
    path = tmp_path / name
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "zeros": lambda: path.symlink_to("/dev/zero"),
        "link to itself": lambda: path.symlink_to(path),
    }[kind]()
    assert read_or_refused(READERS[name][0](name), tmp_path) is None


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


BOMBS = [
    *(("a.csv", unit) for unit in (b"\0", b"x", b"\n")),
    *(("s.tsv", unit) for unit in (b"1\t2\n", b"1\t")),
    *(("vectors.txt", unit) for unit in (b"x",)),
]


@pytest.mark.parametrize("packing", [".gz", pytest.param(".xz", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "unit"), BOMBS)
def test_a_small_file_that_unpacks_to_gigabytes_takes_neither_time_nor_memory(packing, name, unit, tmp_path):
    (tmp_path / "texts.csv").write_text(TEXT_FILES["a.csv"])
    block = PACKINGS[packing](unit * (50_000_000 // len(unit)))
    (tmp_path / (name + packing)).write_bytes(block * 50)  # both formats allow blocks one after the other: 2.5 GB
    before, start = peak(), time.process_time()
    assert read_or_refused(READERS[name][0](name + packing), tmp_path) is None
    assert peak() - before < 2**29
    assert time.process_time() - start < 30


def test_idx_files_that_unpack_to_gigabytes_are_refused(tmp_path):
    paths, tasks = published(tmp_path)
    block = gzip.compress(bytes(50_000_000))
    for path in paths:
        path.write_bytes(block * 120)
    before = peak()
    assert read_or_refused(tasks[-1], tmp_path) is None
    assert peak() - before < 2**30


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"label,text\n0,a\0b\n", "line 2 holds a zero byte; is this a text file?"),
        (b"label,text\n0," + b"x" * LONGEST_LINE, f"line 2 is longer than {LONGEST_LINE:,} characters; is this"),
    ],
    ids=["zero", "long"],
)
def test_what_no_text_has_is_named(tmp_path, content, says):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        TextFile(file="a.csv").prepare(tmp_path)
    assert says in str(refused.value)


def test_utf_8_has_other_names_and_a_mark_that_is_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + TEXT_FILES["a.csv"].encode())
    for encoding in ("utf-8", "utf8", "UTF_8", "U8", "cp65001"):
        TextFile(file="a.csv", encoding=encoding).prepare(tmp_path)
