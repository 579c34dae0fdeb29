"""``gradreach`` and ``python -m gradreach``: the command line, or one line that says what is not installed."""

import sys


def main() -> None:
    """Run the command line.

    ``pip install gradreach`` installs only the instrument; sweeps, tables and this command need ``gradreach[bench]``.
    """
    try:
        from gradreach.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "gradreach").partition(".")[0] == "gradreach":
            raise
        print(f"gradreach: needs {error.name}: pip install 'gradreach[bench]'", file=sys.stderr)
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
