import numpy as np
import pytest

from keras_sparse.criteria import SynFlow, Synflow


def test_by_hand():
    np.testing.assert_array_equal(SynFlow().scores([1.0, -2.0, 2.0], [3.0, 0.5, 0.0]), [3, 1, 0])


def test_every_layer_holds_the_same_flow():
    """The conservation law of the paper: the scores of each layer of a linear network sum to R."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
    a, b = np.abs(first), np.abs(second)
    flow = (np.ones(5) @ a @ b).sum()
    gradients = [np.outer(np.ones(5), b.sum(axis=1)), np.outer(a.sum(axis=0), np.ones(3))]
    for scores in SynFlow().scores_of([first, second], gradients):
        assert scores.sum() == pytest.approx(flow)
        assert (scores >= 0).all()


def test_the_density_falls_exponentially():
    criterion = SynFlow(rounds=3)
    assert [criterion.density_after(done, 0.001) for done in range(4)] == pytest.approx([1, 0.1, 0.01, 0.001])
    assert SynFlow().density_after(50, 0.01) == pytest.approx(0.1)
    assert SynFlow().density_after(100, 0.01) == 0.01


def test_rounds():
    assert SynFlow is Synflow
    assert SynFlow(rounds=5) != SynFlow(rounds=6)
    with pytest.raises(ValueError, match=r"`rounds` of Synflow must be an integer >= 1. Received: rounds=0"):
        SynFlow(rounds=0)
