"""What `MaskedDense` and `SparseConv2D` have in common; what is their own is tested beside."""

import keras
import numpy as np
import pytest

from keras_sparse.layers import MaskedDense
from keras_sparse.topologies import Connections, Expander, RandomEdge
from sparse_pair import FORMATS, INPUTS, LAYERS, batch, built, network, sparse_layers
from tensors import numpy

# The connections


@pytest.mark.parametrize("kind", LAYERS)
def test_both_formats_have_the_same_connections(kind):
    one, other = (built(kind, topology="random_edge", format=format) for format in FORMATS)
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.mask, RandomEdge(sparsity=0.5, seed=3)(8, 6))
    for layer in (one, other):
        assert isinstance(layer.connections, Connections)
        np.testing.assert_array_equal(layer.connections.mask(), layer.mask)
        positions = 9 if kind == "conv" else 1
        assert layer.connected_weights == layer.mask.sum() * positions
        assert layer.dense_weights == 48 * positions
        assert np.all(layer.dense_kernel()[..., ~layer.mask] == 0)
    other.set_dense_kernel(one.dense_kernel())
    np.testing.assert_array_equal(one.dense_kernel(), other.dense_kernel())
    np.testing.assert_allclose(numpy(one(batch(kind))), numpy(other(batch(kind))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("block_size", [1, 2])
def test_moving_keeps_what_survives_and_starts_the_rest_at_zero(kind, format, block_size):
    layer = built(kind, format=format, block_size=block_size)
    before, old = layer.dense_kernel(), layer.mask
    new = np.roll(old, block_size, axis=0)
    layer.set_mask(new)
    np.testing.assert_array_equal(layer.mask, new)
    np.testing.assert_array_equal(layer.dense_kernel(), np.where(old & new, before, 0))
    answer = numpy(layer(batch(kind)))
    stock = built(kind, topology=new, sparsity=0.9)
    stock.set_dense_kernel(layer.dense_kernel())
    np.testing.assert_allclose(answer, numpy(stock(batch(kind))), rtol=1e-4, atol=1e-5)


def test_masked_connections_may_leave_their_blocks():
    layer = built("dense", block_size=2)
    mask = layer.mask
    mask[0, 0] = not mask[0, 0]
    layer.set_mask(mask)
    np.testing.assert_array_equal(layer.mask, mask)
    assert layer.connections.block_size == 1


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_compact_layer_gets_room_for_other_connections(kind, fresh):
    layer = built(kind, format="compact", sparsity=0.75, kernel_initializer="ones")
    before, old, paths = layer.dense_kernel(), layer.mask, [weight.path for weight in layer.weights]
    more = Connections.from_mask(old | RandomEdge(sparsity=0.5, seed=1)(8, 6))
    layer.relay(more, layer.kernel_initializer if fresh else None)
    np.testing.assert_array_equal(layer.mask, more.mask())
    kernel = layer.dense_kernel()
    np.testing.assert_array_equal(kernel[..., old], before[..., old])
    assert np.all(kernel[..., more.mask() & ~old] == (1 if fresh else 0))
    assert layer.values.shape[0] == len(more)
    assert [weight.path for weight in layer.weights] == paths
    assert layer.trainable_variables[0] is layer.values is layer.trained_kernel
    layer.relay(Connections.from_mask(old))
    np.testing.assert_array_equal(layer.dense_kernel(), before)


def test_what_a_clone_shares_is_the_connections():
    model = network()
    clone = keras.models.clone_model(model)
    for one, other in zip(sparse_layers(model), sparse_layers(clone), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert not np.array_equal(numpy(one.kernel), numpy(other.kernel))


def test_layers_without_a_seed_differ_from_each_other():
    layers = [MaskedDense(30, sparsity=0.5) for _ in range(2)]
    for layer in layers:
        layer.build((None, 30))
    assert not np.array_equal(layers[0].mask, layers[1].mask)
    assert layers[0].seed != layers[1].seed
    keras.utils.set_random_seed(7)
    again = MaskedDense(30, sparsity=0.5)
    assert again.seed == layers[0].seed


# Configuration


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"topology": "fibonacci_rotating", "sparsity": 0.6, "block_size": 2, "seed": 9, "format": "compact"},
        {"topology": Expander(out_degree=2, seed=4), "sparsity": 0.9, "seed": None},
        {"topology": np.eye(8, 6), "sparsity": 0.9, "seed": 1},
        {
            "kernel_initializer": "he_normal",
            "kernel_regularizer": "l2",
            "kernel_constraint": "non_neg",
            "use_bias": False,
        },
        {"dtype": "mixed_bfloat16", "activation": "relu", "bias_regularizer": "l1", "activity_regularizer": "l2"},
    ],
    ids=["named", "topology", "mask", "kernel", "other"],
)
def test_the_configuration_survives_and_building_does_not_change_it(kind, arguments):
    layer = LAYERS[kind](**{"seed": 3, **arguments})
    saved = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(saved)
    layer.build((None, *INPUTS[kind]))
    assert layer.get_config() == again.get_config() == saved["config"]
    again.build((None, *INPUTS[kind]))
    np.testing.assert_array_equal(layer.mask, again.mask)
