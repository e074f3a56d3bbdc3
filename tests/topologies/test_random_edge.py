import math

import numpy as np
import pytest
from scipy import stats

from keras_sparse.topologies import RandomEdge


@pytest.mark.parametrize("shape", [(100, 100), (300, 20), (1, 5000), (784, 300)])
@pytest.mark.parametrize("arguments", [{"sparsity": 0.9}, {"sparsity": 0.3}, {"out_degree": 2}, {"out_degree": 0.5}])
def test_the_count_is_within_five_sigma(shape, arguments):
    p = arguments["out_degree"] / shape[1] if "out_degree" in arguments else 1 - arguments["sparsity"]
    pairs = shape[0] * shape[1]
    for seed in range(3):
        count = RandomEdge(**arguments, seed=seed).connections(*shape).count
        assert abs(count - p * pairs) < 5 * math.sqrt(pairs * p * (1 - p))


@pytest.mark.parametrize("p", [0.3, 0.6])
def test_pairs_are_independent(p):
    """The 16 masks of a 2 x 2 layer come with the probabilities of four independent coins."""
    draws = 4000
    bits = np.array([1, 2, 4, 8])
    codes = [int(RandomEdge(sparsity=1 - p, seed=seed)(2, 2).ravel() @ bits) for seed in range(draws)]
    ones = np.array([code.bit_count() for code in range(16)])
    seen = np.bincount(codes, minlength=16)
    assert stats.chisquare(seen, draws * p**ones * (1 - p) ** (4 - ones)).pvalue > 1e-3


def test_degrees_vary():
    assert len(set(RandomEdge(sparsity=0.9, seed=0)(100, 100).sum(axis=1))) > 5


@pytest.mark.parametrize("degree", [0, -1, "2", True])
def test_a_degree_that_is_no_number(degree):
    with pytest.raises(ValueError, match="`out_degree` of RandomEdge must be a number"):
        RandomEdge(out_degree=degree)


def test_a_degree_that_is_too_large():
    with pytest.raises(ValueError, match=r"in \[1, fan_out\]. Received: out_degree=9.0, fan_out=8"):
        RandomEdge(out_degree=9)(8, 8)
