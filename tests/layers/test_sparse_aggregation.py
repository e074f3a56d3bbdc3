import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.aggregation import Window
from keras_sparse.layers import SparseAggregation
from tensors import numpy


def outputs(count, shape=(2, 4, 4, 3)):
    return [ops.full(shape, float(i + 1)) for i in range(count)]


@pytest.mark.parametrize(("operator", "value"), [("sum", 8 + 7 + 5 + 1), ("mean", (8 + 7 + 5 + 1) / 4)])
def test_joins_the_selected_outputs(operator, value):
    joined = SparseAggregation(operator=operator)(outputs(8))
    assert joined.shape == (2, 4, 4, 3)
    np.testing.assert_allclose(numpy(joined), value)


def test_concatenates_oldest_first():
    joined = SparseAggregation()(outputs(8, shape=(1, 2)))
    np.testing.assert_array_equal(numpy(joined), [[1, 1, 5, 5, 7, 7, 8, 8]])


@pytest.mark.parametrize(("axis", "shape"), [(-1, (2, 4, 4, 6)), (1, (2, 8, 4, 3)), (3, (2, 4, 4, 6))])
def test_any_channel_position(axis, shape):
    layer = SparseAggregation(Window(2), axis=axis)
    assert layer(outputs(3)).shape == shape
    symbolic = layer([keras.KerasTensor((None, 4, 4, 3)) for _ in range(3)])
    assert symbolic.shape == (None, *shape[1:])


def test_base_and_pattern_are_arguments():
    assert SparseAggregation(base=3)(outputs(9, shape=(1, 1))).shape == (1, 3)
    assert SparseAggregation("all")(outputs(9, shape=(1, 1))).shape == (1, 9)


def test_shape_mismatch_under_sum_names_both_outputs():
    mixed = [ops.ones((2, 3)), ops.ones((2, 5)), ops.ones((2, 3))]
    with pytest.raises(ValueError, match=r'"join".*output 0 with shape \(2, 3\), output 1 with shape \(2, 5\)'):
        SparseAggregation("all", operator="sum", name="join")(mixed)


def test_shape_mismatch_under_concat_names_both_outputs():
    mixed = [ops.ones((2, 8, 8, 3)), ops.ones((2, 4, 4, 3))]
    with pytest.raises(ValueError, match=r"every axis but -1.*output 0.*\(2, 8, 8, 3\), output 1.*\(2, 4, 4, 3\)"):
        SparseAggregation("all")(mixed)


def test_only_what_is_selected_must_fit():
    mixed = [ops.ones((2, 9)), ops.ones((2, 3)), ops.ones((2, 3))]
    assert SparseAggregation(Window(2), operator="sum")(mixed).shape == (2, 3)


def test_a_single_tensor_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"must be a non-empty list of tensors.*Wrap a single tensor in a list"):
        SparseAggregation()(ops.ones((2, 3)))


def test_mixed_precision():
    joined = SparseAggregation(operator="sum", dtype="mixed_float16")(outputs(4))
    assert keras.backend.standardize_dtype(joined.dtype) == "float16"


def test_a_single_tensor_is_refused_after_a_list_too():
    layer = SparseAggregation()
    layer(outputs(3))
    with pytest.raises(ValueError, match="Wrap a single tensor in a list"):
        layer(ops.ones((4, 5)))
    with pytest.raises(ValueError, match=r"Received: \[\]"):
        layer([])


def test_integers_become_the_layers_dtype_symbolically_and_in_fact():
    layer = SparseAggregation(operator="sum")
    eager = layer([ops.ones((2, 3), dtype="int32")] * 2)
    symbolic = layer([keras.KerasTensor((2, 3), dtype="int32")] * 2)
    assert keras.backend.standardize_dtype(eager.dtype) == symbolic.dtype == "float32"
    assert layer.compute_output_shape([(2, 3), (2, 3)]) == (2, 3)


@pytest.mark.parametrize(("axis", "message"), [("c", "`axis` of SparseAggregation"), (7, "an axis of its inputs")])
def test_axis(axis, message):
    with pytest.raises(ValueError, match=message):
        SparseAggregation("all", axis=axis)(outputs(2))
