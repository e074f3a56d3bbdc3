import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse.aggregation import OPERATORS, PATTERNS, Exponential, get_pattern
from keras_sparse.layers import SparseAggregation, SparseAggregationBlock
from tensors import numpy


def dense(width=4, **kwargs):
    return layers.Dense(width, activation="tanh", **kwargs)


def reference(block, x):
    """The rule of the paper, written out in NumPy for dense units."""

    def join(outputs):
        chosen = [outputs[i] for i in block.pattern.sources(len(outputs))]
        if type(block.operator).__name__ == "Concat":
            return np.concatenate(chosen, axis=-1)
        total = np.sum(chosen, axis=0)
        return total / len(chosen) if type(block.operator).__name__ == "Mean" else total

    outputs = [x]
    for unit in block.units:
        kernel, bias = map(np.asarray, unit.get_weights())
        outputs.append(np.tanh(join(outputs) @ kernel + bias))
    return join(outputs)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_follows_the_rule(pattern, operator, count):
    block = SparseAggregationBlock([dense() for _ in range(count)], pattern, operator=operator)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(numpy(block(x)), reference(block, x), rtol=1e-5, atol=1e-5)
    assert block.links == get_pattern(pattern).links(count)


@pytest.mark.parametrize("operator", OPERATORS)
def test_equals_a_network_wired_by_hand(operator):
    units = [dense() for _ in range(6)]
    block = SparseAggregationBlock(units, operator=operator)
    x = keras.Input((4,))
    outputs = [x]
    for unit in units:
        outputs.append(unit(SparseAggregation(operator=operator)(outputs)))
    by_hand = keras.Model(x, SparseAggregation(operator=operator)(outputs))
    data = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(numpy(block(data)), numpy(by_hand(data)), rtol=1e-6)


def test_symbolic_shape_is_the_computed_one():
    block = SparseAggregationBlock([layers.Conv2D(3, 3, padding="same") for _ in range(5)], name="stage")
    assert block(keras.KerasTensor((None, 8, 8, 7))).shape == (None, 8, 8, block(ops.ones((2, 8, 8, 7))).shape[-1])
    assert block.compute_output_shape((None, 8, 8, 7)) == (None, 8, 8, 3 + 3 + 3)


def test_channels_first_concatenates_along_axis_one():
    units = [layers.Lambda(lambda x: x[:, :2], output_shape=lambda s: (s[0], 2, *s[2:])) for _ in range(3)]
    block = SparseAggregationBlock(units, "all", axis=1)
    assert block(ops.ones((2, 5, 4, 4))).shape == (2, 11, 4, 4)


def test_shortcut_replaces_the_input_in_the_sum():
    units = [dense(6), dense(6)]
    block = SparseAggregationBlock(units, "all", operator="sum", shortcut=layers.Dense(6, use_bias=False))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    y = numpy(block(x))
    assert units[0].kernel.shape == (3, 6)  # the first unit reads the input itself
    (k1, b1), (k2, b2) = ([np.asarray(w) for w in unit.get_weights()] for unit in units)
    y0 = x @ np.asarray(block.shortcut.get_weights()[0])
    y1 = np.tanh(x @ k1 + b1)
    y2 = np.tanh((y0 + y1) @ k2 + b2)
    np.testing.assert_allclose(y, y0 + y1 + y2, rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable(package="test_block")
class Scale(layers.Layer):
    """A composite layer without a `build` of its own."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")

    def call(self, inputs):
        return self.gain * self.inner(inputs)

    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


def test_save_and_load_with_nested_custom_layers(tmp_path):
    units = [Scale(dense(3)), keras.Sequential([dense(5), dense(3)]), Scale(Scale(dense(3)))]
    x = keras.Input((3,))
    y = SparseAggregationBlock(units, Exponential(3), operator="mean", name="outer")(x)
    model = keras.Model(x, SparseAggregationBlock([dense(2)], "all")(y))
    data = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    expected = numpy(model(data))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(again(data)), expected)
    assert again.get_layer("outer").pattern == Exponential(3)
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    assert not np.array_equal(numpy(clone(data)), expected)
    clone.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numpy(clone(data)), expected)


@pytest.mark.parametrize("operator", OPERATORS)
def test_mixed_precision_keeps_weights_in_float32(operator):
    keras.config.set_dtype_policy("mixed_float16")
    block = SparseAggregationBlock([dense() for _ in range(4)], operator=operator)
    output = block(ops.ones((2, 4)))
    assert keras.backend.standardize_dtype(output.dtype) == "float16"
    assert {w.dtype for w in block.weights} == {"float32"}


def test_units_of_another_precision_are_cast():
    block = SparseAggregationBlock([dense(dtype="float16"), dense()], operator="sum", dtype="float32")
    assert keras.backend.standardize_dtype(block(ops.ones((2, 4))).dtype) == "float32"


def test_training_mode_reaches_the_units():
    block = SparseAggregationBlock([layers.Dropout(0.999, seed=1)], "previous")
    x = ops.ones((4, 64))
    assert np.all(numpy(block(x)) == 1)
    assert np.mean(numpy(block(x, training=True)) == 0) > 0.5


def test_depth_costs_no_recursion():
    x = keras.Input((2,))
    model = keras.Model(x, SparseAggregationBlock([dense(2) for _ in range(1200)], operator="sum")(x))
    assert len(model.layers) == 2
    assert model.count_params() == 1200 * 6


def test_shape_mismatch_names_block_and_outputs():
    with pytest.raises(ValueError, match=r'"stage" must agree.*output 0 with shape \(2, 3\), output 1.*\(2, 4\)'):
        SparseAggregationBlock([dense(4)], "all", operator="sum", name="stage")(ops.ones((2, 3)))


@pytest.mark.parametrize(
    ("units", "message"),
    [([], "non-empty list"), ([1], "non-empty list"), (layers.Dense(1), "non-empty list")],
)
def test_units_must_be_layers(units, message):
    with pytest.raises(ValueError, match=message):
        SparseAggregationBlock(units)


def test_a_unit_used_twice_is_refused():
    unit = dense(name="twice")
    with pytest.raises(ValueError, match=r"distinct layers.*twice.*Make a new layer"):
        SparseAggregationBlock([unit, unit])
