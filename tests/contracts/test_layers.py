"""Every registered layer: configuration, saving, one training step, the same seed."""

import keras
import numpy as np
import pytest

from keras_sparse.layers import LAYERS, PreactivationUnit

IMAGE = (8, 8, 3)
POOLING = {
    3: keras.layers.GlobalAveragePooling1D,
    4: keras.layers.GlobalAveragePooling2D,
    5: keras.layers.GlobalAveragePooling3D,
}


def units():
    return [PreactivationUnit(3, 3) for _ in range(3)]


# Arguments to make a layer, and how to use it on an image. What follows a space in a name is another example of it.
EXAMPLES = {
    "batch_normalization": ({"momentum": 0.9}, lambda layer, x: layer(x)),
    "fractal_block": ({"filters": 4, "columns": 2, "seed": 1}, lambda layer, x: layer(x)),
    "looped_aggregation_block": (
        {"units": 5, "filters": (4, 3), "kernel_size": (1, 3), "operator": "sum"},
        lambda layer, x: layer(x),
    ),
    "masked_conv1d": (
        {"filters": 4, "kernel_size": 3, "sparsity": 0.5, "padding": "causal"},
        lambda layer, x: layer(keras.layers.Reshape((16, 12))(x)),
    ),
    "masked_conv2d": ({"filters": 4, "kernel_size": 3, "sparsity": 0.5, "strides": 2}, lambda layer, x: layer(x)),
    "masked_conv2d compact": (
        {"filters": 4, "kernel_size": 2, "sparsity": 0.5, "topology": "random_fan_in", "format": "compact"},
        lambda layer, x: layer(x),
    ),
    "masked_conv3d": (
        {"filters": 4, "kernel_size": 2, "sparsity": 0.5},
        lambda layer, x: layer(keras.layers.Reshape((4, 4, 4, 3))(x)),
    ),
    "masked_dense": ({"units": 4, "sparsity": 0.5}, lambda layer, x: layer(keras.layers.Flatten()(x))),
    "masked_dense compact": (
        {"units": 4, "sparsity": 0.5, "topology": "expander", "format": "compact", "block_size": 2},
        lambda layer, x: layer(keras.layers.Flatten()(x)),
    ),
    "masked_einsum_dense": (
        {"equation": "abcd,def->abcef", "output_shape": (None, None, 2, 3), "sparsity": 0.5, "bias_axes": "ef"},
        lambda layer, x: keras.layers.Reshape((8, 8, 6))(layer(x)),
    ),
    "path_sampler": ({"columns": 3, "seed": 1}, lambda layer, x: layer(x)),
    "preactivation_unit": ({"filters": (8, 4), "kernel_size": (1, 3)}, lambda layer, x: layer(x)),
    "scale_shift": ({}, lambda layer, x: layer(x)),
    "sparse_aggregation": ({"pattern": "all", "operator": "mean"}, lambda layer, x: layer([x, x, x])),
    "sparse_aggregation_block": ({"units": units, "operator": "sum"}, lambda layer, x: layer(x)),
    "sparse_conv2d": ({"filters": 4, "kernel_size": 3, "sparsity": 0.5}, lambda layer, x: layer(x)),
    "sparse_conv2d compact": (
        {"filters": 5, "kernel_size": 3, "sparsity": 0.5, "topology": "random_rotating", "format": "compact"},
        lambda layer, x: layer(x),
    ),
}


def make(name):
    arguments, use = EXAMPLES[name]
    arguments = {k: v() if callable(v) else v for k, v in arguments.items()}
    registered, *_ = name.split()
    return LAYERS.lookup(registered, "test")(**arguments, name=f"the_{registered}"), use


def model_of(name):
    layer, use = make(name)
    x = keras.Input(IMAGE)
    features = use(layer, x)
    if len(features.shape) == 2:
        features = keras.layers.Dense(3)(features)
        features = keras.layers.Add()([features, keras.layers.GlobalAveragePooling2D()(x)])
    else:
        features = POOLING[len(features.shape)]()(features)
    return keras.Model(x, keras.layers.Dense(2, name="out")(features))


def images(count=4):
    return np.random.default_rng(0).normal(size=(count, *IMAGE)).astype("float32")


def test_every_layer_has_an_example():
    assert sorted({name.split()[0] for name in EXAMPLES}) == LAYERS.names()


@pytest.mark.parametrize("name", EXAMPLES)
def test_config_round_trip(name):
    layer, _ = make(name)
    saved = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(saved)
    assert type(again) is type(layer)
    assert keras.saving.serialize_keras_object(again) == saved


@pytest.mark.parametrize("name", EXAMPLES)
def test_save_and_load(name, tmp_path):
    model = model_of(name)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(images(), verbose=0), again.predict(images(), verbose=0))


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_training_step_changes_every_weight(name):
    model = model_of(name)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in model.trainable_variables]
    targets = np.random.default_rng(1).normal(size=(8, 2))
    loss = model.fit(images(8), targets, verbose=0).history["loss"][0]
    assert np.isfinite(loss)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert not np.array_equal(keras.ops.convert_to_numpy(variable), old), variable.path


@pytest.mark.parametrize("name", EXAMPLES)
def test_same_seed_same_result_in_training(name):
    results = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        results.append(keras.ops.convert_to_numpy(model_of(name)(images(), training=True)))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("name", EXAMPLES)
def test_float16(name):
    keras.config.set_dtype_policy("mixed_float16")
    assert np.all(np.isfinite(keras.ops.convert_to_numpy(model_of(name)(images()))))
