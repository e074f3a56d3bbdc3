import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse.layers import BatchNormalization

SHAPE = (6, 5, 4, 3)


def numpy(tensors):
    return keras.tree.map_structure(ops.convert_to_numpy, tensors)


def trained(kind, epochs=1, shape=SHAPE, **arguments):
    """What a layer of a kind outputs in training, and its weights after it was trained."""
    rng = np.random.default_rng(0)
    x = rng.normal(1, 2, size=shape).astype("float32")
    norm = kind(**arguments)
    model = keras.Sequential([keras.Input(shape[1:]), layers.Conv2D(3, 1, kernel_initializer="ones"), norm])
    model.layers[0].kernel.assign(np.random.default_rng(1).normal(size=(1, 1, shape[-1], 3)))
    outputs = model(x, training=True)
    # Targets that no layer reaches: of outputs with mean 0, the squares have no gradient.
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(x, rng.normal(size=outputs.shape), epochs=epochs, batch_size=shape[0], shuffle=False, verbose=0)
    return numpy([outputs, *model.weights])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"scale": False, "momentum": 0.5},
        {"center": False, "epsilon": 0.1},
        {"axis": 1},
        {"dtype": "mixed_bfloat16"},
        {"trainable": False},
        {"renorm": True},
    ],
    ids=str,
)
def test_is_the_layer_of_keras(arguments):
    rough = {"rtol": 2e-2, "atol": 2e-2} if "dtype" in arguments else {"rtol": 1e-4, "atol": 1e-5}
    for ours, theirs in zip(
        trained(BatchNormalization, **arguments), trained(layers.BatchNormalization, **arguments), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, **rough)


def test_a_single_position_has_no_variance():
    for ours, theirs in zip(
        trained(BatchNormalization, shape=(1, 1, 1, 3)),
        trained(layers.BatchNormalization, shape=(1, 1, 1, 3)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3), (2, 3, 3, 3, 3)])
def test_other_ranks(shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    ours, theirs = BatchNormalization(), layers.BatchNormalization()
    np.testing.assert_allclose(*numpy([ours(x, training=True), theirs(x, training=True)]), atol=1e-5)
    np.testing.assert_allclose(*numpy([ours.moving_variance, theirs.moving_variance]), rtol=1e-5)


def test_a_mask_leaves_positions_out():
    x = np.random.default_rng(0).normal(size=SHAPE).astype("float32")
    mask = np.random.default_rng(1).random(SHAPE[:-1]) < 0.5
    ours, theirs = BatchNormalization(), layers.BatchNormalization()
    np.testing.assert_allclose(*numpy([n(x, training=True, mask=mask) for n in (ours, theirs)]), rtol=1e-6)


def test_files_of_the_layer_of_keras_load(tmp_path):
    models = [
        keras.Sequential([keras.Input((4, 4, 3)), kind(name="norm")])
        for kind in (layers.BatchNormalization, BatchNormalization)
    ]
    models[0].layers[0].gamma.assign([1.0, 2.0, 3.0])
    models[0].save_weights(tmp_path / "norm.weights.h5")
    models[1].load_weights(tmp_path / "norm.weights.h5")
    np.testing.assert_array_equal(*numpy([m.layers[0].gamma for m in models]))
