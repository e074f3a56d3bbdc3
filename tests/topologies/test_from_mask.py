import numpy as np
import pytest

from keras_sparse.topologies import FromMask


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (17, 3)])
def test_a_mask_survives_its_configuration(shape):
    mask = np.random.default_rng(0).random(shape) < 0.4
    again = FromMask.from_config(FromMask(mask).get_config())
    np.testing.assert_array_equal(again(*shape), mask)


def test_zeros_and_ones_in_lists_will_do():
    np.testing.assert_array_equal(FromMask([[1, 0], [0.0, 1.0]])(2, 2), np.eye(2, dtype=bool))


def test_the_mask_is_copied():
    mask = np.eye(3, dtype=bool)
    topology = FromMask(mask)
    mask[:] = False
    assert topology(3, 3).sum() == 3


def test_equal_masks_are_equal_whatever_they_were_made_from():
    assert FromMask(np.eye(3), seed=0) == FromMask(np.eye(3, dtype=bool).tolist(), seed=0)
    assert FromMask(np.eye(3), seed=0) != FromMask(np.ones((3, 3)), seed=0)


def test_the_printed_form_is_short():
    assert repr(FromMask(np.eye(300))) == "FromMask(<300 x 300, 300 connections>)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FromMask(np.eye(3))(4, 3), "the shape of the layer, (fan_in, fan_out) = (4, 3). Received: a mask of"),
        (lambda: FromMask([1, 0]), "`mask` of FromMask must be a boolean array (fan_in, fan_out)"),
        (lambda: FromMask(np.eye(4), block_size=2), "whole blocks of 2 x 2"),
        (lambda: FromMask(np.eye(4), block_size=3), "`block_size` of FromMask must be a divisor"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)
