"""Where the project stands, and what makes a real run take a second."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SMALL = ["trainer.epochs=2", "model.width=4", "diagnostics.examples=4"]
