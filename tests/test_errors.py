"""A mistake is one line, names its parts, and wraps at words on a terminal alone."""

import ast
import doctest
import errno
import io
import os
import pickle
import pty
import subprocess
import sys
from itertools import pairwise

import pytest

import gradreach.errors
from gradreach.errors import ABSENT, ConfigError, explain, report, wrap_words
from gradreach.records import RecordStore
from gradreach.tracking.server import Unreachable
from project import PROJECT, SMALL

OPTIONS = [f"option_{number}" for number in range(20)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(message, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    terminal = Terminal()
    report(message, terminal)
    return terminal.getvalue()


def test_the_examples_of_the_docstrings_run():
    assert doctest.testmod(gradreach.errors).failed == 0
    assert doctest.testmod(gradreach.errors).attempted > 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ConfigError("seq_len", 0, "must be greater than 0", "choose 1"),
            "seq_len=0: must be greater than 0; choose 1",
        ),
        (ConfigError("file.ts", allowed="there is no series"), "file.ts: there is no series"),
        (ConfigError("optimizer.lr", allowed="this setting is missing"), "optimizer.lr: this setting is missing"),
        (ConfigError("entity", None, "no"), "entity=null: no"),
        (ConfigError("force", True, "no"), "force=true: no"),
        (ConfigError("stop", {"val/mse": None, "a": [1, True]}, "no"), "stop={val/mse: null, a: [1, true]}: no"),
        (ConfigError("a", 1, "both are wrong", others={"b": 2}), "a=1, b=2: both are wrong"),
        (ConfigError("model", "lstn", choices=["lstm", "gru"]), "model=lstn; did you mean lstm? Choose from gru, lstm"),
        (
            ConfigError("model.wdith", choices=["width"], hint="x"),
            "model.wdith; did you mean width? Choose from width; x",
        ),
        (ConfigError("model", "abc", "no", choices=["x"]), "model=abc: no; choose from x"),
    ],
)
def test_an_error_is_one_line_of_its_parts(error, line):
    assert str(error) == line


def test_a_value_cannot_break_the_line_or_reach_the_terminal():
    error = ConfigError("task.file", "a\nb\x1b[31m\udce9", "there is no such file", "name another")
    assert str(error) == r"task.file=a\nb\x1b[31m\udce9: there is no such file; name another"
    assert str(ConfigError("task.file", "评论.csv", "no")) == "task.file=评论.csv: no"


def test_an_error_comes_whole_out_of_another_process():
    for error in (
        ConfigError("model", "lstn", "there is no such option", "look", choices=("lstm",), others={"seed": 1}),
        Unreachable("http://here", allowed="does not answer (refused)"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
    assert pickle.loads(pickle.dumps(Unreachable("http://here"))).value is ABSENT


def test_elsewhere_than_on_a_terminal_a_message_is_one_line_however_long(capsys):
    error = ConfigError("model", "option", "there is no such option", choices=OPTIONS)
    report(error)
    assert capsys.readouterr().err == f"gradreach: {error}\n"


@pytest.mark.parametrize("width", [30, 52, 80])
def test_a_terminal_wraps_a_message_at_words(width, monkeypatch):
    error = ConfigError("seq_len", 10, "too short " * 12 + "for this task", "choose " + "one that is longer " * 6 + "!")
    text = shown(error, width, monkeypatch)
    assert text.split() == f"gradreach: {error}".split()
    lines = text.splitlines()
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])
    for line, after in pairwise(lines):  # no line could have held the next one's first word
        assert len(f"{line} {after.split()[0]}") > width


def test_a_word_longer_than_the_terminal_stays_whole(monkeypatch):
    path = "/a/" + "folder/" * 30 + "file.csv"
    lines = shown(ConfigError("task.file", path, "there is no such file"), 40, monkeypatch).splitlines()
    assert [line.strip() for line in lines] == ["gradreach:", f"task.file={path}:", "there is no such file"]


def test_wide_characters_take_two_cells():
    assert wrap_words("一二三 四五六 七八九", 14) == ["一二三 四五六", "  七八九"]


def test_a_long_list_of_choices_gets_lines_of_its_own_on_a_terminal(monkeypatch):
    error = ConfigError("model", "option_", "there is no such option", "look there", choices=OPTIONS)
    first, second, *rest = shown(error, 60, monkeypatch).splitlines()
    assert first == "gradreach: model=option_: there is no such option"
    assert second.startswith("  did you mean option_")
    assert rest[-1] == "  look there"
    short = ConfigError("model", "option_", "there is no such option", choices=OPTIONS[:2])
    assert shown(short, 120, monkeypatch) == f"gradreach: {short}\n"


