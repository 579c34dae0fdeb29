"""When something is measured during training."""

import re

Schedule = str | int | None
"""None: never; ``ends``: at the start and of the chosen weights; n: there and after every n-th epoch; ``n steps``:
there and after every n-th training step."""

MOST = 1_000_000_000
"""Epochs, steps or batches: no run has more."""
STEPS = re.compile(r"([1-9][0-9]{0,8}) steps")


def checked_schedule(value: object) -> Schedule:
    """Return a valid schedule.

    Raises:
        ValueError: it is not a schedule.
    """
    epochs = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST
    steps = isinstance(value, str) and (value == "ends" or STEPS.fullmatch(value))
    if value is None or epochs or steps:
        return value  # type: ignore[return-value]
    raise ValueError(
        "must be null (never), ends, a number of epochs such as 5, or of training steps such as '200 steps'"
    )


def due(schedule: Schedule, epoch: float, step: int) -> bool:
    """Return whether a measurement is due, within training.

    Args:
        schedule: see ``Schedule``.
        epoch: how many epochs have passed, a fraction within one.
        step: how many training steps have passed.
    """
    if isinstance(schedule, int):
        return epoch % schedule == 0
    steps = STEPS.fullmatch(schedule or "")
    return steps is not None and step % int(steps[1]) == 0
