"""Exactly as many of the highest as wanted."""

import time
from fractions import Fraction

import numpy as np
import pytest

from keras_sparse.patterns import keep_highest, keep_highest_of
from keras_sparse.topologies.topology import count_to_cut


def by_sorting(scores, count):
    kept = np.zeros(scores.size, bool)
    kept[np.argsort(-scores.ravel(), kind="stable")[:count]] = True
    return kept.reshape(scores.shape)


@pytest.mark.parametrize("values", [1, 2, 5, 1000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_the_same_as_a_stable_sort(values, dtype):
    rng = np.random.default_rng(values)
    for _ in range(100):
        shape = tuple(rng.integers(1, 9, size=rng.integers(1, 4)))
        scores = (rng.integers(values, size=shape) - values // 2).astype(dtype)
        count = int(rng.integers(scores.size + 1))
        kept = keep_highest(scores, count)
        assert kept.dtype == bool
        assert kept.sum() == count
        np.testing.assert_array_equal(kept, by_sorting(scores, count))


def test_ties_go_by_position_in_c_order():
    np.testing.assert_array_equal(keep_highest(np.ones((2, 3)), 4), [[1, 1, 1], [1, 0, 0]])
    columns_first = np.asfortranarray(np.ones((2, 3)))
    np.testing.assert_array_equal(keep_highest(columns_first, 4), [[1, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(keep_highest(np.ones((3, 2)).T, 4), [[1, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(keep_highest(np.array([0.0, -0.0, 0.0]), 2), [1, 1, 0])


def test_none_all_and_infinite():
    scores = np.array([1.0, np.inf, -np.inf, np.inf, -np.inf])
    for count, kept in enumerate(
        ([0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 0, 1, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1])
    ):
        np.testing.assert_array_equal(keep_highest(scores, count), kept)


def test_scores_are_left_as_they_were():
    scores = np.random.default_rng(0).random(100)
    before = scores.copy()
    keep_highest(scores, 30)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("ties", [False, True])
def test_of_many(ties):
    """Selection, not a sort: compared with one on the same machine at the same time."""
    scores = np.random.default_rng(0).random(4_000_000).astype("float32")
    scores = np.round(scores, 1) if ties else scores
    started = time.process_time()
    expected = by_sorting(scores, 400_000)
    sorting = time.process_time() - started
    started = time.process_time()
    kept = keep_highest(scores, 400_000)
    selecting = time.process_time() - started
    np.testing.assert_array_equal(kept, expected)
    assert ties or selecting < sorting


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: keep_highest([1.0, np.nan], 1),
            "`scores` of keep_highest must be numbers that can be compared. Received",
        ),
        (lambda: keep_highest([], 0), "`scores` of keep_highest must be a non-empty array"),
        (lambda: keep_highest([1, 2], 3), "`count` of keep_highest must be an integer in [0, 2]. Received: count=3."),
        (lambda: keep_highest([1, 2], -1), "`count` of keep_highest must be an integer in [0, 2]. Received: count=-1."),
        (
            lambda: keep_highest([1, 2], 1.0),
            "`count` of keep_highest must be an integer in [0, 2]. Received: count=1.0.",
        ),
        (lambda: keep_highest_of([], 0), "`list_of_scores` of keep_highest_of must be a list of arrays. Received"),
        (lambda: count_to_cut(0, 0.5), "`count` of count_to_cut must be an integer >= 1. Received: count=0."),
        (
            lambda: count_to_cut(5, 1.0),
            "`sparsity` of count_to_cut must be a number in [0, 1). Received: sparsity=1.0.",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_several_arrays_in_one_ranking():
    rng = np.random.default_rng(5)
    for _ in range(100):
        arrays = [rng.integers(6, size=rng.integers(1, 6, size=rng.integers(1, 4))) for _ in range(rng.integers(1, 5))]
        count = int(rng.integers(sum(a.size for a in arrays) + 1))
        kept = keep_highest_of(arrays, count)
        assert [k.shape for k in kept] == [a.shape for a in arrays]
        together = by_sorting(np.concatenate([a.ravel() for a in arrays]), count)
        np.testing.assert_array_equal(np.concatenate([k.ravel() for k in kept]), together)


def test_arrays_of_several_kinds_are_compared_in_the_finer():
    close = np.array([1.0 + 1e-12, 1.0 + 3e-12])
    first, second = keep_highest_of([np.ones(1, "float32"), close], 1)
    assert not first[0]
    np.testing.assert_array_equal(second, [False, True])


def test_floor_of_what_was_meant():
    """The decimal that was written, times the count, rounded down; and the arithmetic of schedules is forgiven."""
    for thousandths in range(1000):
        for count in (1, 7, 100, 1000, 235_200, 25_000_000):
            exact = Fraction(thousandths, 1000) * count // 1
            assert count_to_cut(count, thousandths / 1000) == exact
            assert count_to_cut(count, 1 - (1000 - thousandths) / 1000) == exact
    assert count_to_cut(10_000, 0.8 + (0.2 - 0.8) * 0.8**3) == 4928  # 4927.999999999999
    assert count_to_cut(10, 0.200000018) == 2
    assert count_to_cut(5, 1 - 1e-12) == 4  # all are never cut
