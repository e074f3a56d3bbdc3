"""`MaskedDense` and `SparseConv2D` in training: exact zeros, gradients, precision, LoRA."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.layers import MaskedDense
from sparse_pair import (
    COMPILED,
    FORMATS,
    INPUTS,
    LAYERS,
    assert_exact_zeros,
    batch,
    built,
    images,
    network,
    sparse_layers,
)
from tensors import numpy

# Exact zeros

# Optimizer, and arguments of `compile` and of the layers.
SGD, AdamW = keras.optimizers.SGD, keras.optimizers.AdamW
TRAINING = {
    "nesterov, clipnorm": (lambda: SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.5), {}, {}),
    "global_clipnorm, accumulation": (
        lambda: SGD(0.05, momentum=0.9, global_clipnorm=0.5, gradient_accumulation_steps=2), {}, {},
    ),
    "adam, steps_per_execution, l1": (
        lambda: keras.optimizers.Adam(0.02), {"steps_per_execution": 3}, {"kernel_regularizer": "l1"},
    ),
    "adamw, jit_compile": (lambda: AdamW(0.02, weight_decay=0.1), {"jit_compile": True}, {}),
    "rmsprop, l2": (lambda: keras.optimizers.RMSprop(0.01, momentum=0.5), {}, {"kernel_regularizer": "l2"}),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAINING)
def test_cut_weights_are_exactly_zero_after_training_and_after_moving(case):
    optimizer, compilation, arguments = TRAINING[case]
    model = network(**arguments)
    model.compile(optimizer(), "mse", **{"jit_compile": COMPILED, **compilation})
    x, y = images()
    fit = {"batch_size": 4, "verbose": 0, "shuffle": False}
    model.fit(x, y, epochs=8, **fit)  # 48 steps
    assert_exact_zeros(model)
    for layer in sparse_layers(model):
        old = layer.mask
        layer.set_mask(np.roll(old, 1, axis=0))
        kernel = numpy(layer.kernel)
        assert np.all(kernel[..., ~layer.mask] == 0)
        assert np.any(old & ~layer.mask)
    # What was cut has momentum, and must not move.
    model.fit(x, y, epochs=4, **fit)
    assert_exact_zeros(model)


def test_averages_of_weights():
    """At the end of `fit`, Keras writes averages into the weights, past every constraint."""
    model = network()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, use_ema=True, ema_overwrite_frequency=7)
    model.compile(optimizer, "mse", jit_compile=COMPILED)
    x, y = images()
    model.fit(x, y, batch_size=4, epochs=6, verbose=0)
    assert_exact_zeros(model)


class Move(keras.callbacks.Callback):
    """Moves all connections by one input after the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            for layer in sparse_layers(self.model):
                layer.set_mask(np.roll(layer.mask, 1, axis=0))


def test_averages_of_weights_that_were_cut_are_not_used():
    model = network()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, use_ema=True, ema_overwrite_frequency=7)
    model.compile(optimizer, "mse", jit_compile=COMPILED)
    x, y = images()
    old = [layer.mask for layer in sparse_layers(model)]
    model.fit(x, y, batch_size=4, epochs=4, verbose=0, callbacks=[Move()])
    for layer, mask in zip(sparse_layers(model), old, strict=True):
        np.testing.assert_array_equal(layer.mask, np.roll(mask, 1, axis=0))
    before = numpy(model(x))
    for layer in sparse_layers(model):
        assert np.all(layer.dense_kernel()[..., ~layer.mask] == 0)
        layer.set_dense_kernel(layer.dense_kernel())
    np.testing.assert_array_equal(numpy(model(x)), before)
    assert_exact_zeros(model)


def test_a_thousand_steps():
    model = keras.Sequential([keras.Input((8,)), MaskedDense(6, sparsity=0.7), keras.layers.Dense(2)])
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.05), "mse", jit_compile=COMPILED, steps_per_execution=25)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(500, 8)), rng.normal(size=(500, 2)), batch_size=2, epochs=4, verbose=0)
    assert int(model.optimizer.iterations) == 1000
    assert_exact_zeros(model)


# Gradients, norms, regularizers


def after_one_step(format, start=None, **optimizer):
    """The layer and what SGD with momentum keeps of its first gradient, -learning_rate * gradient."""
    model = network(format)
    for layer in sparse_layers(model):
        if start is not None:
            layer.set_dense_kernel(start[layer.name])
    before = {layer.name: layer.dense_kernel() for layer in sparse_layers(model)}
    if start is not None:
        model.get_layer("head").set_weights(start["head"])
    before["head"] = model.get_layer("head").get_weights()
    model.compile(keras.optimizers.SGD(1.0, momentum=0.5, **optimizer), "mse", jit_compile=COMPILED)
    model.train_on_batch(*images())
    slots = {v.path: m for v, m in zip(model.trainable_variables, map(numpy, model.optimizer.momentums), strict=True)}
    return model, before, slots


