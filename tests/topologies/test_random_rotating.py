import math

import numpy as np
from scipy import stats

from keras_sparse.topologies import RandomRotating


def test_each_next_input_is_rotated_by_one():
    for seed in range(5):
        mask = RandomRotating(out_degree=4, seed=seed)(20, 11)
        for i in range(20):
            np.testing.assert_array_equal(mask[i], np.roll(mask[0], i))


def test_the_first_row_is_any_set_of_outputs():
    rows = [RandomRotating(out_degree=2, seed=seed)(1, 5)[0] for seed in range(2000)]
    _, seen = np.unique(rows, axis=0, return_counts=True)
    assert len(seen) == math.comb(5, 2)
    assert stats.chisquare(seen).pvalue > 1e-3


def test_outputs_are_regular_where_the_width_divides():
    assert set(RandomRotating(out_degree=3, seed=0)(24, 8).sum(axis=0)) == {9}
