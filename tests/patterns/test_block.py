import numpy as np
import pytest

from keras_sparse.patterns import Block


@pytest.mark.parametrize(
    ("pool", "weights"),
    [
        ("mean", [[0.1, 0.1, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2], [0.3, 0.3, 0.4, 0.4], [0.3, 0.3, 0.4, 0.4]]),
        ("max", [[0.1, 0.0, 0.2, 0.0], [0.0, -0.1, 0.0, -0.2], [0.3, 0.0, 0.4, 0.0], [0.0, -0.3, 0.0, -0.4]]),
    ],
)
def test_masks_of_tensorflow_model_optimization(pool, weights):
    mask = Block(2, 2, pool).mask(np.abs(weights), 0.5)
    np.testing.assert_array_equal(mask, [[0] * 4, [0] * 4, [1] * 4, [1] * 4])


SCORES = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, 14, 15]])


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("mean", [[3, 4.5], [9, 10.5], [13.5, 15]]),  # parts at the edges: the mean of what they hold
        ("sum", [[12, 9], [36, 21], [27, 15]]),
        ("max", [[5, 6], [11, 12], [14, 15]]),
    ],
)
def test_pools(pool, expected):
    np.testing.assert_array_equal(Block(2, 2, pool).pool(SCORES), expected)
    assert Block(2, 2, pool).group_shape(SCORES.shape) == (3, 2)


def test_height_counts_inputs_and_width_outputs():
    np.testing.assert_array_equal(Block(5, 1).pool(SCORES), [[7, 8, 9]])
    np.testing.assert_array_equal(Block(1, 3).pool(SCORES), [[2], [5], [8], [11], [14]])
    np.testing.assert_array_equal(Block(100, 100).pool(SCORES), [[8]])
    np.testing.assert_array_equal(Block(1, 1).pool(SCORES), SCORES)


def test_spread():
    kept = np.array([[True, False], [False, True], [True, True]])
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1], [1, 1, 1]]
    np.testing.assert_array_equal(Block(2, 2).spread(kept, SCORES), expected)


@pytest.mark.parametrize("pool", ["mean", "sum", "max"])
def test_a_convolution_has_blocks_at_each_position(pool):
    scores = np.random.default_rng(0).random((3, 2, 6, 9))
    pooled = Block(4, 2, pool).pool(scores)
    assert pooled.shape == (3, 2, 2, 5) == Block(4, 2).group_shape(scores.shape)
    for row in range(3):
        for column in range(2):
            np.testing.assert_allclose(pooled[row, column], Block(4, 2, pool).pool(scores[row, column]))
    mask = Block(4, 2, pool).mask(scores, 0.5)
    np.testing.assert_array_equal(mask, mask[:, :, [0, 0, 0, 0, 4, 4]][..., [0, 0, 2, 2, 4, 4, 6, 6, 8]])
    assert 0 < mask.mean() < 1
