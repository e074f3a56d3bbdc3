import numpy as np
import pytest
from scipy import sparse

from keras_sparse.topologies import Connections

MASK = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)


def test_by_hand():
    connections = Connections.from_mask(MASK)
    np.testing.assert_array_equal(connections.inputs, [0, 2, 2, 0, 1])
    np.testing.assert_array_equal(connections.outputs, [0, 0, 1, 2, 2])
    assert (connections.fan_in, connections.fan_out, connections.block_size) == (4, 3, 1)
    assert len(connections) == connections.count == 5
    assert connections.sparsity == 1 - 5 / 12
    np.testing.assert_array_equal(connections.in_degrees(), [2, 1, 2])
    np.testing.assert_array_equal(connections.out_degrees(), [2, 1, 2, 0])
    np.testing.assert_array_equal(connections.mask(), MASK)


def test_blocks_by_hand():
    connections = Connections.from_mask(np.kron(MASK, np.ones((2, 2))), block_size=2)
    np.testing.assert_array_equal(connections.inputs, [0, 2, 2, 0, 1])
    assert (connections.fan_in, connections.fan_out, len(connections), connections.count) == (8, 6, 5, 20)
    assert connections.sparsity == 1 - 5 / 12
    np.testing.assert_array_equal(connections.in_degrees(), [4, 4, 2, 2, 4, 4])
    np.testing.assert_array_equal(connections.out_degrees(), [4, 4, 2, 2, 4, 4, 0, 0])
    one = connections.unblocked()
    assert (len(one), one.block_size) == (20, 1)
    np.testing.assert_array_equal(one.mask(), connections.mask())
    assert one.unblocked() is one


def test_pairs_come_in_any_order():
    connections = Connections.from_pairs([1, 0, 2, 2, 0], [2, 2, 1, 0, 0], 4, 3)
    np.testing.assert_array_equal(connections.mask(), MASK)
    np.testing.assert_array_equal(connections.outputs, [0, 0, 1, 2, 2])
    assert connections.inputs.dtype == connections.outputs.dtype == np.int32


def test_no_connection_at_all():
    none = np.zeros(0, dtype=int)
    for connections in (Connections.from_mask(np.zeros((3, 2))), Connections.from_pairs(none, none, 3, 2)):
        assert connections.count == 0
        assert connections.sparsity == 1
        assert not connections.mask().any()
        np.testing.assert_array_equal(connections.in_degrees(), [0, 0])


@pytest.mark.parametrize("block_size", [1, 2])
def test_scipy_sees_the_same_matrix(block_size):
    mask = np.kron(MASK, np.ones((block_size, block_size))).astype(bool)
    matrix = Connections.from_mask(mask, block_size).to_scipy()
    assert isinstance(matrix, sparse.csc_array)
    np.testing.assert_array_equal(matrix.toarray(), mask)


def test_random_masks_round_trip():
    rng = np.random.default_rng(0)
    for _ in range(30):
        block_size = int(rng.integers(1, 4))
        blocks = rng.random(rng.integers(1, 12, size=2)) < rng.random()
        mask = np.kron(blocks, np.ones((block_size, block_size))).astype(bool)
        connections = Connections.from_mask(mask, block_size)
        np.testing.assert_array_equal(connections.mask(), mask)
        np.testing.assert_array_equal(connections.in_degrees(), mask.sum(axis=0))
        np.testing.assert_array_equal(connections.out_degrees(), mask.sum(axis=1))
        np.testing.assert_array_equal(connections.unblocked().inputs, Connections.from_mask(mask).inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Connections.from_pairs([0, 0], [1, 1], 4, 3), "inside 4 x 3. Received: 2 pairs, some pair twice"),
        (lambda: Connections.from_pairs([4], [0], 4, 3), "Received: 1 pairs, some of them outside"),
        (lambda: Connections.from_pairs([-1], [1], 4, 3), "some of them outside"),
        (lambda: Connections.from_pairs([0], [3], 4, 3), "some of them outside"),
        (lambda: Connections.from_pairs([0], [-1], 4, 3), "some of them outside"),
        (lambda: Connections.from_pairs([2], [0], 4, 4, 2), "inside 2 x 2"),
        (lambda: Connections.from_mask([1, 0]), "must be a boolean array (fan_in, fan_out), True = connected"),
        (lambda: Connections.from_mask([[1, 2]]), "Received: an array of shape (1, 2) and type int64"),
        (lambda: Connections.from_mask(np.ones((0, 3))), "Received: an array of shape (0, 3)"),
        (lambda: Connections.from_mask(np.full((2, 2), np.nan)), "Pass zeros and ones"),
        (lambda: Connections.from_mask(np.eye(4), 2), "whole blocks of 2 x 2. Received: a mask with partly connected"),
        (lambda: Connections.from_mask(np.ones((4, 6)), 4), "a divisor of both fan_in=4 and fan_out=6"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)
