"""Exact measurements of the gradient, on any model; independent of trainers and trackers.

All examples measure a classifier of sequences, which needs nothing of gradreach::

    >>> class Last(nn.Module):
    ...     def forward(self, states_and_final):
    ...         return states_and_final[0][:, -1]
    >>> class Classifier(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.lstm, self.last, self.head = nn.LSTM(1, 8, batch_first=True), Last(), nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.head(self.last(self.lstm(x)))
    >>> _ = torch.manual_seed(0)
    >>> model, loss = Classifier(), nn.CrossEntropyLoss(reduction="none")
    >>> batch = Batch(torch.randn(64, 20, 1), None, torch.arange(64) % 2)
    >>> profile = gradient_profile(model, batch, loss)
    >>> profile.columns.tolist()
    ['layer', 'direction', 'quantity', 'lag', 'q10', 'median', 'q90', 'n', 'nonfinite']
"""

from gradreach.batch import Batch
from gradreach.diagnostics.bptt import bptt_shares, bptt_terms
from gradreach.diagnostics.decay import Decay, decay, figures, half_life, reach
from gradreach.diagnostics.decoding import DECODED, linear_decoding
from gradreach.diagnostics.gates import gate_coupling, gate_histograms, gate_statistics
from gradreach.diagnostics.instrument import QUANTITIES, Instrument, Quantity, register
from gradreach.diagnostics.jacobians import cell_jacobian, omega, recurrent_matrices, step_factors
from gradreach.diagnostics.parameters import GradientNorms, gradient_norms
from gradreach.diagnostics.products import log10_condition_number, lyapunov_spectrum, product_singular_values
from gradreach.diagnostics.profile import gradient_profile, profile_of
from gradreach.diagnostics.receptive_field import (
    EffectiveField,
    Window,
    effective_receptive_field,
    measured_receptive_field,
    theoretical_receptive_field,
    touched,
    windows_of,
)
from gradreach.diagnostics.sensitivity import sensitivity
from gradreach.diagnostics.stepwise import Stepwise
from gradreach.diagnostics.trace import LayerTrace, Trace, trace
from gradreach.schedule import Schedule

__all__ = [
    "DECODED",
    "QUANTITIES",
    "Batch",
    "Decay",
    "EffectiveField",
    "GradientNorms",
    "Instrument",
    "LayerTrace",
    "Quantity",
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
    "gate_coupling",
    "gate_histograms",
    "gate_statistics",
    "gradient_norms",
    "gradient_profile",
    "half_life",
    "linear_decoding",
    "log10_condition_number",
    "lyapunov_spectrum",
    "measured_receptive_field",
    "omega",
    "product_singular_values",
    "profile_of",
    "reach",
    "recurrent_matrices",
    "register",
    "sensitivity",
    "step_factors",
    "theoretical_receptive_field",
    "touched",
    "trace",
    "windows_of",
]
