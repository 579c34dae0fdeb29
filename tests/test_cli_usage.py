"""A wrong line of ``gradreach`` is one line of ours."""

import sys

import pytest

from gradreach import cli


@pytest.fixture
def refused(capsys, monkeypatch):
    """Call the command line; return its one line on standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gradreach", *arguments])
        monkeypatch.setattr(cli, "own_process", lambda: None)
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        assert (end.value.code, out) == (2, "")
        assert err.startswith("gradreach: ")
        assert err.count("\n") == 1
        return err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "--best", "median"], "--best: 'median' is not one of 'max', 'min'; "),
        (["table", "--format", "foo"], "--format: 'foo' is not one of 'terminal', 'csv', 'markdown', 'latex', 'html'"),
        (["tabel"], "tabel: there is no such command; did you mean table? Choose from dashboard, decide, describe"),
        (["table", "--row", "x"], "--row: there is no such option; did you mean --rows? Choose from --best"),
        (["--bogus"], "--bogus: there is no such option; choose from --help, --version"),
        (["export"], "to: is missing; 'gradreach export --help' lists them"),
        (["tables", "--results-dir"], "--results-dir: needs a value"),
        (["sync", "-n", "0"], "--parallel: input should be greater than or equal to 1"),
        (
            ["dashboard", "x", "--entity", "../x"],
            "entity=../x: must be 1 to 128 characters, without spaces and /",
        ),
        (["wandb-sweep", "x", "--project", "a/b"], "project=a/b: must be 1 to 128 characters, without /"),
        (["report", "x"], "gradreach report: got unexpected extra argument"),
    ],
)
def test_a_wrong_line_is_one_line_with_what_is_allowed(refused, arguments, message):
    assert f"gradreach: {message}" in refused(*arguments)


def test_help_stays_a_page(capsys, monkeypatch):
    for arguments in (["table", "--help"], []):
        monkeypatch.setattr(sys, "argv", ["gradreach", *arguments])
        monkeypatch.setattr(cli, "own_process", lambda: None)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == (0 if arguments else 2)
        out, err = capsys.readouterr()
        assert "Usage: gradreach" in out
        assert err == ""
