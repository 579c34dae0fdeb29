"""What the gradient does, measured exactly, on any model; nothing here knows of trainers or trackers."""

from gradreach.diagnostics.profile import gradient_profile
from gradreach.diagnostics.replay import log_adjoints, replay
from gradreach.diagnostics.summary import Decay, decay, figures, reach

__all__ = ["Decay", "decay", "figures", "gradient_profile", "log_adjoints", "reach", "replay"]
