import numpy as np

from keras_sparse.criteria import Grasp


def test_by_hand():
    np.testing.assert_array_equal(Grasp().scores([1.0, -2.0, 2.0], [3.0, 0.5, 4.0]), [3, -1, 8])


def test_what_goes_first_is_what_holds_back_the_gradient():
    """A quadratic loss: a weight that shrinks a little changes the squared norm of the gradient as its score says."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    hessian, weights, pull = root @ root.T, rng.normal(size=6), 10 * rng.normal(size=6)

    def flow(w):
        return np.sum((hessian @ w - pull) ** 2)

    scores = Grasp().scores(weights, hessian @ (hessian @ weights - pull))
    epsilon = 1e-6
    change = [flow(weights * (1 - epsilon * (np.arange(6) == i))) - flow(weights) for i in range(6)]
    np.testing.assert_allclose(change, -2 * epsilon * scores, rtol=1e-3)
    # The paper removes the highest of -w * Hg: the weight without which the gradient is largest.
    assert scores.argmin() == np.argmax(change)
    assert scores.min() < 0 < scores.max()
