"""Equal to rounding, and not."""

import keras
import numpy as np
import pytest

from keras_sparse.exports.comparison import compare, tolerance

OUTPUT = np.array([[100.0, -3.0], [0.5, 0.0]], "float32")


@pytest.mark.parametrize(
    ("change", "is_equal"), [(0.0, True), (0.009, True), (0.011, False), (np.nan, False), (np.inf, False)]
)
def test_differences_are_judged_by_the_largest_prediction(change, is_equal):
    found = OUTPUT.copy()
    found[1, 1] += change
    difference, verdict = compare([OUTPUT], [found], 1e-4)
    assert verdict is is_equal
    np.testing.assert_allclose(difference, change, rtol=1e-5)


def test_a_small_output_does_not_hide_behind_a_large_one():
    small = np.array([1e-3, 2e-3])
    assert compare([OUTPUT, small], [OUTPUT, small], 1e-4) == (0.0, True)
    assert compare([OUTPUT, small], [OUTPUT, small[::-1]], 1e-4)[1] is False


@pytest.mark.parametrize("found", [[OUTPUT, OUTPUT], [OUTPUT[:1]], []], ids=len)
def test_other_shapes_are_refused(found):
    with pytest.raises(ValueError, match="outputs have the shapes"):
        compare([OUTPUT], found, 1e-4)


def test_coarse_types_are_judged_coarsely():
    layers = keras.layers
    assert tolerance(keras.Sequential([layers.Dense(2)])) == 1e-4
    assert tolerance(keras.Sequential([layers.Dense(2), layers.Dense(2, dtype="mixed_bfloat16")])) == 5e-2
