"""What the study of random connections against narrow networks computes, apart from training."""

import math

import keras
import pytest

from keras_sparse.analysis import is_path_connected, profile
from keras_sparse.studies.convolutional_networks import build, convolution_counts
from keras_sparse.studies.sparse_random_vs_width import NETWORKS, TABLE_1, SparseRandomVsWidth, above_narrow, designs


@pytest.mark.parametrize(("network", "image_shape"), [("mnist_convnet", (28, 28, 1)), ("cifarnet", (32, 32, 3))])
def test_connections_of_sparse_and_narrow_networks_match(network, image_shape):
    for kept in (0.1, 0.3):
        sparse, narrow = (
            convolution_counts(profile(build(network, *design, 0, image_shape, 10)))[0]
            for design in ((kept, 1.0), (1.0, math.sqrt(kept)))
        )
        assert narrow == pytest.approx(sparse, rel=0.15)


def test_sparse_networks_have_the_rule_of_the_paper():
    model = build("cifarnet", 0.1, 1.0, 3, (32, 32, 3), 10)
    assert convolution_counts(profile(model)) == (25 * 64 * (1 + 7), 25 * 64 * (1024 + 256 * 7))
    assert model.get_layer("conv2").mask.sum(axis=0).tolist() == [7] * 64
    assert is_path_connected(model)
    assert type(model.get_layer("hidden1")) is keras.layers.Dense
    same, other = (build("cifarnet", 0.1, 1.0, seed, (32, 32, 3), 10) for seed in (3, 4))
    assert (same.get_layer("conv2").mask == model.get_layer("conv2").mask).all()
    assert not (other.get_layer("conv2").mask == model.get_layer("conv2").mask).all()


def test_full_networks_are_counted_without_weights():
    counted = {name: convolution_counts(profile(build(name))) for name in ("inception_v3", "vgg16n")}
    assert counted["inception_v3"] == (21_751_136, pytest.approx(5.71e9, rel=1e-3))
    assert counted["vgg16n"][0] == 14_710_464 + 9 * 512 * 1024


def test_every_row_of_table_1_is_a_piece():
    pieces = SparseRandomVsWidth("cpu").pieces().values()
    counted = [(p["kept"], p["multiplier"]) for p in pieces if p["network"] == "inception_v3"]
    assert counted == list(TABLE_1)
    assert len(TABLE_1) == 14
    trained = {p["network"] for p in SparseRandomVsWidth("full").pieces().values() if "data" in p}
    assert trained == set(NETWORKS)


def test_findings_compare_with_narrow_networks_of_the_same_size_and_seed():
    rows = []
    for kept, multiplier in designs("cifarnet", (0.01, 0.1)):
        for seed in range(3):
            row = dict.fromkeys(("printed_parameters", "printed_macs", "printed_accuracy"))
            row |= {"network": "cifarnet", "data": "cifar10", "kept": kept, "multiplier": multiplier, "seed": seed}
            # Narrow networks gain 0.1 with ten times as many parameters; a sparse one has twice as many multiply-adds.
            parameters = 10**6 * kept * multiplier**2
            accuracy = 0.5 + 0.1 * seed + 0.1 * math.log10(parameters / 10**6)
            accuracy += {0.01: 0.01 * seed, 0.1: 0.02 + 0.001 * seed}.get(kept, 0)
            rows.append({**row, "parameters": parameters, "macs": parameters * (1 + (kept < 1)), "accuracy": accuracy})
    assert above_narrow(rows, "parameters")[0.1] == pytest.approx([0.02, 0.021, 0.022])
    assert above_narrow(rows, "macs")[0.1] == pytest.approx([x - 0.1 * math.log10(2) for x in (0.02, 0.021, 0.022)])
    by_parameters, by_macs, _ = SparseRandomVsWidth("cpu").findings(rows)
    assert "+1.00 ± 0.58 at 1.0%, +2.10 ± 0.06 at 10.0%" in by_parameters
    assert by_parameters.endswith("sparse ones are better at 10.0%, worse at none.")
    assert "-0.91 ± 0.06 at 10.0%" in by_macs
    assert by_macs.endswith("sparse ones are better at none, worse at 10.0%.")
    assert above_narrow([row for row in rows if row["kept"] < 1], "macs") == {}
