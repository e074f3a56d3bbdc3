import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from keras_sparse.topologies.topology import distinct, units_kept


def test_units_kept_means_the_decimal_that_was_written():
    for hundredths in range(100):
        for units in (1, 2, 3, 10, 30, 64, 784, 1000):
            exact = math.ceil((1 - Fraction(hundredths, 100)) * units)
            assert units_kept(hundredths / 100, units) == exact, (hundredths, units)


def test_units_kept_is_never_none():
    assert units_kept(0.999999, 10) == 1


@pytest.mark.parametrize(("columns", "count"), [(1, 1), (7, 0), (7, 1), (7, 3), (7, 4), (7, 7), (50, 26), (1000, 5)])
def test_distinct_is_increasing_and_in_range(columns, count):
    drawn = distinct(np.random.default_rng(0), 40, columns, count)
    assert drawn.shape == (40, count)
    assert np.all(np.diff(drawn, axis=1) > 0)
    assert not count or (drawn.min() >= 0 and drawn.max() < columns)


@pytest.mark.parametrize("count", [2, 3], ids=["drawn", "left out"])
def test_distinct_draws_each_subset_equally_often(count):
    drawn = distinct(np.random.default_rng(1), 20_000, 5, count)
    _, seen = np.unique(drawn, axis=0, return_counts=True)
    assert len(seen) == math.comb(5, count)
    assert stats.chisquare(seen).pvalue > 1e-3


def test_distinct_beyond_32_bits():
    drawn = distinct(np.random.default_rng(0), 1, 10**12, 1000)
    assert drawn.dtype == np.int64
    assert drawn.max() > 2**32
