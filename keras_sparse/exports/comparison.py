"""Whether two models predict the same."""

import keras
import numpy as np

# Rounding in a product of many terms, as a part of the largest prediction.
TOLERANCES = {"float16": 1e-2, "bfloat16": 5e-2}
TOLERANCE = 1e-4


def tolerance(model):
    """How far predictions of the same weights may be apart, as a part of the largest: by the coarsest type in a model.

    Example:
        >>> tolerance(keras.Sequential([keras.layers.Dense(3)]))
        0.0001
    """
    types = {keras.backend.standardize_dtype(layer.compute_dtype) for layer in model._flatten_layers()}
    return max((TOLERANCES.get(kind, TOLERANCE) for kind in types), default=TOLERANCE)


def compare(expected, found, tolerance):
    """Compares predictions, output by output.

    Args:
        expected: List of arrays of finite numbers.
        found: List of arrays.
        tolerance: Float, the part of an output's largest absolute value by which its values may differ.

    Returns:
        A pair: the largest absolute difference (NaN if there is one in `found`), and whether all is equal to rounding.

    Raises:
        ValueError: If numbers or shapes of outputs differ.

    Example:
        >>> compare([np.array([1.0, 2.0])], [np.array([1.0, 2.5])], tolerance=0.1)
        (0.5, False)
    """
    shapes = [[tuple(array.shape) for array in outputs] for outputs in (expected, found)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"The model's outputs have the shapes {shapes[0]}, those of the file {shapes[1]}.")
    differences, is_equal = [0.0], True
    for one, other in zip(expected, found, strict=True):
        one, other = one.astype("float64"), other.astype("float64")
        difference = float(np.max(np.abs(one - other), initial=0.0))
        differences.append(difference)
        is_equal &= difference <= tolerance * max(float(np.max(np.abs(one), initial=0.0)), 1e-6)  # NaN is not
    return float(np.max(differences)), bool(is_equal)
