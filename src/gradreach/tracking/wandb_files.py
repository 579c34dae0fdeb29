"""Names of W&B's files and of our summary runs."""

from pathlib import Path


def summary_id(experiment: str) -> str:
    """Return the id of an experiment's summary run: always the same, so that every sweep renews it."""
    return f"summary-{experiment}"


def marker(file: Path) -> Path:
    """Return the file whose presence says, to wandb too, that a W&B file has been sent."""
    return file.with_name(f"{file.name}.synced")


def run_id_note(file: Path) -> Path:
    """Return the file beside a W&B file that says which record it tells of, where W&B's id is another."""
    return file.with_name(f"{file.name}.run_id")
