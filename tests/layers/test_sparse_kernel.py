"""What `MaskedDense` and `SparseConv2D` have in common; what is their own is tested beside."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.layers import MaskedDense
from keras_sparse.topologies import Connections, Expander, RandomEdge, RandomFanIn
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


# The connections


@pytest.mark.parametrize("kind", LAYERS)
def test_both_formats_have_the_same_connections(kind):
    one, other = (built(kind, topology="random_edge", format=format) for format in FORMATS)
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.mask, RandomEdge(sparsity=0.5, seed=3)(8, 6))
    for layer in (one, other):
        assert isinstance(layer.connections, Connections)
        np.testing.assert_array_equal(layer.connections.mask(), layer.mask)
        positions = 9 if kind == "conv" else 1
        assert layer.connected_weights == layer.mask.sum() * positions
        assert layer.dense_weights == 48 * positions
        assert np.all(layer.dense_kernel()[..., ~layer.mask] == 0)
    other.set_dense_kernel(one.dense_kernel())
    np.testing.assert_array_equal(one.dense_kernel(), other.dense_kernel())
    np.testing.assert_allclose(numpy(one(batch(kind))), numpy(other(batch(kind))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("block_size", [1, 2])
def test_moving_keeps_what_survives_and_starts_the_rest_at_zero(kind, format, block_size):
    layer = built(kind, format=format, block_size=block_size)
    before, old = layer.dense_kernel(), layer.mask
    new = np.roll(old, block_size, axis=0)
    layer.set_mask(new)
    np.testing.assert_array_equal(layer.mask, new)
    np.testing.assert_array_equal(layer.dense_kernel(), np.where(old & new, before, 0))
    answer = numpy(layer(batch(kind)))
    stock = built(kind, topology=new, sparsity=0.9)
    stock.set_dense_kernel(layer.dense_kernel())
    np.testing.assert_allclose(answer, numpy(stock(batch(kind))), rtol=1e-4, atol=1e-5)


def test_masked_connections_may_leave_their_blocks():
    layer = built("dense", block_size=2)
    mask = layer.mask
    mask[0, 0] = not mask[0, 0]
    layer.set_mask(mask)
    np.testing.assert_array_equal(layer.mask, mask)
    assert layer.connections.block_size == 1


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_compact_layer_gets_room_for_other_connections(kind, fresh):
    layer = built(kind, format="compact", sparsity=0.75, kernel_initializer="ones")
    before, old, paths = layer.dense_kernel(), layer.mask, [weight.path for weight in layer.weights]
    more = Connections.from_mask(old | RandomEdge(sparsity=0.5, seed=1)(8, 6))
    layer.relay(more, layer.kernel_initializer if fresh else None)
    np.testing.assert_array_equal(layer.mask, more.mask())
    kernel = layer.dense_kernel()
    np.testing.assert_array_equal(kernel[..., old], before[..., old])
    assert np.all(kernel[..., more.mask() & ~old] == (1 if fresh else 0))
    assert layer.values.shape[0] == len(more)
    assert [weight.path for weight in layer.weights] == paths
    assert layer.trainable_variables[0] is layer.values is layer.trained_kernel
    layer.relay(Connections.from_mask(old))
    np.testing.assert_array_equal(layer.dense_kernel(), before)


def test_what_a_clone_shares_is_the_connections():
    model = network()
    clone = keras.models.clone_model(model)
    for one, other in zip(sparse_layers(model), sparse_layers(clone), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert not np.array_equal(numpy(one.kernel), numpy(other.kernel))


def test_layers_without_a_seed_differ_from_each_other():
    layers = [MaskedDense(30, sparsity=0.5) for _ in range(2)]
    for layer in layers:
        layer.build((None, 30))
    assert not np.array_equal(layers[0].mask, layers[1].mask)
    assert layers[0].seed != layers[1].seed
    keras.utils.set_random_seed(7)
    again = MaskedDense(30, sparsity=0.5)
    assert again.seed == layers[0].seed


# Configuration


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"topology": "fibonacci_rotating", "sparsity": 0.6, "block_size": 2, "seed": 9, "format": "compact"},
        {"topology": Expander(out_degree=2, seed=4), "sparsity": 0.9, "seed": None},
        {"topology": np.eye(8, 6), "sparsity": 0.9, "seed": 1},
        {
            "kernel_initializer": "he_normal",
            "kernel_regularizer": "l2",
            "kernel_constraint": "non_neg",
            "use_bias": False,
        },
        {"dtype": "mixed_bfloat16", "activation": "relu", "bias_regularizer": "l1", "activity_regularizer": "l2"},
    ],
    ids=["named", "topology", "mask", "kernel", "other"],
)
def test_the_configuration_survives_and_building_does_not_change_it(kind, arguments):
    layer = LAYERS[kind](**{"seed": 3, **arguments})
    saved = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(saved)
    layer.build((None, *INPUTS[kind]))
    assert layer.get_config() == again.get_config() == saved["config"]
    again.build((None, *INPUTS[kind]))
    np.testing.assert_array_equal(layer.mask, again.mask)


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


# Errors


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "csr"}, "`format` of {owner} must be one of 'masked', 'compact'. Received: format='csr'"),
        ({"sparsity": 1.0}, "`sparsity` of {owner} must be a number in [0, 1). Received: sparsity=1.0"),
        ({"sparsity": None}, "`sparsity` of {owner} must be a number in [0, 1). Received: sparsity=None"),
        ({"block_size": 0}, "`block_size` of {owner} must be an integer >= 1. Received: block_size=0"),
        ({"seed": -1}, "`seed` of {owner} must be an integer >= 0. Received: seed=-1"),
        ({"topology": "expandr"}, "Did you mean 'expander'"),
        ({"topology": "from_mask"}, "`topology` of {owner} must come with its connections"),
        ({"topology": 3}, "Pass a name or an instance"),
        ({"topology": [1, 0]}, "must be a boolean array (fan_in, fan_out)"),
        (
            {"topology": RandomFanIn(in_degree=2, seed=1), "sparsity": 0.5},
            "`sparsity` of {owner} must be left out, or that of its topology, None. Received: sparsity=0.5",
        ),
        (
            {"topology": Expander(sparsity=0.7, seed=1), "sparsity": 0.5},
            "that of its topology, 0.7. Received: sparsity=0.5",
        ),
        ({"topology": Expander(sparsity=0.7, seed=1), "block_size": 2}, "`block_size` of {owner} must be left out"),
        ({"topology": Expander(sparsity=0.7, seed=1), "seed": 2}, "`seed` of {owner} must be left out"),
        ({"topology": np.eye(8, 6), "sparsity": 0.5}, "`sparsity` of {owner} must be left out"),
        (
            {"format": "compact", "kernel_initializer": "orthogonal"},
            "`kernel_initializer` of {owner} must be one of VarianceScaling, ",
        ),
        (
            {"format": "compact", "kernel_regularizer": "orthogonal_regularizer"},
            "`kernel_regularizer` of {owner} must be one of L1, L2, L1L2 with format='compact'",
        ),
        (
            {"format": "compact", "kernel_constraint": "max_norm"},
            "`kernel_constraint` of {owner} must be one of NonNeg with format='compact'",
        ),
    ],
    ids=str,
)
def test_arguments_that_are_refused(kind, arguments, message):
    with pytest.raises(ValueError) as caught:
        LAYERS[kind](**arguments, name="few")
    owner = "MaskedDense" if kind == "dense" else "SparseConv2D"
    assert message.format(owner=f'{owner} "few"') in str(caught.value)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"topology": RandomFanIn(in_degree=9)}, "`in_degree` of RandomFanIn must be an integer in [1, fan_in]"),
        ({"topology": np.eye(8)}, "must have the shape of the layer, (fan_in, fan_out) = (8, 6)"),
        ({"block_size": 4}, "must be a divisor of both fan_in=8 and fan_out=6"),
    ],
    ids=["degree", "mask", "block_size"],
)
def test_sizes_are_checked_when_the_layer_is_built(kind, format, arguments, message):
    with pytest.raises(ValueError) as caught:
        LAYERS[kind](format=format, **arguments)(batch(kind))
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", LAYERS)
def test_masks_that_are_refused(kind):
    with pytest.raises(ValueError, match=r"`mask` of .* must be of shape \(8, 6\). Received: mask=\(6, 8\)"):
        built(kind).set_mask(np.ones((6, 8)))
    with pytest.raises(ValueError, match="must be a boolean array"):
        built(kind).set_mask(np.full((8, 6), 2))
    for mask in (np.ones((8, 6)), np.zeros((8, 6))):
        with pytest.raises(ValueError, match=r"one with 24 connections, for which the layer has room"):
            built(kind, format="compact").set_mask(mask)


@pytest.mark.parametrize("format", FORMATS)
def test_what_there_is_not(format):
    layer = MaskedDense(4, format=format, name="few")
    for name in ("mask", "connections", "kernel"):
        with pytest.raises(AttributeError):
            getattr(layer, name)
    with pytest.raises(AttributeError, match='MaskedDense "few" is masked: its weights are in `kernel`'):
        _ = MaskedDense(4, name="few").values
