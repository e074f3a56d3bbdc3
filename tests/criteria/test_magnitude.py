import numpy as np

from keras_sparse.criteria import Magnitude


def test_by_hand():
    weights = np.array([[-3.0, 0.5], [0.0, -0.25]], "float32")
    scores = Magnitude().scores(weights)
    np.testing.assert_array_equal(scores, [[3, 0.5], [0, 0.25]])
    assert scores.dtype == np.float32
