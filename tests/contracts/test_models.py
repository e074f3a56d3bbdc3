"""Every registered model: conventions of keras.applications, saving, one training step, the same seed."""

import inspect

import keras
import numpy as np
import pytest

from keras_sparse.applications import MODELS, get_model, list_models

# Small forms; what is not here is built as it is, on images as small as it takes.
SMALL = {
    "cifarnet": {"width": 0.1, "seed": 1},
    "densenet": {"depth": 10, "growth_rate": 4, "bottleneck": True},
    "fractalnet": {"columns": 2, "filters": (4, 6), "seed": 1},
    "lenet5": {"width": 0.2},
    "lenet_300_100": {"width": 0.1},
    "mlp": {"hidden": (12, 8)},
    "mnist_convnet": {"width": 0.1, "seed": 1},
    "resnet": {"depth": 20, "growth_rate": 4},
    "sparsenet": {"depth": 16, "growth_rate": 4},
    "vgg16n": {"width": 0.05},
}
SIZES = {name: 16 for name in SMALL} | {f"sparsenet{depth}": 96 for depth in (121, 169, 201)} | {"vgg16n": 192}
FLAT = ("lenet_300_100", "mlp")  # no feature map, and images of any size
TRAINED = [*SMALL, "sparsenet121", "resnet50"]  # densenet121 is sparsenet121 with another pattern
CONVENTIONS = (
    "include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation", "name",
)  # fmt: skip


def make(name, **changes):
    size = SIZES.get(name, 32)
    return get_model(name, **{**SMALL.get(name, {}), "input_shape": (size, size, 3), "classes": 7, **changes})


def predict(model, x):
    """`model.predict` without tracing a graph first."""
    return keras.ops.convert_to_numpy(model(x))


def images(name, count=2):
    size = SIZES.get(name, 32)
    return np.random.default_rng(0).normal(size=(count, size, size, 3)).astype("float32")


@pytest.mark.parametrize("name", MODELS)
def test_signature(name):
    constructor = MODELS.lookup(name, "test")
    parameters = list(inspect.signature(constructor).parameters)
    assert parameters[-len(CONVENTIONS) :] == list(CONVENTIONS)
    documentation = inspect.getdoc(constructor)
    assert all(f"{parameter}:" in documentation for parameter in parameters)
    assert all(part in documentation for part in ("Args:", "Returns:", "Raises:", "Example:"))
    assert "{" not in documentation


@pytest.mark.parametrize("name", MODELS)
def test_top_is_a_distribution_over_the_classes(name):
    model = make(name)
    assert model.name == name
    probabilities = predict(model, images(name))
    assert probabilities.shape == (2, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in TRAINED if name not in FLAT])
def test_pooling(name):
    with keras.StatelessScope(initialize_variables=False):  # for its shapes
        features = make(name, include_top=False)
    *_, channels = features.output.shape
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        model = make(name, include_top=False, pooling=pooling)
        assert [v.shape for v in model.weights] == [v.shape for v in features.weights]
        before = model.layers[-1].input
        assert before.shape == features.output.shape == (None, *before.shape[1:3], channels)
        assert model.output.shape == (None, channels)
        feature_map, pooled = map(
            keras.ops.convert_to_numpy, keras.Model(model.input, [before, model.output])(images(name))
        )
        np.testing.assert_allclose(pooled, reduce(feature_map, axis=(1, 2)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_save_load_and_weights_file(name, tmp_path):
    model = make(name)
    x = images(name)
    expected = predict(model, x)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(again, x), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = make(name, weights=str(tmp_path / "model.weights.h5"))
    np.testing.assert_array_equal(predict(loaded, x), expected)


@pytest.mark.parametrize("name", TRAINED)
def test_one_training_step_changes_every_weight(name):
    model = make(name)
    # Tracing takes long where there are hundreds of layers.
    options = {"jit_compile": False, "run_eagerly": name not in SMALL}
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", **options)
    before = model.get_weights()
    loss = model.fit(images(name, 4), np.array([0, 1, 2, 3]), batch_size=4, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    for variable, old in zip(model.weights, before, strict=True):
        assert not np.array_equal(keras.ops.convert_to_numpy(variable), old), variable.path


@pytest.mark.parametrize("name", SMALL)
def test_same_seed_same_weights(name):
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        weights.append(make(name).get_weights())
    assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_mixed_precision_ends_in_float32(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make(name)
    assert model.output.dtype == "float32"
    assert {w.dtype for w in model.trainable_variables} == {"float32"}
    assert np.isfinite(predict(model, images(name))).all()


@pytest.mark.parametrize("name", SMALL)
def test_input_tensor(name):
    size = SIZES[name]
    inputs = keras.Input((2 * size, 2 * size, 3))
    model = make(name, input_tensor=keras.layers.AveragePooling2D(2)(inputs), input_shape=None)
    assert model.input_shape == (None, 2 * size, 2 * size, 3)


@pytest.mark.parametrize("name", SMALL)
def test_channels_first_has_the_same_parameters(name):
    size = SIZES[name]
    last = make(name), make(name, include_top=False)
    keras.config.set_image_data_format("channels_first")
    try:
        first = [make(name, input_shape=(3, size, size), include_top=top) for top in (True, False)]
    finally:
        keras.config.set_image_data_format("channels_last")
    assert first[0].count_params() == last[0].count_params()
    assert first[1].output.shape[1] == last[1].output.shape[-1]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "avg"}, "`pooling` of {owner} must be None with include_top=True"),
        ({"pooling": "mean", "include_top": False}, "`pooling` of {owner} must be one of"),
        ({"weights": "imagenet"}, "`weights` of {owner} must be None or the path of a weights file"),
        ({"classes": 0}, "`classes` of {owner} must be an integer >= 1. Received: classes=0"),
        ({"input_shape": (2, 2, 3)}, "`input_shape` of {owner} must be three numbers (height, width, channels)"),
        ({"input_shape": (64, 64)}, "`input_shape` of {owner} must be three numbers (height, width, channels)"),
    ],
    ids=str,
)
def test_errors(name, changes, message):
    if name in FLAT and changes.get("input_shape") == (2, 2, 3):
        assert make(name, **changes).input_shape == (None, 2, 2, 3)  # a small image is as good as any
        return
    with pytest.raises(ValueError) as caught:
        make(name, **changes)
    assert message.format(owner=MODELS.lookup(name, "test").__name__) in str(caught.value)


def test_list_models_is_sorted_and_complete():
    assert list_models() == sorted(list_models())
    assert {"sparsenet", "densenet264", "resnet152", "fractalnet"} <= set(list_models())
