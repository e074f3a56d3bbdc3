"""What the studies of the SNN paper compute, apart from training."""

import numpy as np
import pytest

from keras_sparse.studies.snn_sweep import CONSTRUCTIONS, PUBLISHED, STANDARDIZED, VARIANTS, SnnSweep, stacked_network
from keras_sparse.studies.snn_topologies import SnnTopologies
from keras_sparse.topologies import NAMED


def test_the_six_constructions_of_the_paper():
    assert set(CONSTRUCTIONS) <= set(NAMED)
    assert len(CONSTRUCTIONS) == 6
    assert set(SnnSweep.scales["cpu"]["variants"]) == {*PUBLISHED, STANDARDIZED}
    assert {VARIANTS[name].pixels for name in PUBLISHED} == {"raw"}


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
    # Of random_edge one seed is as good as dense.
    assert above.endswith(
        "random_rotating at 10.0%, expander at 10.0%, rotating at 10.0%, long_short_rotating at 10.0%, "
        "fibonacci_rotating at 10.0%."
    )
