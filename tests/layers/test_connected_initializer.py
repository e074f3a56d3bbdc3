import keras
import numpy as np
import pytest
from keras import initializers

from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.topologies import RandomEdge

FORMATS = ("masked", "compact")
FAN_IN, FAN_OUT = 240, 180
# Degrees from a few to many: quarters of the mask are of different density.
UNEVEN = np.block(
    [
        [RandomEdge(sparsity=0.95, seed=0)(120, 90), RandomEdge(sparsity=0.7, seed=1)(120, 90)],
        [RandomEdge(sparsity=0.8, seed=2)(120, 90), RandomEdge(sparsity=0.1, seed=3)(120, 90)],
    ]
)
MASKS = {1: UNEVEN, 3: np.kron(UNEVEN[40:120, 30:90], np.ones((3, 3))).astype(bool)}


def layer_with(kind, initializer, format, block_size=1, mask=None):
    arguments = {"topology": MASKS[block_size] if mask is None else mask, "format": format, "block_size": block_size}
    arguments["kernel_initializer"] = initializer
    fan_in, fan_out = arguments["topology"].shape
    layer = MaskedDense(fan_out, **arguments) if kind == "dense" else SparseConv2D(fan_out, (1, 2), **arguments)
    layer.build((None, fan_in) if kind == "dense" else (None, 4, 4, fan_in))
    return layer


def expected_variances(initializer, mask, positions):
    """`scale / fan`, for each pair the fan of its own units, from connections alone."""
    fan_in = np.broadcast_to(mask.sum(axis=0)[None, :], mask.shape) * positions
    fan_out = np.broadcast_to(mask.sum(axis=1)[:, None], mask.shape) * positions
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    return initializer.scale / np.maximum(fans[initializer.mode], 1)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("kind", "block_size"), [("dense", 1), ("dense", 3), ("conv", 1), ("conv", 3)])
@pytest.mark.parametrize(
    "initializer",
    [
        initializers.HeNormal(seed=1),
        initializers.GlorotUniform(seed=1),
        initializers.LecunNormal(seed=1),
        initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal", seed=1),
    ],
    ids=["he_normal", "glorot_uniform", "lecun_normal", "fan_out"],
)
def test_the_variance_follows_the_connected_fans(initializer, kind, block_size, format):
    layer = layer_with(kind, initializer, format, block_size)
    mask, kernel = layer.mask, layer.dense_kernel().reshape(-1, FAN_IN, FAN_OUT)
    variances = expected_variances(initializer, mask, len(kernel))
    assert np.all(kernel[:, ~mask] == 0)
    unit = kernel / np.sqrt(variances)
    for rows in (slice(0, 120), slice(120, 240)):
        for columns in (slice(0, 90), slice(90, 180)):
            drawn = unit[:, rows, columns][:, mask[rows, columns]]
            # Within five standard errors, of normal or of uniform numbers, as if each were drawn by itself.
            assert abs(drawn.var() - 1) < 5 * np.sqrt(2 / drawn.size)
            assert abs(drawn.mean()) < 5 / np.sqrt(drawn.size)
    if initializer.distribution == "uniform":
        assert 0.99 * np.sqrt(3) < np.abs(unit).max() <= np.sqrt(3) * (1 + 1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_an_output_is_as_large_as_of_a_dense_layer(format):
    x = np.random.default_rng(0).normal(size=(200, FAN_IN)).astype("float32")
    answer = keras.ops.convert_to_numpy(layer_with("dense", initializers.LecunNormal(seed=1), format)(x))
    assert abs(answer[:, :90].var() - 1) < 0.1
    assert abs(answer[:, 90:].var() - 1) < 0.1


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("initializer", "check"),
    [
        (initializers.Constant(0.3), lambda w: np.all(w == np.float32(0.3))),
        (initializers.Zeros(), lambda w: np.all(w == 0)),
        (initializers.Ones(), lambda w: np.all(w == 1)),
        (
            initializers.RandomNormal(0.5, 0.1, seed=1),
            lambda w: abs(w.mean() - 0.5) < 0.01 and abs(w.std() - 0.1) < 0.01,
        ),
        (initializers.RandomUniform(-2, -1, seed=1), lambda w: w.min() >= -2 and w.max() <= -1 and w.std() > 0.2),
        (initializers.TruncatedNormal(stddev=0.1, seed=1), lambda w: np.abs(w).max() <= 0.2 and w.std() > 0.05),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_fan_is_left_alone(initializer, check, format):
    layer = layer_with("dense", initializer, format)
    kernel = layer.dense_kernel()
    assert check(kernel[layer.mask])
    assert np.all(kernel[~layer.mask] == 0)


def test_masked_layers_take_any_initializer():
    mask = UNEVEN[110:130, 85:95]
    layer = layer_with("dense", initializers.Orthogonal(seed=1), "masked", mask=mask)
    whole = keras.ops.convert_to_numpy(initializers.Orthogonal(seed=1)(mask.shape))
    np.testing.assert_array_equal(layer.dense_kernel(), np.where(mask, whole, 0))


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("name", ["he_normal", "glorot_uniform"])
def test_fully_connected_it_is_the_keras_initializer(kind, name):
    initializer = type(initializers.get(name))(seed=1)
    kernel = layer_with(kind, initializer, "masked", mask=np.ones((7, 5), dtype=bool)).dense_kernel()
    np.testing.assert_array_equal(kernel, keras.ops.convert_to_numpy(initializer(kernel.shape)))


@pytest.mark.parametrize("format", FORMATS)
def test_the_layer_keeps_what_it_was_given(format):
    layer = layer_with("dense", "he_normal", format)
    assert type(layer.kernel_initializer) is initializers.HeNormal
