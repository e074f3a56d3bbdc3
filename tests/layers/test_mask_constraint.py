import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.layers import MaskConstraint, MaskedDense, SparseConv2D
from keras_sparse.topologies import Rotating
from tensors import numpy

# JAX is slow uncompiled; TensorFlow takes longer to compile than these tests to run.
COMPILED = keras.backend.backend() == "jax"
MASK = np.array([[1, 0], [0, 1], [1, 1]], dtype=bool)


def fit(model, inputs, steps=20):
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=COMPILED)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, *inputs)), rng.normal(size=(8, *model.output_shape[1:]))
    # The same batch again and again, in one epoch.
    model.fit(np.concatenate([x] * steps), np.concatenate([y] * steps), batch_size=8, verbose=0)


def test_by_hand():
    value = ops.convert_to_tensor([[1.0, -2.0], [-3.0, 4.0], [np.nan, -6.0]])
    answer = numpy(MaskConstraint(MASK)(value))
    np.testing.assert_array_equal(answer, [[1, 0], [0, 4], [np.nan, -6]])
    # Even what is no number is cut.
    np.testing.assert_array_equal(numpy(MaskConstraint(~MASK)(value)), [[0, -2], [-3, 0], [0, 0]])


def test_a_mask_serves_a_convolution_at_every_position():
    answer = numpy(MaskConstraint(MASK)(ops.ones((3, 3, 3, 2))))
    np.testing.assert_array_equal(answer, np.broadcast_to(MASK, (3, 3, 3, 2)))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_type_stays(dtype):
    answer = MaskConstraint(MASK)(ops.ones((3, 2), dtype=dtype))
    assert keras.backend.standardize_dtype(answer.dtype) == dtype


def test_a_constraint_of_ones_own_comes_first():
    value = ops.convert_to_tensor([[3.0, 9.0], [-4.0, -9.0], [4.0, 5.0]])
    np.testing.assert_array_equal(numpy(MaskConstraint(MASK, "non_neg")(value)), [[3, 0], [0, 0], [4, 5]])
    of_columns = keras.constraints.MaxNorm(1.0, axis=0)
    expected = np.where(MASK, numpy(of_columns(value)), 0)
    np.testing.assert_array_equal(numpy(MaskConstraint(MASK, of_columns)(value)), expected)


def test_a_variable_is_read_each_time():
    mask = keras.Variable(MASK, dtype="bool", trainable=False)
    constraint = MaskConstraint(mask)
    np.testing.assert_array_equal(numpy(constraint(ops.ones((3, 2)))), MASK)
    mask.assign(~MASK)
    np.testing.assert_array_equal(numpy(constraint(ops.ones((3, 2)))), ~MASK)
    assert constraint.get_config() == MaskConstraint(~MASK).get_config()


@pytest.mark.parametrize("own", [None, "non_neg", keras.constraints.MaxNorm(0.5)], ids=["none", "name", "object"])
def test_config_round_trip(own):
    constraint = MaskConstraint(MASK.astype(int).tolist(), own)
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(constraint)))
    again = keras.saving.deserialize_keras_object(saved)
    assert again.get_config() == constraint.get_config()
    value = ops.convert_to_tensor([[3.0, -9.0], [-4.0, -9.0], [-4.0, 5.0]])
    np.testing.assert_array_equal(numpy(again(value)), numpy(constraint(value)))


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_on_a_stock_layer_saved_and_trained_on(kind, tmp_path):
    mask, start = Rotating(out_degree=2)(3, 5), keras.initializers.RandomNormal(seed=1)
    arguments = {"kernel_constraint": MaskConstraint(mask), "kernel_initializer": start}
    if kind == "dense":
        inputs, layer = (3,), keras.layers.Dense(5, **arguments)
    else:
        inputs, layer = (4, 4, 3), keras.layers.Conv2D(5, 3, **arguments)
    model = keras.Sequential([keras.Input(inputs), layer])
    fit(model, inputs)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    fit(again, inputs)
    for trained in (model, again):
        kernel = numpy(trained.layers[0].kernel)
        assert np.all(kernel[..., ~mask] == 0)
        assert np.all(kernel[..., mask] != 0)


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("name", ["non_neg", "max_norm"])
def test_the_layers_obey_their_users_constraint_too(kind, name):
    own = keras.constraints.MaxNorm(0.4, axis=[-2]) if name == "max_norm" else keras.constraints.NonNeg()
    arguments = {"sparsity": 0.5, "seed": 1, "kernel_constraint": own}
    inputs = (6,) if kind == "dense" else (4, 4, 6)
    layer = MaskedDense(4, **arguments) if kind == "dense" else SparseConv2D(4, 3, **arguments)
    model = keras.Sequential([keras.Input(inputs), layer])
    fit(model, inputs)
    kernel = numpy(layer.kernel)
    assert np.all(kernel[..., ~layer.mask] == 0)
    assert np.count_nonzero(kernel)
    if name == "non_neg":
        assert kernel.min() >= 0
        assert np.any(kernel[..., layer.mask] == 0)
    else:
        norms = np.sqrt(np.sum(kernel**2, axis=-2))
        assert norms.max() <= 0.4 + 1e-5
        assert norms.max() > 0.39
    # What was given is what is saved; the mask is added by the layer.
    assert layer.kernel_constraint is own


def test_a_compact_layer_obeys_its_users_constraint():
    layer = MaskedDense(4, sparsity=0.5, format="compact", kernel_constraint="non_neg")
    fit(keras.Sequential([keras.Input((6,)), layer]), (6,))
    assert numpy(layer.values).min() >= 0
    assert np.any(numpy(layer.values) == 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskConstraint([1, 0]), "must be a boolean array (fan_in, fan_out), True = connected"),
        (lambda: MaskConstraint([[1, 2]]), "Received: an array of shape (1, 2)"),
        (lambda: MaskConstraint(MASK, "non_negative"), "non_negative"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)
