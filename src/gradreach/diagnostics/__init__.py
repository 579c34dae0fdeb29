"""What the gradient does, measured exactly, on any model; nothing here knows of trainers or trackers."""

from gradreach.diagnostics.profile import gradient_profile, profile_of
from gradreach.diagnostics.summary import Decay, decay, figures, half_life, reach
from gradreach.diagnostics.trace import Trace, trace

__all__ = ["Decay", "Trace", "decay", "figures", "gradient_profile", "half_life", "profile_of", "reach", "trace"]
