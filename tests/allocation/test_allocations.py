"""How much of the sparsity each layer takes."""

import math

import numpy as np
import pytest

from keras_sparse import allocation
from keras_sparse.allocation.by_name import by_name
from keras_sparse.topologies.topology import count_to_cut

SHAPES = [(2, 4), (3, 6), (2, 4, 6)]
NETWORK = [(3, 3, 3, 64), (3, 3, 64, 128), (1, 1, 128, 256), (256, 10)]


@pytest.mark.parametrize(
    ("name", "sparsity", "expected"),
    [
        ("uniform", 0.5, [0.5, 0.5, 0.5]),
        ("erdos_renyi", 0.5, [0.2071, 0.4714, 0.5595]),
        ("erdos_renyi_kernel", 0.5, [0.0, 0.3095, 0.6548]),  # the first would need a density of 1.03
        # As in RigL's and JaxPruner's tests: zeros are counted whole in each layer, 6, 14 and 38 of 8, 18 and 48.
        ("erdos_renyi_kernel", 0.8, [0.5556, 0.7037, 0.8519]),
        ("erdos_renyi", 0.8, [0.6571, 0.7714, 0.8095]),
    ],
)
def test_by_hand(name, sparsity, expected):
    np.testing.assert_allclose(allocation.get(name)(SHAPES, sparsity), expected, atol=5e-5)


@pytest.mark.parametrize("name", allocation.ALLOCATIONS)
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.8, 0.95, 0.999])
def test_together_they_make_the_sparsity(name, sparsity):
    sparsities = allocation.get(name)(NETWORK, sparsity)
    assert all(0 <= s < 1 for s in sparsities)
    sizes = [math.prod(shape) for shape in NETWORK]
    cut = sum(s * size for s, size in zip(sparsities, sizes, strict=True))
    whole = sum(count_to_cut(size, sparsity) for size in sizes)
    assert cut == pytest.approx(sparsity * sum(sizes) if name == "uniform" else whole, rel=1e-9, abs=1e-6)


def test_a_larger_layer_is_sparser():
    small, large = allocation.get("erdos_renyi")([(10, 10), (1000, 1000)], 0.9)
    assert small < large
    # The kernel's own size counts in one of the two only.
    assert allocation.erdos_renyi([(3, 3, 8, 8), (1, 1, 8, 8)], 0.5) == pytest.approx([0.5, 0.5])
    tall, flat = allocation.erdos_renyi_kernel([(3, 3, 8, 8), (1, 1, 8, 8)], 0.5)
    assert tall > flat


def test_a_function_of_ones_own():
    assert allocation.get(lambda shapes, sparsity: [sparsity / 2 for _ in shapes])(SHAPES, 0.8) == [0.4] * 3


def test_by_name_the_first_pattern_that_matches_counts():
    names = ["conv1", "conv2", "hidden", "out"]
    assert by_name({"conv2": 0.1, "conv*": 0.8, "out": 0}, names, 0.9, "test") == [0.8, 0.1, 0.9, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: allocation.get("erdos"), "`allocation` of allocation.get must be one of 'erdos_renyi'"),
        *[
            (lambda one=one: one([], 0.5), f"`kernel_shapes` of {one.__name__} must be a list of one shape or more.")
            for one in (allocation.uniform, allocation.erdos_renyi, allocation.erdos_renyi_kernel)
        ],
        (
            lambda: by_name({"c": 0.5}, ["a", "b"], 0.0, "somebody"),
            "`allocation` of somebody must be a dictionary from",
        ),
        (lambda: by_name({"c": 0.5}, ["a", "b"], 0.0, "x"), "allocation={'c': 0.5}. These match no layer that can be"),
        (lambda: by_name({"a": 5}, ["a", "b"], 0.0, "x"), "allocation={'a': 5}. The layer 'a' would have 5. It is the"),
        (lambda: allocation.uniform([(4,)], 0.5), "`kernel_shapes` of uniform must be a list of shapes"),
        (lambda: allocation.erdos_renyi(SHAPES, 1.0), "`sparsity` of erdos_renyi must be a number in [0, 1)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
