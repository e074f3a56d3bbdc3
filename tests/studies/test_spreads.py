"""Means over seeds, and how far they are to be trusted."""

import numpy as np
import pytest
from scipy import stats

from keras_sparse.studies.spreads import differs, paired, rank_correlation, spread


def test_spread():
    mean, error = spread([1, 2, 3])
    assert (mean, error) == pytest.approx((2, stats.sem([1, 2, 3])))
    assert spread([4]) == (4, 0)


def test_pairs_are_of_the_same_seed():
    others = [{"seed": seed, "accuracy": accuracy} for seed, accuracy in ((0, 0.5), (1, 0.8), (1, 1.0), (2, 0.1))]
    rows = [{"seed": seed, "accuracy": accuracy} for seed, accuracy in ((0, 0.6), (1, 1.0), (7, 0.3))]
    assert paired(rows, others) == pytest.approx([0.1, 0.1])
    assert paired(rows[2:], others) == []
    assert paired(rows[:1], others, "seed", column="seed") == [0]


def test_differs_is_students_test():
    for values in ([0.01, 0.02, 0.03], [0.01, 0.02, 0.021], [0.02, 0.022], [-3, -2.5, -2, -2.8]):
        assert differs(values) == (stats.ttest_1samp(values, 0).pvalue < 0.05)
    assert [differs([0.01, 0.02, 0.03]), differs([0.02, 0.022, 0.021]), differs([1]), differs([])] == [0, 1, 0, 0]


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 12, 40)
    y = x + rng.normal(size=40) * 4
    coefficient, low, high = rank_correlation(x, y)
    assert coefficient == pytest.approx(stats.spearmanr(x, y).statistic)
    # As in the paper by Bonett and Wright: sqrt((1 + r^2 / 2) / (n - 3)) on Fisher's scale.
    half = 1.96 * np.sqrt((1 + coefficient**2 / 2) / 37)
    assert (low, high) == pytest.approx(tuple(np.tanh(np.arctanh(coefficient) + np.array([-half, half]))))
    assert np.isnan(rank_correlation([1, 1, 1, 1, 1], [1, 2, 3, 4, 5])).all()
