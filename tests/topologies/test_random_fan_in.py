import math

import numpy as np
from scipy import stats

from keras_sparse.topologies import RandomFanIn


def test_each_set_of_inputs_is_equally_likely():
    for in_degree in (2, 4):  # drawn, and drawn by what is left out
        mask = RandomFanIn(in_degree=in_degree, seed=0)(6, 15_000)
        codes = (1 << np.arange(6)) @ mask
        _, seen = np.unique(codes, return_counts=True)
        assert len(seen) == math.comb(6, in_degree)
        assert stats.chisquare(seen).pvalue > 1e-3


def test_outputs_differ_from_one_another():
    mask = RandomFanIn(in_degree=8, seed=0)(64, 100)
    assert len(np.unique(mask, axis=1).T) == 100
