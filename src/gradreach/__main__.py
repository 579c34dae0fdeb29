"""``python -m gradreach`` is ``gradreach``."""

from gradreach.cli import main

main()
