"""Tracking: what is reported about a run in progress."""

from gradreach.tracking.replay import replay_to_agent
from gradreach.tracking.server import mode_now
from gradreach.tracking.tracker import Tracker, track

__all__ = ["Tracker", "mode_now", "replay_to_agent", "track"]
