import numpy as np

from keras_sparse.criteria import Saliency


def test_by_hand():
    np.testing.assert_array_equal(Saliency().scores([1.0, -2.0, 3.0], [-4.0, 0.5, 0.0]), [4, 1, 0])


def test_it_is_how_the_loss_changes_when_a_weight_goes():
    """A loss that is linear in each weight, so that first order is exact."""
    weights = np.array([0.7, -1.2, 0.4])

    def loss(w):
        return w[0] * w[1] + 2 * w[2] * w[0] - w[1] * w[2]

    w0, w1, w2 = weights
    gradients = np.array([w1 + 2 * w2, w0 - w2, 2 * w0 - w1])
    without = [loss(weights * (np.arange(3) != i)) for i in range(3)]
    np.testing.assert_allclose(Saliency().scores(weights, gradients), np.abs(loss(weights) - without))
