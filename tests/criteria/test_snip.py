import numpy as np

from keras_sparse.criteria import Snip


def test_by_hand():
    np.testing.assert_allclose(Snip().scores([1.0, -2.0, 0.0], [3.0, 0.5, 9.0]), [0.75, 0.25, 0])


def test_the_sum_is_that_of_all_kernels():
    weights = [np.ones((2, 2)), np.full(3, -2.0)]
    gradients = [np.full((2, 2), 0.5), np.array([1.0, 0.0, 3.0])]
    first, second = Snip().scores_of(weights, gradients)
    np.testing.assert_allclose(first, np.full((2, 2), 0.05))
    np.testing.assert_allclose(second, [0.2, 0, 0.6])


def test_no_gradient_at_all():
    np.testing.assert_array_equal(Snip().scores([1.0, 2.0], [0.0, 0.0]), [0, 0])
