"""What the gradient does, measured exactly, on any model; nothing here knows of trainers or trackers."""

from gradreach.diagnostics.bptt import bptt_shares, bptt_terms
from gradreach.diagnostics.decay import Decay, decay, figures, half_life, reach
from gradreach.diagnostics.decoding import DECODED, linear_decoding
from gradreach.diagnostics.gates import gate_histograms, gate_statistics
from gradreach.diagnostics.instrument import QUANTITIES, Instrument
from gradreach.diagnostics.jacobians import (
    cell_jacobian,
    log10_condition_number,
    lyapunov_spectrum,
    omega,
    product_singular_values,
    recurrent_matrices,
    step_factors,
)
from gradreach.diagnostics.parameters import GradientNorms, gradient_norms
from gradreach.diagnostics.profile import gradient_profile, profile_of
from gradreach.diagnostics.receptive_field import (
    EffectiveField,
    Window,
    effective_receptive_field,
    theoretical_receptive_field,
    touched,
    windows_of,
)
from gradreach.diagnostics.stepwise import Stepwise
from gradreach.diagnostics.trace import LayerTrace, Trace, trace
from gradreach.schedule import Schedule

__all__ = [
    "DECODED",
    "QUANTITIES",
    "Decay",
    "EffectiveField",
    "GradientNorms",
    "Instrument",
    "LayerTrace",
    "Schedule",
    "Stepwise",
    "Trace",
    "Window",
    "bptt_shares",
    "bptt_terms",
    "cell_jacobian",
    "decay",
    "effective_receptive_field",
    "figures",
    "gate_histograms",
    "gate_statistics",
    "gradient_norms",
    "gradient_profile",
    "half_life",
    "linear_decoding",
    "log10_condition_number",
    "lyapunov_spectrum",
    "omega",
    "product_singular_values",
    "profile_of",
    "reach",
    "recurrent_matrices",
    "step_factors",
    "theoretical_receptive_field",
    "touched",
    "trace",
    "windows_of",
]
