import math
from itertools import pairwise

import numpy as np
import pytest

from keras_sparse.topologies import RadixNet, butterfly


def paths(masks):
    """Number of paths from each input of the first mask to each output of the last."""
    product = masks[0].astype(int)
    for mask in masks[1:]:
        product = product @ mask.astype(int)
    return product


@pytest.mark.parametrize(
    ("radices", "widths"),
    [
        ((2, 2, 2), None),
        ((2, 2, 2), (1, 1, 1, 1)),
        ((3, 4), (2, 5, 1)),
        ((2, 3, 5), (1, 2, 3, 1)),
        ((4, 2), (1, 1, 7)),
        ((6,), (2, 3)),
        ((2, 2, 2, 2, 2), None),
    ],
)
def test_equally_many_paths_between_all_pairs(radices, widths):
    nodes, copies = math.prod(radices), widths or (1,) * (len(radices) + 1)
    shapes = pairwise(nodes * copy for copy in copies)
    masks = [layer(*shape) for layer, shape in zip(RadixNet.chain(radices, widths), shapes, strict=True)]
    # One path through the digits for each choice of a copy in between.
    np.testing.assert_array_equal(
        paths(masks), np.full((nodes * copies[0], nodes * copies[-1]), math.prod(copies[1:-1]))
    )
    for mask, radix in zip(masks, radices, strict=True):
        assert mask.mean() == radix / nodes


def test_the_papers_first_example_is_75_percent_sparse():
    masks = [layer(8, 8) for layer in RadixNet.chain((2, 2, 2))]
    assert [mask.mean() for mask in masks] == [0.25] * 3
    for stride, mask in zip((1, 2, 4), masks, strict=True):
        for node in range(8):
            assert set(np.flatnonzero(mask[node])) == {node, (node + stride) % 8}


def test_lenet_300_100_at_90_percent():
    one, two = RadixNet.chain((10, 10), widths=(8, 3, 1))
    first, second = one(784, 300), two(300, 100)
    assert first.sum() == 784 * 300 / 10
    assert second.sum() == 300 * 100 / 10
    assert set(first.sum(axis=1)) == {30}
    # The last 16 of 800 inputs are left out.
    np.testing.assert_array_equal(first, one(800, 300)[:784])
    np.testing.assert_array_equal(paths([first, second]), np.full((784, 100), 3))


@pytest.mark.parametrize(
    ("sparsity", "inverse"),
    [(0.9, 10), (0.5, 2), (0.75, 4), (0.8, 5), (0.89, 9), (0.6, 3), (0.3, 2), (0.25, 2), (0, 1)],
)
@pytest.mark.parametrize("layer", [0, 1])
def test_sparsity_becomes_the_nearest_density_that_there_is(sparsity, inverse, layer):
    # Widths that all of the radices divide.
    mask = RadixNet(sparsity=sparsity, layer=layer)(inverse**2 * 4, inverse**2 * 2)
    assert mask.mean() == 1 / inverse
    assert len(set(mask.sum(axis=1))) == len(set(mask.sum(axis=0))) == 1


@pytest.mark.parametrize(("sparsity", "units"), [(0.9, 300), (0.75, 64), (0.5, 12)])
def test_two_layers_of_one_sparsity_have_equal_paths(sparsity, units):
    masks = [RadixNet(sparsity=sparsity, layer=layer)(units, units) for layer in (0, 1)]
    inverse = round(1 / (1 - sparsity))
    np.testing.assert_array_equal(paths(masks), np.full((units, units), units // inverse**2))


@pytest.mark.parametrize("units", [2, 4, 16, 64])
def test_a_butterfly_mixes_everything_with_two_connections_per_unit(units):
    masks = [layer(units, units) for layer in butterfly(units)]
    assert len(masks) == math.log2(units)
    for mask in masks:
        assert set(mask.sum(axis=0)) == set(mask.sum(axis=1)) == {2}
    np.testing.assert_array_equal(paths(masks), np.ones((units, units)))


def test_a_butterfly_of_blocks():
    one, two = RadixNet.chain((2, 2), block_size=3)
    np.testing.assert_array_equal(paths([one(12, 12), two(12, 12)]), np.full((12, 12), 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (RadixNet, "exactly one of the two must be given. Received: sparsity=None, radices=None"),
        (lambda: RadixNet(0.9, (2, 2)), "exactly one of the two"),
        (lambda: RadixNet(0.2), "`sparsity` of RadixNet must be 0, or a number in [0.25, 1). Received: sparsity=0.2"),
        (lambda: RadixNet(radices=()), "`radices` of RadixNet must be a tuple of integers"),
        (lambda: RadixNet(radices=8), "Write it as in (2, 2, 2)"),
        (lambda: RadixNet(radices=(2, 1)), "`radices` of RadixNet must be an integer >= 2. Received: radices=1"),
        (lambda: RadixNet(radices=(2, 2), widths=(1, 1)), "`widths` of RadixNet must be 3 integers"),
        (lambda: RadixNet(radices=(2, 2), widths=(1, 0, 1)), "Received: widths=0"),
        (lambda: RadixNet(radices=(2, 2), layer=2), "`layer` of RadixNet must be an integer in [0, 1]"),
        (lambda: RadixNet(radices=(2, 2), widths=(1, 1, 1))(5, 4), "wide enough for fan_in=5"),
        (lambda: RadixNet(radices=(2, 2), widths=(1, 1, 1))(4, 9), "raise the width of that side to 3"),
        (lambda: butterfly(12), "`units` of butterfly must be a power of two. Received: units=12"),
        (lambda: butterfly(1), "`units` of butterfly must be an integer >= 2"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)
