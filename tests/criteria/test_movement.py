import numpy as np

from keras_sparse.criteria import Magnitude, Movement


def test_what_moves_away_from_zero_stays():
    weights = np.array([1.0, 1.0, -1.0, -1.0, 0.01])
    change = np.array([0.2, -0.2, -0.1, 0.1, 0.01])
    scores = Movement().scores(weights, weights * change)
    np.testing.assert_allclose(scores, [0.2, -0.2, 0.1, -0.1, 0.0001])


def test_a_small_weight_that_grows_beats_a_large_one_that_shrinks():
    path = np.array([[0.1, 5.0], [0.2, 4.0], [0.4, 3.0]])  # steps, weights
    movement = (path[:-1] * np.diff(path, axis=0)).sum(axis=0)
    assert Movement().scores(path[-1], movement).argmax() == 0
    assert Magnitude().scores(path[-1]).argmax() == 1


def test_with_gradient_descent_it_is_the_score_of_the_paper():
    """`S = -rate * sum(dL/dW * W)`, for a quadratic loss."""
    target, rate = np.array([2.0, 0.1, -1.0]), 0.1
    weights, sum_of_movement, paper = np.array([1.0, 1.0, 1.0]), 0, 0
    for _ in range(5):
        gradient = weights - target
        paper = paper - rate * gradient * weights
        after = weights - rate * gradient
        sum_of_movement = sum_of_movement + weights * (after - weights)
        weights = after
    np.testing.assert_allclose(Movement().scores(weights, sum_of_movement), paper)


def test_the_scores_are_no_view_of_what_is_still_summed():
    movement = np.array([1.0, 2.0])
    scores = Movement().scores(np.ones(2), movement)
    movement += 1
    np.testing.assert_array_equal(scores, [1, 2])
