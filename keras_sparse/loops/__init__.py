"""Equal units as one loop over packed weights: what a block of thousands needs, so that its graph does not grow.

`PackedUnits` says where the weights of a unit lie, `Unit` computes one and its gradient, `BlockLoop` runs them all.
What differs between backends (how outputs are kept, how a loop is written, how a gradient is replaced) are the
functions in the file of the backend.
"""

import importlib

import keras

from keras_sparse.aggregation import Concat, Mean, Sum
from keras_sparse.loops.segments import segments

OPERATORS = (Concat, Mean, Sum)  # whose gradients are written here
DEEP = 40  # units of a block
OWN = ("jax", "tensorflow", "torch")


def backend():
    """The module with this backend's stores, loops and gradients."""
    name = keras.backend.backend()
    return importlib.import_module(f"keras_sparse.loops.{name if name in OWN else 'plain'}")


def pays(pattern, operator, units):
    """Whether a block is better run as loops, by what was measured: it is deep, and few graphs do for its units.

    Args:
        pattern: `Pattern`.
        operator: `Operator`.
        units: Integer, number of units.
    """
    if units < DEEP or type(operator) not in OPERATORS or not backend().loops_pay():
        return False
    parts = segments(pattern, operator, 1, units, apart=isinstance(operator, Concat))
    return 2 * len(parts) < units
