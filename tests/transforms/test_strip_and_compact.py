"""Out of the masked format: into stock layers, and into one value per connection."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from tensors import numpy


def convolutional(**options):
    return keras.Sequential(
        [
            keras.Input((10, 10, 4)),
            SparseConv2D(8, 3, sparsity=0.5, strides=2, activation="relu", name="a", **options),
            layers.BatchNormalization(name="b"),
            layers.Flatten(name="c"),
            MaskedDense(6, sparsity=0.8, kernel_regularizer="l2", use_bias=False, name="d", **options),
        ]
    )


MODELS = {
    "sequential": lambda: convolutional(),
    "blocks": lambda: convolutional(block_size=2),
    "sparsenet": lambda: ks.sparsify(
        ks.applications.SparseNet(16, 4, bottleneck=True, input_shape=(10, 10, 4)), 0.7, exclude="last"
    ),
    "moved": lambda: moved(),
}


def moved():
    model = convolutional()
    mask = model.layers[-1].mask
    mask[:, 0] = False
    mask[3] = True
    model.layers[-1].set_mask(mask)
    return model


IMAGES = np.random.default_rng(0).normal(size=(3, 10, 10, 4)).astype("float32")


@pytest.mark.parametrize("name", MODELS)
def test_strip(name, tmp_path):
    model = MODELS[name]()
    stock = ks.strip(model)
    assert not any(isinstance(layer, SparseKernel) for layer in stock._flatten_layers())
    assert [layer.name for layer in stock._flatten_layers()] == [layer.name for layer in model._flatten_layers()]
    np.testing.assert_allclose(numpy(stock(IMAGES)), numpy(model(IMAGES)), rtol=1e-5, atol=1e-6)
    for layer in model._flatten_layers():
        if isinstance(layer, SparseKernel):
            twin = next(x for x in stock._flatten_layers() if x.name == layer.name)
            assert type(twin) in (layers.Dense, layers.Conv2D)
            np.testing.assert_array_equal(numpy(twin.kernel), layer.dense_kernel())
            assert twin.kernel_regularizer == layer.kernel_regularizer or twin.kernel_regularizer is not None


def test_stripped_file_needs_nothing_of_ours(tmp_path):
    import subprocess
    import sys

    model = convolutional()
    ks.strip(model).save(tmp_path / "stock.keras")
    np.save(tmp_path / "x.npy", IMAGES)
    code = (
        "import keras, numpy, sys; m = keras.saving.load_model('stock.keras');"
        "numpy.save('y.npy', keras.ops.convert_to_numpy(m(numpy.load('x.npy'))));"
        "assert not any(n.startswith('keras_sparse') for n in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), numpy(model(IMAGES)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_compact(name, tmp_path):
    model = MODELS[name]()
    small = ks.compact(model)
    np.testing.assert_allclose(numpy(small(IMAGES)), numpy(model(IMAGES)), rtol=1e-4, atol=1e-5)
    masked = [layer for layer in model._flatten_layers() if isinstance(layer, SparseKernel)]
    twins = [layer for layer in small._flatten_layers() if isinstance(layer, SparseKernel)]
    for layer, twin in zip(masked, twins, strict=True):
        assert twin.format == "compact"
        assert int(np.prod(twin.values.shape)) == layer.connected_weights
        np.testing.assert_array_equal(twin.mask, layer.mask)
    small.save(tmp_path / "small.keras")
    again = keras.saving.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(numpy(again(IMAGES)), numpy(small(IMAGES)))
    # And back: a compact model strips to the same stock layers.
    np.testing.assert_allclose(numpy(ks.strip(small)(IMAGES)), numpy(model(IMAGES)), rtol=1e-5, atol=1e-6)


def test_compact_profile():
    model = convolutional()
    small = ks.compact(model)
    one, other = ks.analysis.profile(model), ks.analysis.profile(small)
    assert one.connected_parameters == other.connected_parameters == other.stored_parameters
    assert one.dense_parameters == other.dense_parameters == one.stored_parameters
    assert (one.macs, one.dense_macs) == (other.macs, other.dense_macs)
    connected = [layer.connections.count for layer in (model.layers[0], model.layers[-1])]
    # 4 x 4 positions of 3 x 3 kernels; then the dense layer.
    assert one.macs == 16 * 9 * connected[0] + connected[1]
    assert one.dense_macs == 16 * 9 * 4 * 8 + 128 * 6
    assert one.connected_parameters == 9 * connected[0] + 8 + 16 + connected[1]


def test_compact_says_how_to_compute():
    small = ks.compact(convolutional(), implementation="scattered")
    assert [layer.implementation for layer in small.layers if isinstance(layer, SparseKernel)] == ["scattered"] * 2
    with pytest.raises(ValueError, match=r"with block_size=1.*Received: implementation='blocked'"):
        ks.compact(convolutional(), implementation="blocked")


def test_frozen_layers_stay_frozen():
    model = convolutional()
    model.layers[0].trainable = False
    for other in (ks.strip(model), ks.compact(model)):
        assert not other.layers[0].trainable
        assert other.layers[-1].trainable


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ks.compact(ks.strip(convolutional())), "`model` of compact must have a layer in the masked format"),
        (lambda: ks.strip(3), "`model` of strip must be a Keras model"),
        (lambda: ks.compact(constrained()), "`kernel_constraint` of MaskedDense"),
        (lambda: ks.strip(with_lora()), "must have no LoRA and no quantization"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def constrained():
    return keras.Sequential([keras.Input((8,)), MaskedDense(4, kernel_constraint="max_norm", name="x")])


def with_lora():
    model = convolutional()
    model.layers[-1].enable_lora(2)
    return model
