"""What is sent to W&B, and where: our settings and W&B's environment variables."""

import os
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gradreach.config.components import Settings

ADDRESS = r"^https?://[^/?#\s:@]+"
AN_ADDRESS = "a URL: http:// or https:// and a host"
NAME = r"^[^/\\#?%:\s]{1,128}$"
A_NAME = "1 to 128 characters, without spaces and / \\ # ? % :"
MODES = ("online", "offline", "disabled", "dryrun", "run", "shared")
"""Allowed values of ``WANDB_MODE``."""

Tag = Annotated[str, Field(min_length=1, max_length=64, coerce_numbers_to_str=True)]


def as_environment_says(mode: object) -> object:
    """Return the mode under ``WANDB_MODE`` and ``WANDB_DISABLED``: they can only reduce tracking."""
    said = os.environ.get("WANDB_MODE", "").lower()
    if said == "disabled" or os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes", "on"):
        return "off"
    return "offline" if mode == "online" and said in ("offline", "dryrun") else mode


def said_by(variable: str, default: str | None = None) -> BeforeValidator:
    """Return what takes null for what a variable says; one that is set to nothing says nothing.

    Hydra's ``${oc.env:…}`` would be read again for each of ten thousand runs.
    """

    def read(value: object) -> object:
        return (os.environ.get(variable) or default) if value is None or value == "" else value

    return BeforeValidator(read)


def as_tags(value: object) -> object:
    """Return tags as a list: ``WANDB_TAGS`` is one text, with commas between them."""
    if value is None:
        return []
    return [tag for word in value.split(",") if (tag := word.strip())] if isinstance(value, str) else value


Text = Annotated[str | None, Field(coerce_numbers_to_str=True)]


class TrackingSettings(Settings):
    """What is sent to W&B, and where; if entity or base_url is null, W&B's own environment decides.

    There is no setting for the API key: only wandb reads it.

    - ``tags``: beside experiment, task and model.
    - ``group``, ``name``, ``job_type``: instead of the configuration without its seed, of what the run is, of "train".
    - ``notes``: text that W&B shows above the run.
    """

    mode: Annotated[Literal["offline", "online", "off"], BeforeValidator(as_environment_says)]
    project: Annotated[
        str,
        Field(pattern=r"^[^/\\#?%:]{1,128}$", description="1 to 128 characters, without / \\ # ? % :"),
        said_by("WANDB_PROJECT", "gradreach"),
    ]
    entity: str | None = Field(pattern=NAME, description=A_NAME)
    base_url: str | None = Field(pattern=ADDRESS, description=AN_ADDRESS)
    tags: Annotated[list[Tag], BeforeValidator(as_tags), said_by("WANDB_TAGS")] = Field(default=[])
    group: Annotated[Text, said_by("WANDB_RUN_GROUP")] = None
    name: Annotated[Text, said_by("WANDB_NAME")] = None
    job_type: Annotated[Text, said_by("WANDB_JOB_TYPE")] = None
    notes: Annotated[Text, said_by("WANDB_NOTES")] = None
