"""Sparse twins of models that exist: connections, sparsity, allocation."""

import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.layers import MaskedDense
from keras_sparse.layers.sparse_kernel import SparseKernel
from sparsified import perceptron, sequential
from tensors import numpy


def test_weights_that_stay_connected_are_kept_and_the_model_is_not_touched():
    model = perceptron()
    before = [w.copy() for w in model.get_weights()]
    sparse = ks.sparsify(model, 0.5, seed=3)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for layer in model.layers:
        twin = sparse.get_layer(layer.name)
        assert type(twin) is MaskedDense
        assert twin.activation is layer.activation
        np.testing.assert_array_equal(twin.dense_kernel(), numpy(layer.kernel) * twin.mask)
        np.testing.assert_array_equal(numpy(twin.bias), numpy(layer.bias))


def test_same_seed_same_masks_and_layers_differ():
    model = perceptron((16, 16, 16))
    masks = [[layer.mask for layer in ks.sparsify(model, 0.7, seed=seed).layers] for seed in (1, 1, 2)]
    assert all(np.array_equal(a, b) for a, b in zip(masks[0], masks[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(masks[0], masks[2], strict=True))
    assert not np.array_equal(masks[0][1], masks[0][2])


def test_no_seed_draws_one():
    model = perceptron()
    masks = [ks.sparsify(model, 0.7).layers[0].mask for _ in range(2)]
    assert not np.array_equal(*masks)


@pytest.mark.parametrize("topology", ks.topologies.NAMED)
@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.98])
def test_no_dead_filters_with_any_topology(topology, sparsity):
    model = ks.applications.SparseNet(16, 6, bottleneck=True, input_shape=(16, 16, 3))
    sparse = ks.sparsify(model, sparsity, topology=topology, exclude="last", seed=2)
    assert ks.analysis.is_path_connected(sparse)
    assert np.isfinite(numpy(sparse(np.ones((1, 16, 16, 3), "float32")))).all()


def test_a_topology_object_brings_its_degree():
    sparse = ks.sparsify(perceptron(), None, topology=ks.topologies.RandomFanIn(in_degree=3, seed=9), seed=1)
    assert [layer.mask.sum(axis=0).tolist() for layer in sparse.layers[:1]] == [[3] * 32]
    assert len({layer.seed for layer in sparse.layers}) == 3


def test_first_layer_that_stays_dense_is_read_whole():
    # 40 units stay dense, and 12 readers of one input each cannot read them all: some must read more.
    model = perceptron((40, 12))
    sparse = ks.sparsify(model, 0.97, exclude="first", seed=0)
    assert type(sparse.layers[0]) is layers.Dense
    assert ks.analysis.is_path_connected(sparse)
    assert sparse.layers[1].mask.any(axis=1).all()


def test_connections_of_unread_filters_move_to_others():
    # 10 filters of one input each read 10 of 64 units: the 64 * 2 connections before crowd into these.
    model = perceptron((64, 10))
    sparse = ks.sparsify(model, None, allocation={"hidden_0": 0.9, "hidden_1": 0.99}, seed=0)
    first, second = sparse.layers[0].mask, sparse.layers[1].mask
    assert second.sum() == 10
    assert first.sum() == 64 * 2
    assert np.array_equal(first.any(axis=0), second.any(axis=1))


def test_blocks():
    model = perceptron((32, 16))
    sparse = ks.sparsify(model, 0.75, block_size=4, exclude=["top"], seed=0)
    assert ks.analysis.is_path_connected(sparse)
    for layer in sparse.layers[:2]:
        blocks = layer.mask.reshape(layer.mask.shape[0] // 4, 4, -1, 4)
        assert np.array_equal(blocks.any(axis=(1, 3)), blocks.all(axis=(1, 3)))


def test_compact_at_once():
    sparse = ks.sparsify(perceptron(), 0.8, format="compact", seed=4)
    masked = ks.sparsify(perceptron(), 0.8, seed=4)
    for one, other in zip(sparse.layers, masked.layers, strict=True):
        assert one.format == "compact"
        np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize(
    ("exclude", "dense"),
    [
        (None, []),
        ("first", ["hidden_0"]),
        ("last", ["top"]),
        (["first", "last"], ["hidden_0", "top"]),
        ("hidden_*", ["hidden_0", "hidden_1"]),
        (["hidden_1", "top"], ["hidden_1", "top"]),
        ([layers.InputLayer, "top"], ["top"]),
    ],
    ids=str,
)
def test_exclude(exclude, dense):
    sparse = ks.sparsify(perceptron(), 0.5, exclude=exclude)
    assert [layer.name for layer in sparse.layers if type(layer) is layers.Dense] == dense


def test_exclude_a_layer_itself():
    model = perceptron()
    assert type(ks.sparsify(model, 0.5, exclude=model.layers[1]).layers[1]) is layers.Dense


def test_allocations():
    model = perceptron((64, 32))
    shapes = [layer.kernel.shape for layer in model.layers]
    for name in ks.allocation.ALLOCATIONS:
        wanted = ks.allocation.get(name)(shapes, 0.8)
        sparse = ks.sparsify(model, 0.8, allocation=name, topology="random_edge", seed=0)
        got = [1 - layer.mask.mean() if isinstance(layer, SparseKernel) else 0 for layer in sparse.layers]
        np.testing.assert_allclose(got, wanted, atol=0.08)
    by_pattern = ks.sparsify(model, 0.5, allocation={"hidden_0": 0.9, "hidden_*": 0.75})
    assert [layer.sparsity for layer in by_pattern.layers] == [0.9, 0.75, 0.5]
    only = ks.sparsify(model, None, allocation={"hidden_1": 0.75})
    assert [type(layer).__name__ for layer in only.layers] == ["Dense", "MaskedDense", "Dense"]


def test_a_mask_brings_its_sparsity():
    mask = np.arange(20 * 32).reshape(20, 32) % 3 == 0
    sparse = ks.sparsify(perceptron(), None, topology=mask, exclude=["hidden_1", "top"], seed=0)
    np.testing.assert_array_equal(sparse.layers[0].mask, mask)


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_a_topology_of_blocks_keeps_its_blocks(format):
    model = sequential((16,), layers.Dense(16), layers.Dense(32), layers.Dense(8))
    topology = ks.topologies.RandomFanIn(sparsity=0.75, block_size=4)
    for layer in ks.sparsify(model, None, topology=topology, format=format, seed=0).layers:
        blocks = layer.mask.reshape(layer.mask.shape[0] // 4, 4, -1, 4)
        assert np.array_equal(blocks.any(axis=(1, 3)), blocks.all(axis=(1, 3)))
