"""TensorFlow only: SavedModel, and shapes that stay unknown in a graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sparse.layers import MaskedDense, SparseConv2D


@pytest.mark.parametrize("format", ["masked", "compact"])
@pytest.mark.parametrize("block_size", [1, 2])
def test_a_saved_model_predicts_the_same(format, block_size, tmp_path):
    arguments = {"sparsity": 0.5, "format": format, "block_size": block_size}
    layers = [
        keras.Input((8, 8, 4)),
        SparseConv2D(6, 3, **arguments, strides=2, padding="same", activation="relu"),
        SparseConv2D(6, 2, **arguments),
        keras.layers.Flatten(),
        MaskedDense(4, **arguments, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    for layer in model.layers:
        if hasattr(layer, "set_mask"):
            layer.set_mask(np.roll(layer.mask, block_size, axis=0))
            layer.set_dense_kernel(np.random.default_rng(0).normal(size=layer.dense_kernel().shape))
    model.export(str(tmp_path / "exported"), verbose=False)
    x = np.random.default_rng(1).normal(size=(5, 8, 8, 4)).astype("float32")
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(x), model(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(exported.serve(x[:2]), model(x[:2]), rtol=1e-5, atol=1e-6)


def test_strides_and_padding_of_blocks_need_an_image_of_known_size():
    layer = SparseConv2D(
        4, 3, sparsity=0.5, block_size=2, strides=2, padding="same", format="compact", implementation="blocked"
    )
    layer.build((None, None, None, 4))
    unknown = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4))])
    with pytest.raises(ValueError, match=r"must be fully known for padding=\"same\" with these strides"):
        unknown(tf.ones((1, 5, 5, 4)))
    assert layer(tf.ones((1, 5, 5, 4))).shape == (1, 3, 3, 4)


@pytest.mark.parametrize(
    "arguments", [{"block_size": 2, "padding": "same"}, {"strides": 2, "padding": "same"}], ids=str
)
def test_other_images_may_be_of_any_size_in_one_graph(arguments):
    layer = SparseConv2D(4, 3, sparsity=0.5, format="compact", **arguments)
    layer.build((None, None, None, 4))
    unknown = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4))])
    stock = keras.layers.Conv2D(4, 3, strides=arguments.get("strides", 1), padding="same", use_bias=False)
    stock.build((None, None, None, 4))
    stock.kernel.assign(layer.dense_kernel())
    for size in (5, 8):
        x = np.random.default_rng(1).normal(size=(2, size, 7, 4)).astype("float32")
        np.testing.assert_allclose(unknown(x), stock(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_the_gradient_on_a_tape(format):
    layer = MaskedDense(3, sparsity=0.5, format=format, seed=1)
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 6)).astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    dense = 2 * x.numpy().T @ (x.numpy() @ layer.dense_kernel())
    connections = layer.connections
    expected = np.where(layer.mask, dense, 0) if format == "masked" else dense[connections.inputs, connections.outputs]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    if format == "masked":
        assert np.all(gradient[~layer.mask] == 0)
