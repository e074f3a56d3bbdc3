"""What the study of methods side by side computes, apart from training."""

import numpy as np
import pytest

from keras_sparse.analysis import profile
from keras_sparse.applications import CifarNet
from keras_sparse.datasets.loading import SOURCES
from keras_sparse.studies.beyond import METHODS, SPARSE, Beyond, contender, layer_densities

CIFAR = SOURCES["cifar10"]


def connected(method, budget, width=0.5):
    return profile(contender(method, budget, width, 16, 0, CIFAR)[0]).connected_parameters


@pytest.mark.parametrize("budget", [0.01, 0.1])
def test_budgets_are_equal(budget):
    reference = connected("expander", budget)
    assert connected("radix_net", budget) == pytest.approx(reference, rel=0.013)
    assert connected("sparse_aggregation", budget) == pytest.approx(reference, rel=0.01)


def test_a_radix_net_has_a_third_where_others_have_three_tenths():
    assert connected("radix_net", 0.3) / connected("expander", 0.3) == pytest.approx(1.1, abs=0.01)


def test_pruning_ends_with_the_expander_s_connections():
    model, verbs = contender("pruned", 0.03, 0.5, 16, 0, CIFAR)
    expander, _ = contender("expander", 0.03, 0.5, 16, 0, CIFAR)
    for name in SPARSE:
        kernel, sparsity = model.get_layer(name).kernel, verbs["prune"]["allocation"][name]
        assert round((1 - sparsity) * np.prod(kernel.shape)) == expander.get_layer(name).connected_weights
    assert set(verbs["prune"]["exclude"]) == {"conv1", "predictions"}


def test_set_and_rigl_begin_with_the_expander_s_graph():
    expander, verbs = contender("expander", 0.1, 0.25, 16, 5, CIFAR)
    assert verbs == {}
    for method, growth in (("set", "random"), ("rigl", "gradient")):
        model, verbs = contender(method, 0.1, 0.25, 16, 5, CIFAR)
        assert verbs["rewire"]["grow"] == growth
        for name in SPARSE:
            np.testing.assert_array_equal(model.get_layer(name).mask, expander.get_layer(name).mask)
            assert len(set(model.get_layer(name).mask.sum(axis=1))) == 1


def test_layer_densities():
    assert layer_densities(CifarNet(width=0.5), 0.01) == {"conv2": 1 / 32, "hidden1": 2 / 192, "hidden2": 1 / 96}


def test_findings_name_the_best_and_those_that_are_not_behind_it():
    rows = []
    for i, method in enumerate(("dense", *METHODS)):
        for seed in range(3):
            accuracy = 0.8 - 0.02 * i + 0.05 * seed + (0.02 + 0.01 * seed if method == "set" else 0)
            budget = 1.0 if method == "dense" else 0.1
            row = {"method": method, "budget": budget, "seed": seed, "accuracy": accuracy}
            rows.append({**row, "parameters": 110 if method == "radix_net" else 100})
    (line,) = Beyond("cpu").findings(rows)
    assert line.startswith(
        "10%: SET is ahead, -1.00 ± 0.58 points to the dense network; behind it, in points: magnitude"
    )
    assert "RadiX-Net (with 110% of the trained values) -" in line
    assert line.endswith("for each, it is not to be told from magnitude pruning.")
    under_way = [row for row in rows if row["seed"] == (row["method"] == "set")]  # of no seed both
    (line,) = Beyond("cpu").findings(under_way)
    assert "behind it, in points: none." in line
