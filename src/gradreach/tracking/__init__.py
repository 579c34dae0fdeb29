"""What is told of a run while it goes."""

from gradreach.tracking.tracker import Tracker, track

__all__ = ["Tracker", "track"]
