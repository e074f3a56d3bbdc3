"""n of m: n is what is kept."""

import numpy as np
import pytest

from keras_sparse.patterns import NofM


def test_two_of_four_by_hand():
    """As tensorflow-model-optimization, which pads; each row holds the inputs of one output."""
    rows = np.array([[-0.49, -0.66, 0.42], [0.31, 0.63, -1.63]])
    np.testing.assert_array_equal(NofM(2, 4).mask(np.abs(rows.T), 0.5).T, [[1, 1, 0], [0, 1, 1]])


def test_n_is_the_number_that_is_kept():
    scores = np.arange(8.0)[:, None]
    np.testing.assert_array_equal(NofM(1, 4).mask(scores, 0.75)[:, 0], [0, 0, 0, 1, 0, 0, 0, 1])
    np.testing.assert_array_equal(NofM(3, 4).mask(scores, 0.25)[:, 0], [0, 1, 1, 1, 0, 1, 1, 1])


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (1, 4), (3, 4), (2, 3), (4, 8), (1, 16)])
@pytest.mark.parametrize("shape", [(32, 5), (19, 4), (3, 3, 21, 6), (1, 3), (2, 2, 3, 1)])
def test_at_its_sparsest_every_run_has_n(n, m, shape):
    scores = np.random.default_rng(0).integers(4, size=shape)
    mask = NofM(n, m).mask(scores, 1 - n / m)
    for start in range(0, shape[-2], m):
        run, its_scores = mask[..., start : start + m, :], scores[..., start : start + m, :]
        assert (run.sum(axis=-2) == min(n, run.shape[-2])).all()
        expected = np.zeros(run.shape, bool)
        order = np.argsort(-its_scores, axis=-2, kind="stable")[..., :n, :]
        np.put_along_axis(expected, order, True, axis=-2)
        np.testing.assert_array_equal(run, expected)
    if shape[-2] % m == 0:
        assert mask.mean() == pytest.approx(n / m)


def test_of_equal_scores_the_earlier_stay():
    np.testing.assert_array_equal(NofM(2, 4).mask(np.ones((8, 1)), 0.5)[:, 0], [1, 1, 0, 0] * 2)


def test_gradually_the_runs_that_lose_least_go_first():
    scores = np.array([[9.0, 8, 7, 6], [1, 9, 2, 9], [5, 5, 5, 5], [9, 0, 0, 9]]).reshape(16, 1)
    pattern = NofM(2, 4)
    np.testing.assert_array_equal(pattern.pool(scores)[:, 0], [13, 3, 10, 0])
    assert [pattern.groups_to_cut((16, 1), sparsity) for sparsity in (0, 0.12, 0.125, 0.25, 0.49, 0.5)] == [
        0,
        0,
        1,
        2,
        3,
        4,
    ]
    half = pattern.mask(scores, 0.25).reshape(4, 4)
    np.testing.assert_array_equal(half, [[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 1]])


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 8), (3, 11)])
def test_the_score_of_a_run_is_what_it_loses(n, m):
    scores = np.random.default_rng(2).random((2, 4 * m, 6))
    runs = np.sort(scores.reshape(2, 4, m, 6), axis=2)
    np.testing.assert_allclose(NofM(n, m).pool(scores), runs[:, :, : m - n].sum(axis=2))


def test_a_short_run_keeps_n_too():
    pattern = NofM(2, 4)
    scores = np.array([4.0, 3, 2, 1, 9, 1, 5])[:, None]
    np.testing.assert_array_equal(pattern.pool(scores), [[3], [1]])
    np.testing.assert_array_equal(pattern.mask(scores, 0.5)[:, 0], [1, 1, 0, 0, 1, 0, 1])
    # Two or one have nothing to lose.
    np.testing.assert_array_equal(pattern.pool(scores[:6]), [[3], [0]])
    np.testing.assert_array_equal(pattern.mask(scores[:6], 0.5)[:, 0], [1, 1, 0, 0, 1, 1])


def test_a_convolution_counts_input_channels_at_each_position():
    scores = np.random.default_rng(1).random((3, 2, 6, 5))
    mask = NofM(1, 4).mask(scores, 0.75)
    assert NofM(1, 4).group_shape(scores.shape) == (3, 2, 2, 5) == NofM(1, 4).pool(scores).shape
    for row in range(3):
        for column in range(2):
            np.testing.assert_array_equal(mask[row, column], NofM(1, 4).mask(scores[row, column], 0.75))


def test_scores_may_be_negative_or_infinite():
    scores = np.array([-1.0, -3, -np.inf, -2])[:, None]
    np.testing.assert_array_equal(NofM(2, 4).mask(scores, 0.5)[:, 0], [1, 0, 0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: NofM(2, 4).mask(np.ones((4, 4)), 0.51),
            "`sparsity` of NofM must be a number in [0, 0.5]. Received: sparsity=0.51. 2 of 4 are kept; lower",
        ),
        (
            lambda: NofM(1, 3).groups_to_cut((6, 6), 0.7),
            "`sparsity` of NofM must be a number in [0, 0.666667]. Received",
        ),
        (lambda: NofM(0, 4), "`n` of NofM must be an integer in [1, 3]. Received: n=0."),
        (
            lambda: NofM(4, 2),
            "`n` of NofM must be an integer in [1, 1]. Received: n=4. It is the number that is kept of 2",
        ),
        (lambda: NofM(1, 1), "`m` of NofM must be an integer >= 2. Received: m=1."),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_what_it_can_reach_is_said():
    assert NofM(2, 4).max_sparsity == 0.5
    assert NofM(1, 3).mask(np.ones((6, 2)), 2 / 3).mean() == pytest.approx(1 / 3)
