import numpy as np
import pytest

from keras_sparse.patterns import Channel

SCORES = np.array([[3.0, 1, 0], [4, 1, 5], [0, 1, 1]])


@pytest.mark.parametrize(("norm", "expected"), [("l2", [5, 3**0.5, 26**0.5]), ("l1", [7, 3, 6]), ("sum", [7, 3, 6])])
def test_norms(norm, expected):
    np.testing.assert_allclose(Channel(norm).pool(SCORES), expected)


def test_whole_output_channels():
    np.testing.assert_array_equal(Channel("l1").mask(SCORES, 0.5), np.array([[1, 0, 1]] * 3))
    np.testing.assert_array_equal(Channel("l2").mask(SCORES, 0.7), np.array([[0, 0, 1]] * 3))
    scores = np.random.default_rng(0).random((3, 3, 4, 10))
    mask = Channel().mask(scores, 0.25)
    assert mask.reshape(-1, 10).all(axis=0).sum() == 8
    assert (~mask).reshape(-1, 10).all(axis=0).sum() == 2
    weakest = np.argsort(np.sqrt((scores**2).sum(axis=(0, 1, 2))))[:2]
    assert not mask[..., weakest].any()


def test_never_all_channels():
    assert Channel().mask(np.ones((4, 3)), 0.999).any(axis=0).sum() == 1
    assert Channel().mask(np.ones((4, 1)), 0.999).all()


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_norm_would_lose_the_sign(norm):
    scores = np.array([[-5.0, 1.0], [-5.0, 1.0]])
    with pytest.raises(ValueError) as caught:
        Channel(norm).mask(scores, 0.5)
    assert str(caught.value) == (
        f"`scores` of Channel must be numbers >= 0 for the norm {norm!r}. Received: scores=-5.0. Take Channel('sum') "
        "for a criterion whose scores may be negative; for weights pass magnitudes."
    )
    np.testing.assert_array_equal(Channel("sum").mask(scores, 0.5), [[False, True]] * 2)


def test_squares_of_small_scores_do_not_vanish():
    np.testing.assert_allclose(Channel().pool(np.full((1, 2), [1e-30, 2e-30], "float32")), [1e-30, 2e-30])


def test_a_mask_can_be_written_to():
    mask = Channel().mask(SCORES, 0.5)
    mask[0, 0] = False
    assert mask[1, 0]
