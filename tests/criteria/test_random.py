import numpy as np
import pytest

from keras_sparse.criteria import Random


def test_drawn_from_the_generator_alone():
    weights = np.zeros((40, 50))
    one, same, other = (Random().scores(weights, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_uniform_and_without_ties():
    scores = Random().scores(np.zeros(20_000), rng=np.random.default_rng(0))
    assert len(np.unique(scores)) == 20_000
    counts, _ = np.histogram(scores, bins=10, range=(0, 1))
    assert counts.sum() == 20_000
    assert np.abs(counts - 2000).max() < 200


def test_kernels_draw_one_after_the_other():
    first, second = Random().scores_of([np.zeros(8), np.zeros(8)], rng=np.random.default_rng(0))
    assert not np.array_equal(first, second)


def test_without_a_generator():
    with pytest.raises(ValueError, match=r"`rng` of Random must be a numpy.random.Generator. Received: rng=None. Pass"):
        Random().scores(np.zeros(3))
