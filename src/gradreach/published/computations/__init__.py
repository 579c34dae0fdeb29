"""What published numbers are compared with that takes no training: ``compute`` of a paper's file names a function here.

Each takes a seed and its arguments, by name, and returns numbers by name.
"""

from collections.abc import Callable

from gradreach.published.computations.cyclic_batches import mnist1d_gru
from gradreach.published.computations.first_lstm import first_lstm_adding, first_lstm_order
from gradreach.published.computations.maps import henon_exponents, saito_gradients
from gradreach.published.computations.receptive_fields import random_kernels, tcn_receptive_field, uniform_kernels
from gradreach.published.computations.spectra import chaotic_spectrum, spectrum_at_rest

FUNCTIONS: dict[str, Callable[..., dict[str, float]]] = {
    function.__name__: function
    for function in (
        chaotic_spectrum,
        first_lstm_adding,
        first_lstm_order,
        henon_exponents,
        mnist1d_gru,
        random_kernels,
        saito_gradients,
        spectrum_at_rest,
        tcn_receptive_field,
        uniform_kernels,
    )
}
