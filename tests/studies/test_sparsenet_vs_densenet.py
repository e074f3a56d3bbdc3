"""Pairs of SparseNet and DenseNet: what is printed of them, and how they are compared."""

import pytest

from keras_sparse.studies import STUDIES
from keras_sparse.studies.sparsenet_vs_densenet import (
    NETWORKS,
    PRINTED,
    SIZES,
    accuracy_gaps,
    configuration,
    printed_ratio,
    time_ratio,
)


def row(network, seed=None, accuracy=None, seconds=None):
    return {"network": network, "seed": seed, "accuracy": accuracy, "seconds": seconds}


def test_every_printed_accuracy_has_a_printed_size():
    assert {
        (dataset, name, network) for dataset in PRINTED for name in PRINTED[dataset] for network in NETWORKS
    } == set(SIZES)
    assert len(SIZES) == 28
    assert SIZES["cifar100", "BC 100, k=16,32,64", "densenet"].parameters == 7.8639


def test_names_of_pairs():
    assert configuration({"depth": 40, "growth_rate": 12, "bottleneck": True}) == "BC 40, k=12"
    assert configuration({"depth": 100, "growth_rate": [16, 32, 64]}) == "100, k=16,32,64"


def test_sparsenet_is_compared_with_densenet_of_the_same_seed():
    rows = [
        row("sparsenet", seconds=3.0), row("densenet", seconds=4.0),
        row("densenet", 1, 0.5), row("sparsenet", 0, 0.75), row("sparsenet", 1, 0.25), row("densenet", 0, 0.5),
    ]  # fmt: skip
    assert time_ratio(rows) == 0.75
    assert time_ratio(rows[2:]) is None
    assert sorted(accuracy_gaps(rows)) == [-0.25, 0.25]
    assert accuracy_gaps(rows[:2]) == []
    assert printed_ratio("cifar10", "100, k=24") == pytest.approx(0.141, abs=5e-4)
    assert printed_ratio("cifar10", "BC 100, k=64") is None


def test_full_is_all_pairs_of_both_data_sets():
    study = STUDIES.lookup("sparsenet_vs_densenet", "test")("full")
    assert len([piece for piece in study.pieces() if piece.endswith("times")]) == 14
    assert len([piece for piece in study.pieces() if piece.endswith("seed 0")]) == 14
