import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks

IMAGE = (32, 32, 3)


def drawn(model, seed=0):
    """The model with weights and moving statistics that leave nothing at 0 or 1."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                low, high = (0.5, 2.0) if variable.name in ("gamma", "moving_variance") else (-0.5, 0.5)
                variable.assign(rng.uniform(low, high, variable.shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.uniform(-0.5, 0.5, layer.bias.shape))
    return model


def of_images(*parts, shape=IMAGE):
    return drawn(keras.Sequential([keras.Input(shape), *parts]))


def images(model, count=3):
    return np.random.default_rng(1).normal(size=(count, *model.input_shape[1:])).astype("float32")


def kinds(model):
    return [type(layer).__name__ for layer in model._flatten_layers() if not layer._layers]


def assert_same(model, folded, tolerance=1e-5):
    x = images(model)
    old, new = (keras.ops.convert_to_numpy(m(x, training=False)) for m in (model, folded))
    np.testing.assert_allclose(new, old, rtol=tolerance, atol=tolerance * np.abs(old).max())


KERNELS = {
    "conv2d": lambda: layers.Conv2D(6, 3, strides=2, use_bias=False),
    "groups": lambda: layers.Conv2D(6, 3, groups=3, padding="same"),
    "transposed": lambda: layers.Conv2DTranspose(6, 3, use_bias=False),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
    "separable": lambda: layers.SeparableConv2D(6, 3),
    "dense": lambda: layers.Dense(6, use_bias=False),
    "masked": lambda: ks.layers.SparseConv2D(6, 3, sparsity=0.5, use_bias=False, seed=0),
    "compact": lambda: ks.layers.SparseConv2D(6, 3, sparsity=0.5, format="compact", seed=0),
    "weight by weight": lambda: ks.layers.MaskedConv2D(6, 3, sparsity=0.5, use_bias=False, seed=0),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_takes_in_what_follows(kernel):
    model = of_images(KERNELS[kernel](), layers.BatchNormalization(), layers.ReLU())
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert kinds(folded)[-2:] == ["Identity", "ReLU"]
    assert folded.layers[0].bias is not None
    if hasattr(model.layers[0], "mask"):
        np.testing.assert_array_equal(folded.layers[0].mask, model.layers[0].mask)


@pytest.mark.parametrize(
    ("kernel", "left"),
    [
        (lambda: layers.Conv2D(6, 3, use_bias=False), "Identity"),
        (lambda: layers.Conv2D(6, 1, padding="same"), "Identity"),
        (lambda: layers.Dense(6, activation="relu"), "Identity"),
        (lambda: ks.layers.SparseConv2D(6, 3, sparsity=0.5, seed=0), "Identity"),
        (lambda: layers.Conv2D(6, 3, padding="same"), "ScaleShift"),  # the border would differ
        (lambda: layers.DepthwiseConv2D(3), "ScaleShift"),
    ],
)
def test_a_kernel_takes_in_what_comes_before(kernel, left):
    model = of_images(layers.ReLU(), layers.BatchNormalization(center=True, scale=False), kernel())
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert kinds(folded)[-2] == left


def test_from_both_sides_and_one_after_the_other():
    model = of_images(
        layers.BatchNormalization(), layers.Conv2D(5, 3), layers.BatchNormalization(), layers.BatchNormalization()
    )
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert kinds(folded)[-4:] == ["Identity", "Conv2D", "Identity", "ScaleShift"]


def test_what_others_read_too_is_no_kernel_to_fold_into():
    x = keras.Input(IMAGE)
    convolved = layers.Conv2D(4, 3, padding="same")(x)
    shared = layers.BatchNormalization()
    model = drawn(keras.Model(x, layers.Add()([convolved, shared(convolved), shared(shared(convolved))])))
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert "ScaleShift" in kinds(folded)
    assert "Identity" not in kinds(folded)


def test_what_leaves_the_model_is_read():
    x = keras.Input(IMAGE)
    convolved = layers.Conv2D(4, 3)(x)
    model = drawn(keras.Model(x, [convolved, layers.BatchNormalization()(convolved)]))
    folded = ks.fold_batch_norm(model)
    for old, new in zip(model(images(model)), folded(images(model)), strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (new, old)), rtol=1e-5, atol=1e-5)


def test_activation_between_keeps_them_apart():
    model = of_images(layers.Conv2D(4, 3, activation="tanh"), layers.BatchNormalization(), layers.ReLU())
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert "ScaleShift" in kinds(folded)


def test_statistics_of_the_batch_are_no_constants():
    x = keras.Input(IMAGE)
    convolved = layers.Conv2D(4, 3)(x)
    batchwise = layers.BatchNormalization()(convolved, training=True)
    model = drawn(keras.Model(x, layers.BatchNormalization()(batchwise, training=False)))
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert kinds(folded)[-2:] == ["BatchNormalization", "ScaleShift"]


def test_other_axis_than_the_channels():
    model = of_images(layers.Conv2D(4, 3), layers.BatchNormalization(axis=1), layers.ReLU())
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert "ScaleShift" in kinds(folded)


def test_nested_models():
    inner = keras.Sequential([keras.Input(IMAGE), layers.Conv2D(4, 3), layers.BatchNormalization()])
    model = of_images(inner, layers.BatchNormalization(), layers.ReLU())
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded)
    assert kinds(folded).count("Identity") == 1


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (lambda: keras.applications.ResNet50(weights=None, input_shape=IMAGE, classes=5), 0),
        (lambda: keras.applications.MobileNetV2(weights=None, input_shape=IMAGE, classes=5), 0),
        # The two units of each stage keep the first of theirs; the transitions and the head theirs.
        (lambda: ks.applications.SparseNet(16, 6, bottleneck=True), 6 + 3),
        (lambda: ks.applications.DenseNet(10, 6, bottleneck=False), 6 + 3),
        (lambda: ks.sparsify(ks.applications.ResNet(11), 0.5, seed=0), 4),
    ],
    ids=["resnet50", "mobilenet_v2", "sparsenet", "densenet", "sparse resnet"],
)
def test_networks(build, left, tmp_path):
    model = drawn(build())
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded, 1e-4)
    assert kinds(folded).count("ScaleShift") == left
    assert "BatchNormalization" not in kinds(folded)
    assert ks.analysis.profile(folded).macs == ks.analysis.profile(model).macs
    folded.save(tmp_path / "folded.keras")
    again = keras.saving.load_model(tmp_path / "folded.keras")
    np.testing.assert_array_equal(again.predict(images(model), verbose=0), folded.predict(images(model), verbose=0))


def test_mixed_precision_is_kept():
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = of_images(
        layers.Conv2D(4, 3, dtype=policy), layers.ReLU(dtype=policy), layers.BatchNormalization(dtype=policy)
    )
    folded = ks.fold_batch_norm(model)
    assert_same(model, folded, 0.05)
    assert folded.layers[-1].dtype_policy.name == "mixed_bfloat16"


def test_nothing_to_fold_is_said():
    with pytest.raises(ValueError, match="must have a batch normalisation that its configuration shows"):
        ks.fold_batch_norm(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))