def test_the_gradient_of_a_cut_weight_is_exactly_zero_and_norms_are_of_the_connected_ones_alone():
    model, start, slots = after_one_step("masked")
    for layer in sparse_layers(model):
        gradient = slots[layer.kernel.path]
        assert np.all(gradient[..., ~layer.mask] == 0)
        assert np.count_nonzero(gradient[..., layer.mask]) > 0.5 * gradient[..., layer.mask].size
    norm = np.sqrt(sum(np.sum(slot**2) for slot in slots.values()))
    compact, _, connected = after_one_step("compact", start)
    np.testing.assert_allclose(np.sqrt(sum(np.sum(slot**2) for slot in connected.values())), norm, rtol=1e-5)
    # So a clipped step is equally long in both, and is as long as the limit.
    limit = float(norm) / 10
    results = [after_one_step(format, start, global_clipnorm=limit) for format in FORMATS]
    for _, _, clipped in results:
        np.testing.assert_allclose(np.sqrt(sum(np.sum(slot**2) for slot in clipped.values())), limit, rtol=1e-4)
    for one, other in zip(*(sparse_layers(model) for model, _, _ in results), strict=True):
        np.testing.assert_allclose(one.dense_kernel(), other.dense_kernel(), rtol=1e-4, atol=1e-6)
    assert compact.count_params() < model.count_params()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("regularizer", "loss"),
    [
        (keras.regularizers.L2(0.3), lambda w: 0.3 * np.sum(w**2)),
        (keras.regularizers.L1(0.2), lambda w: 0.2 * np.sum(np.abs(w))),
    ],
    ids=["l2", "l1"],
)
def test_a_regularizer_sees_the_connected_weights_alone(kind, format, regularizer, loss):
    layer = built(kind, format=format, kernel_regularizer=regularizer)
    for _ in range(2):
        connected = layer.dense_kernel()[..., layer.mask]
        np.testing.assert_allclose(float(layer.losses[0]), loss(connected), rtol=1e-5)
        layer.set_mask(np.roll(layer.mask, 1, axis=1))


# Precision and LoRA


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    models = [network(format, dtype=policy) for format in FORMATS]
    x, _ = images()
    for one, two in zip(*map(sparse_layers, models), strict=True):
        two.set_dense_kernel(one.dense_kernel())
        assert one.kernel.dtype == two.kernel.dtype == "float32"
        assert keras.backend.standardize_dtype(one(ops.zeros((1, *one.input.shape[1:]))).dtype) == policy[6:]
    answers = [numpy(keras.Model(model.inputs[0], model.get_layer("dense").output)(x)) for model in models]
    np.testing.assert_allclose(*(answer.astype("float32") for answer in answers), atol=0.05)


def test_mixed_precision_with_loss_scaling_trains():
    x, y = images()
    for format in FORMATS:
        model = network(format, dtype="mixed_float16")
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=COMPILED)
        losses = [model.train_on_batch(x, y) for _ in range(4)]
        assert losses[-1] < losses[0]
        if format == "masked":
            assert_exact_zeros(model)


@pytest.mark.parametrize("kind", LAYERS)
def test_lora_adds_to_connections_only(kind, tmp_path):
    layer = built(kind)
    model = keras.Sequential([keras.Input(INPUTS[kind]), layer, keras.layers.Flatten(), keras.layers.Dense(2)])
    frozen = numpy(layer.kernel)
    layer.enable_lora(2)
    model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=COMPILED)
    x = batch(kind)
    losses = [model.train_on_batch(x, np.ones((4, 2))) for _ in range(4)]
    assert losses[-1] < losses[0]
    kernel = numpy(layer.kernel)
    assert np.all(kernel[..., ~layer.mask] == 0)
    assert np.all(kernel[..., layer.mask] != frozen[..., layer.mask])
    np.testing.assert_array_equal(layer.dense_kernel(), kernel)
    stock = built(kind, topology=layer.mask, sparsity=0.9)
    stock.set_dense_kernel(kernel)
    stock.bias.assign(layer.bias)
    np.testing.assert_allclose(numpy(layer(x)), numpy(stock(x)), rtol=1e-4, atol=1e-5)
    # Saving merges.
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(again(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)
    merged = numpy(again.layers[0]._kernel)
    assert np.all(merged[..., ~layer.mask] == 0)
    np.testing.assert_allclose(merged, kernel, rtol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_compact_layer_refuses_lora(kind):
    with pytest.raises(ValueError, match=r"`lora_rank` of .* must be None with format='compact'"):
        LAYERS[kind](format="compact", lora_rank=2)
    with pytest.raises(ValueError, match=r"`rank` of .* must be None with format='compact'"):
        built(kind, format="compact").enable_lora(2)
