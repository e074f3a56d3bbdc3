"""Budgets of connections: RadiX-Nets, their twins, and the dense network that they are compared with."""

import numpy as np
import pytest

from keras_sparse.analysis import is_path_connected, profile
from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.studies.radix_designs import build, designs
from keras_sparse.studies.radix_nets import RadixNets
from keras_sparse.topologies import RadixNet

CASES = [
    (network, *change)
    for network in ("lenet_300_100", "lenet5")
    for _, *change in designs(network, ("RadiX-Net",), (2, 10, 20, 100), (2, 10, 100))
]


def counts(*design):
    return [layer.connections.count for layer in sparse_layers(build(*design, seed=0))]


@pytest.mark.usefixtures("shapes_only")
@pytest.mark.parametrize(("network", "fixed", "factor"), CASES)
def test_budgets(network, fixed, factor):
    radix = counts(network, "mnist", "RadiX-Net", fixed, factor)
    random = counts(network, "mnist", "random", fixed, factor)
    dense = [784 * 300, 300 * 100] if network == "lenet_300_100" else [20 * 50, 800 * 500]
    wanted = [count / factor for count in dense] if fixed == "units" else dense
    if network == "lenet5" and factor == 100:
        wanted[0] = 50 if fixed == "units" else 5000  # one channel for each filter
    assert radix == pytest.approx(wanted, rel=0.01)
    for count, twin in zip(radix, random, strict=True):
        assert abs(count - twin) < 4 * np.sqrt(count)


def test_the_radix_nets_that_the_paper_prints():
    for design, chain in (
        (("units", 10), RadixNet.chain((10, 10), (8, 3, 1))),
        (("784-3000-100-10", 10), RadixNet.chain((10, 10), (8, 30, 1))),
    ):
        model = build("lenet_300_100", "mnist", "RadiX-Net", *design, seed=0)
        for layer, topology in zip(sparse_layers(model), chain, strict=True):
            np.testing.assert_array_equal(layer.mask, topology(*layer.mask.shape))


def test_networks_by_seed_and_format():
    one, again, other = (build("lenet5", "digits", "random", "units", 2, seed) for seed in (1, 1, 2))
    masks = [sparse_layers(model)[0].mask for model in (one, again, other)]
    assert [np.array_equal(masks[0], mask) for mask in masks] == [True, True, False]
    kernels = [np.asarray(model.get_layer("conv1").get_weights()[0]) for model in (one, again, other)]
    assert [np.array_equal(kernels[0], kernel) for kernel in kernels] == [True, True, False]
    assert is_path_connected(build("lenet5", "digits", "RadiX-Net", "units", 10, seed=0))
    largest = build("lenet5", "mnist", "RadiX-Net", "connections", 100, seed=0)
    assert {layer.format for layer in sparse_layers(largest)} == {"compact"}
    assert profile(largest).stored_parameters < 2_000_000 < 4_000_000_000 < profile(largest).dense_parameters


def test_pieces_of_the_paper():
    pieces = RadixNets("full").pieces()
    assert len(pieces) == 5 * (2 * (1 + 2 * 7) + (1 + 2 * 8))
    groups = {(how["network"], how["dataset"]) for how in RadixNets("full").settings["groups"]}
    assert groups == {("lenet_300_100", "mnist"), ("lenet5", "mnist"), ("lenet5", "cifar10")}


def test_findings_are_differences_of_pairs():
    def row(kind, fixed, factor, seed, accuracy, memory=None):
        return {
            "network": "lenet5", "dataset": "mnist", "kind": kind, "fixed": fixed, "factor": factor, "seed": seed,
            "parameters": 1000, "dense parameters": 2**30, "memory": memory, "accuracy": accuracy,
        }  # fmt: skip

    rows = [row("dense", "units", 1, seed, 0.9 - 0.1 * seed) for seed in (0, 1)]
    rows += [row("RadiX-Net", "units", 2, seed, 0.89 - 0.1 * seed) for seed in (0, 1)]
    rows += [row("random", "units", 2, seed, 0.88 - 0.12 * seed) for seed in (0, 1)]
    rows += [row("RadiX-Net", "connections", 100, 0, 0.95, memory=0.5)]
    lines = RadixNets("cpu").findings(rows)
    assert (
        "with its units: RadiX-Net 1/2 of the connections -1.00, random 1/2 of the connections -3.00 ± 1.00."
        in lines[1]
    )
    assert "with its connections: RadiX-Net 100 x the units +5.00." in lines[2]
    assert "RadiX-Nets above random twins +2.00 ± 1.00 points" in lines[3]
    assert "0.50 GiB to train; dense kernels would have 1,073,741,824, and take 12 GiB" in lines[4]
