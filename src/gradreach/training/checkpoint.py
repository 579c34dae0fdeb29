"""Whether a run can go on from what was saved of it."""

import zipfile
from pathlib import Path

import torch
from torch import nn

from gradreach.training.callbacks import EpochEnd


def flaw(path: Path, model: nn.Module) -> str | None:
    """Return why a run cannot go on from its checkpoint; None where it can.

    Every bit is looked at: torch writes a checksum with each tensor, but does not compare it when it reads.

    Args:
        path: the checkpoint.
        model: of the run, also on the device ``meta``: the weights of another do not fit into it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (name := archive.testzip()) is not None:
                return f"{name} in it is damaged"
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        return f"it cannot be read ({type(error).__name__})"
    expected = {f"model.{name}": value.shape for name, value in model.state_dict().items()}
    try:
        if {name: value.shape for name, value in saved["state_dict"].items()} != expected:
            return "its weights are those of another model"
        known = set(EpochEnd(lambda row: None).state_dict())
        if set(saved["callbacks"][EpochEnd.__name__]) != known or "steps" not in saved or not saved["optimizer_states"]:
            return "it was written by another version"
    except (KeyError, AttributeError, TypeError):
        return "it was written by another version"
    return None
