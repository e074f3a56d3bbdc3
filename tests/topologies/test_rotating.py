import numpy as np

from keras_sparse.topologies import Rotating


def test_by_hand():
    expected = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [1, 0, 0, 1, 1], [1, 1, 0, 0, 1], [1, 1, 1, 0, 0]]
    np.testing.assert_array_equal(Rotating(out_degree=3)(6, 5), expected)


def test_outputs_are_regular_where_the_width_divides():
    assert set(Rotating(out_degree=3)(24, 8).sum(axis=0)) == {9}


def test_blocks_by_hand():
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    np.testing.assert_array_equal(Rotating(out_degree=1, block_size=2)(4, 4), expected)
