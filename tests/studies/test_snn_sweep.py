"""What the studies of the SNN paper compute, apart from training."""

import numpy as np
import pytest
from scipy import stats

from keras_sparse.studies.snn_sweep import CONSTRUCTIONS, PUBLISHED, SnnSweep, stacked_network
from keras_sparse.studies.snn_topologies import SnnTopologies
from keras_sparse.studies.spreads import above, differs, rank_correlation, spread
from keras_sparse.topologies import NAMED


def test_the_six_constructions_of_the_paper():
    assert set(CONSTRUCTIONS) <= set(NAMED)
    assert len(CONSTRUCTIONS) == 6
    assert set(SnnSweep.scales["cpu"]["variants"]) == set(PUBLISHED)


@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_stacked_network(construction):
    sizes = (784, 500, 300, 10)
    one, again, other = (stacked_network(construction, 0.03, sizes, seed) for seed in (1, 1, 2))
    assert [(part.fan_in, part.fan_out) for part in one.layers] == [(784, 500), (500, 300), (300, 10)]
    if construction == "random_edge":
        assert one.layers[0].count == pytest.approx(784 * 15, rel=0.05)
    else:
        assert set(one.layers[0].out_degrees()) == {15}
        assert set(one.layers[1].out_degrees()) == {9}
    assert one.layers[2].count == 3000
    same = [np.array_equal(one.layers[0].inputs, some.layers[0].inputs) for some in (again, other)]
    assert same == [True, construction not in ("random_edge", "random_rotating", "expander")]
    assert stacked_network("dense", 1.0, sizes, 0).layers[0].count == 784 * 500


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 12, 40)
    y = x + rng.normal(size=40) * 4
    coefficient, low, high = rank_correlation(x, y)
    assert coefficient == pytest.approx(stats.spearmanr(x, y).statistic)
    # As in the paper by Bonett and Wright: sqrt((1 + r^2 / 2) / (n - 3)) on Fisher's scale.
    half = 1.96 * np.sqrt((1 + coefficient**2 / 2) / 37)
    assert (low, high) == pytest.approx(tuple(np.tanh(np.arctanh(coefficient) + np.array([-half, half]))))
    assert np.isnan(rank_correlation([1, 1, 1, 1, 1], [1, 2, 3, 4, 5])).all()


def test_findings_compare_with_the_dense_network_of_the_same_seed():
    rows = []
    for seed, dense in enumerate((0.5, 0.9)):
        rows.append({"variant": "784-300-10", "construction": "dense", "degree": 1.0, "seed": seed, "accuracy": dense})
        for i, construction in enumerate(CONSTRUCTIONS):
            better = 0.01 * i + 0.001 * seed
            rows.append(
                {
                    "variant": "784-300-10",
                    "construction": construction,
                    "degree": 0.1,
                    "seed": seed,
                    "accuracy": dense + better,
                }
            )
    best, above = SnnTopologies("cpu").findings(rows)
    assert "10.0%: fibonacci_rotating +5.05 ± 0.05, random_edge +0.05 ± 0.05" in best
    # Of random_edge it is one standard error only.
    assert above.endswith(
        "random_rotating at 10.0%, expander at 10.0%, rotating at 10.0%, long_short_rotating at 10.0%, "
        "fibonacci_rotating at 10.0%."
    )


def test_spread():
    mean, error = spread([1, 2, 3])
    assert (mean, error) == pytest.approx((2, stats.sem([1, 2, 3])))
    assert spread([4]) == (4, 0)


def test_above_compares_pairs():
    others = [{"seed": seed, "accuracy": accuracy} for seed, accuracy in ((0, 0.5), (1, 0.9), (2, 0.1))]
    rows = [{"seed": seed, "accuracy": accuracy} for seed, accuracy in ((0, 0.6), (1, 1.0), (7, 0.3))]
    assert above(rows, others, "seed") == pytest.approx((0.1, 0))
    assert above(rows[2:], others, "seed") is None


def test_differs_is_students_test():
    for values in ([0.01, 0.02, 0.03], [0.01, 0.02, 0.021], [0.02, 0.022], [-3, -2.5, -2, -2.8]):
        assert differs(values) == (stats.ttest_1samp(values, 0).pvalue < 0.05)
    assert [differs([0.01, 0.02, 0.03]), differs([0.02, 0.022, 0.021]), differs([1]), differs([])] == [0, 1, 0, 0]
