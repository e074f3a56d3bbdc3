"""Loops against the unrolled form, in float64: outputs, gradients, moving statistics, in training and in prediction.

Keras computes in float32 on JAX and PyTorch, at least in places: so much can agree there.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.aggregation import All, Concat, Exponential, Sum, Window
from keras_sparse.gradients import _differentiate
from keras_sparse.layers import LoopedAggregationBlock, PreactivationUnit, SparseAggregationBlock
from keras_sparse.layers.two_forms import copy_weights, has_looped_form, looped_form, unrolled_form
from keras_sparse.loops.segments import Segment, segments

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)


def close(actual, expected, exact, single=1e-4, **options):
    """Equal to a relative `exact`, and to as much of the largest value; to `single` in float32."""
    tolerance = exact if BACKEND == "tensorflow" else single
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale, **options)


@pytest.fixture(autouse=True)
def _float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")


def units(count, filters, kernel_size, strides=1):
    return [
        PreactivationUnit(filters, kernel_size, strides=strides if i == 0 else 1, name=f"stage_block{i + 1}")
        for i in range(count)
    ]


def both_forms(count, filters, kernel_size, channels, strides=None, remat=False, size=6, **options):
    """The same block in two models: unrolled, looped."""
    models = []
    for looped in (False, True):
        keras.utils.set_random_seed(1)
        parts = units(count, filters, kernel_size, strides or 1)
        shortcut = None
        if strides is not None:
            shortcut = keras.layers.Conv2D(parts[0].filters[-1], 1, strides=max(strides), use_bias=False)
        if looped:
            block = LoopedAggregationBlock.from_units(parts, shortcut, remat=remat, name="stage", **options)
        else:
            block = SparseAggregationBlock(parts, shortcut=shortcut, name="stage", **options)
        x = keras.Input((size, size, channels))
        models.append(keras.Model(x, keras.layers.GlobalAveragePooling2D()(block(x) ** 2)))
    return models


# name: arguments of `both_forms`. Nine units behind a wider input have units alone, and loops.
CASES = {
    "concat": {"count": 9, "filters": (6, 3), "kernel_size": (1, 3), "channels": 3},
    "concat, wider input": {"count": 21, "filters": (6, 3), "kernel_size": (1, 3), "channels": 5},
    "concat, remat": {"count": 9, "filters": (6, 3), "kernel_size": (1, 3), "channels": 5, "remat": True},
    "window": {"count": 7, "filters": 3, "kernel_size": 3, "channels": 5, "pattern": "window:2"},
    "running sum": {
        "count": 6, "filters": (3, 3, 6), "kernel_size": (1, 3, 1), "channels": 4, "strides": (1, 2, 1),
        "pattern": "all", "operator": "sum",
    },
    "running mean, remat": {
        "count": 6, "filters": (3, 4), "kernel_size": (3, 3), "channels": 4, "pattern": "all", "operator": "mean",
        "remat": True,
    },
    "running sum, in parts": {
        "count": 23, "filters": (3, 4), "kernel_size": (1, 3), "channels": 4, "strides": (1, 2), "size": 4,
        "pattern": "all", "operator": "sum", "remat": True,
    },
    "sum of a window, in parts": {
        "count": 22, "filters": (3, 4), "kernel_size": (1, 3), "channels": 4, "size": 4, "pattern": "window:2",
        "operator": "sum", "remat": True,
    },
    "sum": {
        "count": 9, "filters": (4, 6), "kernel_size": (3, 3), "channels": 4, "strides": (2, 1), "operator": "sum",
    },
    "mean": {"count": 9, "filters": (4, 4), "kernel_size": (3, 1), "channels": 4, "operator": "mean", "base": 3},
}  # fmt: skip
SOME = ["concat, wider input", "running sum", "sum"]
if BACKEND == "jax":  # which compiles for long
    CASES = {name: CASES[name] for name in (*SOME[:2], "running sum, in parts")}
    SOME = SOME[1:2]


def images(model, count=3):
    return np.random.default_rng(2).normal(size=(count, *model.input_shape[1:]))


def numpy(tensors):
    return [np.asarray(ops.convert_to_numpy(tensor)) for tensor in tensors]


def packed(block):
    """What a looped block with the weights of an unrolled one holds."""
    twin = looped_form(block)
    twin.build(block.get_build_config()["input_shape"])
    copy_weights(block, twin)
    return numpy(twin.variables)


def gradients(model, x, training):
    """Of the sum of the output, for the image and all trained variables."""
    variables = model.trainable_variables

    def loss(tensors):
        image, *values = tensors
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            return ops.sum(model(image, training=training))

    return numpy(_differentiate(loss, [ops.convert_to_tensor(x), *(ops.convert_to_tensor(v) for v in variables)]))


@pytest.mark.parametrize("name", CASES)
def test_initial_weights_and_predictions_are_those_of_the_unrolled_form(name):
    unrolled, looped = both_forms(**CASES[name])
    assert looped.count_params() == unrolled.count_params()
    assert looped.output_shape == unrolled.output_shape
    x = images(unrolled)
    for training in (False, True):
        a, b = numpy([model(x, training=training) for model in (unrolled, looped)])
        close(a, b, 1e-12)
    for a, b in zip(packed(unrolled.get_layer("stage")), numpy(looped.get_layer("stage").variables), strict=True):
        close(a, b, 1e-12)  # moving statistics after a call in training mode, too


@pytest.mark.parametrize("training", [True, False] if BACKEND == "tensorflow" else [True])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_unrolled_form(name, training):
    unrolled, looped = both_forms(**CASES[name])
    block, twin = (model.get_layer("stage") for model in (unrolled, looped))
    x = images(unrolled)
    of_image, *of_weights = gradients(unrolled, x, training)
    expected = {id(v): g for v, g in zip(unrolled.trainable_variables, of_weights, strict=True)}
    # Gradients in the place of weights: so they are packed as weights are.
    for variable in block.variables:
        variable.assign(expected.get(id(variable), ops.zeros_like(ops.convert_to_tensor(variable))))
    expected = [g for g, v in zip(packed(block), twin.variables, strict=True) if v.trainable]
    image, *found = gradients(looped, x, training)
    found = {id(v): g for v, g in zip(looped.trainable_variables, found, strict=True)}
    close(image, of_image, 1e-11)
    for variable, one in zip([v for v in twin.variables if v.trainable], expected, strict=True):
        close(found[id(variable)], one, 1e-11, err_msg=variable.path)


@pytest.mark.parametrize("name", SOME)
def test_training_is_that_of_the_unrolled_form(name):
    unrolled, looped = models = both_forms(**CASES[name])
    x = images(unrolled, 8)
    y = RNG.normal(size=(8, *unrolled.output_shape[1:]))
    for model in models:
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=BACKEND == "jax")
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(packed(unrolled.get_layer("stage")), numpy(looped.get_layer("stage").variables), strict=True):
        close(a, b, 1e-9, single=1e-2)
    close(*(model.predict(x, verbose=0) for model in models), 1e-9, single=1e-2)


def test_channels_first_and_mixed_precision():
    block = LoopedAggregationBlock(9, (6, 3), (1, 3), data_format="channels_first")
    assert block(keras.KerasTensor((None, 3, 8, 8))).shape == (None, 12, 8, 8)
    keras.config.set_dtype_policy("mixed_bfloat16")
    block = LoopedAggregationBlock(9, (6, 3), (1, 3))
    output = block(ops.ones((1, 4, 4, 5), "float32"), training=True)
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
    assert {weight.dtype for weight in block.weights} == {"float32"}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX and PyTorch have errors of their own")
def test_a_second_gradient_is_refused():
    block = LoopedAggregationBlock(5, 3, 3)
    with pytest.raises(NotImplementedError, match="unroll"):
        _differentiate(
            lambda outer: ops.sum(_differentiate(lambda inner: ops.sum(block(inner[0])), outer)[0]),
            [ops.ones((1, 4, 4, 3))],
        )


def test_frozen_statistics_stay():
    block = LoopedAggregationBlock(5, 3, 3)
    block.build((None, 4, 4, 3))
    block.trainable = False
    before = numpy(block.variables)
    x = RNG.normal(size=(2, 4, 4, 3))
    np.testing.assert_array_equal(*numpy([block(x, training=True), block(x, training=False)]))
    for a, b in zip(before, numpy(block.variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_forms_convert_and_keep_names():
    _, looped = both_forms(**CASES["running sum"])
    block = looped.get_layer("stage")
    unrolled = unrolled_form(block)
    assert [unit.name for unit in unrolled.units] == [f"stage_block{i + 1}" for i in range(6)]
    assert unrolled.units[0].strides == (1, 2, 1)
    assert unrolled.links == block.links
    assert has_looped_form(unrolled)
    unrolled.units[3].convolutions[0].trainable = False
    assert not has_looped_form(unrolled)
    assert not has_looped_form(SparseAggregationBlock(units(2, 3, 3) + units(1, 4, 3)))


def test_segments():
    concat, add = Concat(), Sum()
    assert segments(Exponential(), concat, 1, 7, apart=True) == [
        Segment(1, 1, (1,)), Segment(2, 1, (2, 1)), Segment(3, 1, (2, 1)), Segment(4, 1, (4, 2, 1)),
        Segment(5, 3, (4, 2, 1)),
    ]  # fmt: skip
    assert segments(Exponential(), concat, 1, 7, apart=False)[-1] == Segment(4, 4, (4, 2, 1))
    assert segments(Window(2), concat, 1, 50, apart=True)[-1] == Segment(3, 48, (2, 1))
    # Far out a graph grows with the logarithm of depth; that of a sum does not grow.
    assert len(segments(Exponential(), concat, 1, 500, apart=True)) < 20
    assert segments(Exponential(), add, 2, 20, apart=False) == [Segment(2, 19, (16, 8, 4, 2, 1))]
    assert segments(All(), add, 2, 100, apart=False) == [Segment(2, 99, (1,))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units` of LoopedAggregationBlock"),
        ({"filters": (3, 0)}, "`filters` of LoopedAggregationBlock"),
        ({"kernel_size": (3, 3)}, "one integer for each of the 1 convolutions"),
        ({"pattern": "exponentail"}, "Did you mean 'exponential'"),
        ({"shortcut": keras.layers.Dense(3)}, "`first_unit` of LoopedAggregationBlock"),
        ({"remat": "yes"}, "`remat` of LoopedAggregationBlock"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        LoopedAggregationBlock(**{"units": 3, "filters": 3, "kernel_size": 3, **arguments})