def test_a_real_terminal_of_eighty_columns_gets_whole_words(tmp_path):
    controller, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "HYDRA_FULL_ERROR")}
    line = [sys.executable, str(PROJECT / "run.py"), "+optimizer.betas=[0.9,0.9]"]
    done = subprocess.run(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=terminal, check=False)
    os.close(terminal)
    said = os.read(controller, 10_000).decode().replace("\r\n", "\n")
    os.close(controller)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said == (
        "gradreach: optimizer.betas: there is no such setting\n"
        "  choose from alpha, decay, factor, lr, min_lr, monitor, name, patience,\n"
        "  schedule, warmup, weight_decay\n"
    )


def test_an_output_without_our_characters_ends_nothing():
    code = "from gradreach.errors import one_line_errors\nwith one_line_errors(): print('lstm · 评论')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"lstm ? ??\n", b"")


def calls(tree):
    """Yield the calls that make an error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ConfigError", "Unreachable"):
            yield node


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((PROJECT / "src").rglob("*.py")) if "ConfigError" in path.read_text("utf-8")],
    ids=lambda path: str(path.relative_to(PROJECT / "src")),
)
def test_every_error_names_its_parts_one_by_one(path):
    """A sentence in one piece says nothing of where its setting ends and what is wrong with it begins."""
    for call in calls(ast.parse(path.read_text("utf-8"))):
        named = {keyword.arg for keyword in call.keywords}
        setting = ast.unparse(call.args[0])
        if path.name == "errors.py" and "first_line" in setting:
            continue  # what Hydra says in its own words
        assert len(call.args) > 2 or named & {"allowed", "choices"}, f"{path}:{call.lineno}: {setting}"
        assert ": " not in setting, f"{path}:{call.lineno}: {setting}"


def test_a_file_that_cannot_be_used_is_one_line():
    said = str(explain(FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/x")))
    assert said.startswith("/proc/x: cannot be read or written (No such file or directory); ")
    assert explain(OSError("of no file")) is None


def test_a_reader_that_has_seen_enough_ends_the_program_without_a_word():
    code = "from gradreach.errors import one_line_errors\nwith one_line_errors():\n  while True: print('x' * 99)"
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout.readline()
    writer.stdout.close()
    assert (writer.wait(60), writer.stderr.read()) == (141, b"")
    writer.stderr.close()


@pytest.mark.parametrize("line", [["-m", "gradreach", "table", "quickstart"], ["-m", "gradreach", "--help"]])
def test_a_reader_of_one_line_of_a_command_ends_it_without_a_word(line):
    writer = subprocess.Popen(
        [sys.executable, *line], cwd=PROJECT, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    writer.stdout.close()
    assert (writer.wait(60), writer.stderr.read()) == (141, b"")
    writer.stderr.close()


FULL = b"gradreach: standard output: No space left on device; finished work is kept; print elsewhere\n"


def test_a_full_standard_output_is_told_by_its_name():
    with open("/dev/full", "wb") as full:
        line = [sys.executable, "-m", "gradreach", "table", "quickstart"]
        done = subprocess.run(line, cwd=PROJECT, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (2, FULL)


def test_a_run_whose_standard_output_is_full_is_done_all_the_same(tmp_path):
    with open("/dev/full", "wb") as full:
        line = [sys.executable, str(PROJECT / "run.py"), "model=rnn", "tracking=off", *SMALL]
        done = subprocess.run(line, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (2, FULL)
    store = RecordStore(tmp_path / "results" / "runs")
    assert [store.status(run_id) for run_id in store.run_ids()] == ["finished"]


STOP = """
import runpy, sys
class Stop:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Stop())
sys.argv = ["program", {argument!r}]
runpy.run_{kind}({program!r}, run_name="__main__")
"""


@pytest.mark.parametrize("name", ["hydra", "torch"])
def test_ctrl_c_while_a_run_starts_is_one_line(name, tmp_path):
    code = STOP.format(name=name, argument="seed=3", kind="path", program=str(PROJECT / "run.py"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (130, -2)
    assert done.stderr == "gradreach: stopped\n"


def test_ctrl_c_while_a_command_starts_is_one_line(tmp_path):
    code = STOP.format(name="typer", argument="tables", kind="module", program="gradreach")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (130, -2)
    assert done.stderr == "gradreach: stopped\n"
