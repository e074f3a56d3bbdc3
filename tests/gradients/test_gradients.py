"""Gradients outside of the training step: against other ways to compute them."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse.gradients import flow_gradients, hessian_gradients, loss_gradients
from keras_sparse.layers import MaskedConv2D, MaskedDense, SparseConv2D
from keras_sparse.transforms.mask_in_place import mask_in_place
from tensors import numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6)).astype("float32")
Y = RNG.normal(size=(16, 3)).astype("float32")
IMAGES = RNG.normal(size=(8, 5, 5, 3)).astype("float32")
LABELS = RNG.integers(0, 3, 8)
WEIGHTS = RNG.random(8).astype("float32")


def dense_model():
    first = MaskedDense(7, sparsity=0.6, seed=1, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.1))
    network = keras.Sequential([keras.Input((6,)), first, MaskedDense(3, sparsity=0.5, seed=2)])
    network.compile("sgd", "mse")
    return network, list(network.layers), (X, Y)


def image_model():
    inputs = keras.Input((5, 5, 3))
    one, other = MaskedConv2D(4, 3, sparsity=0.5, seed=1, activation="tanh"), SparseConv2D(4, 2, sparsity=0.5, seed=2)
    head = MaskedDense(3, sparsity=0.5, seed=3)
    outputs = head(layers.GlobalAveragePooling2D()(other(layers.BatchNormalization()(one(inputs)))))
    network = keras.Model(inputs, outputs)
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), weighted_metrics=["accuracy"])
    return network, [one, other, head], (IMAGES, LABELS, WEIGHTS)


def stock_twin(network, masked):
    """The same function of its kernels without any mask."""

    def stock(layer):
        kind = {MaskedDense: layers.Dense, MaskedConv2D: layers.Conv2D, SparseConv2D: layers.Conv2D}.get(type(layer))
        if kind is None:
            return type(layer).from_config(layer.get_config())
        own = {"sparsity", "topology", "format", "block_size", "seed", "implementation"}
        return kind.from_config({k: v for k, v in layer.get_config().items() if k not in own})

    twin = keras.models.clone_model(network, clone_function=stock)
    twin.build(network.input_shape)
    for old, new in zip(network.layers, twin.layers, strict=True):
        if hasattr(old, "dense_kernel"):
            new.set_weights([old.dense_kernel(), numpy(old.bias)])
        else:
            new.set_weights(old.get_weights())
    twin.compile("sgd", network.loss)
    return twin, [twin.layers[network.layers.index(layer)] for layer in masked]


@pytest.mark.parametrize("make", [dense_model, image_model])
def test_loss_gradients_are_those_of_the_dense_twin(make):
    network, masked, batch = make()
    gradients = loss_gradients(network, masked, batch)
    assert [g.dtype for g in gradients] == ["float32"] * len(masked)
    twin, stock = stock_twin(network, masked)
    expected = by_tape(twin, stock, batch)
    for layer, ours, theirs in zip(masked, gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        where = np.broadcast_to(~layer.mask, ours.shape)
        assert where.any()
        assert (ours[where] != 0).mean() > 0.3  # cut weights have them too, unless nothing reads what they make


def by_tape(network, of, batch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a tape is TensorFlow's")
    import tensorflow as tf

    x, y, *weight = batch
    with tf.GradientTape() as tape:
        loss = network.compute_loss(
            x=x, y=y, y_pred=network(x, training=True), sample_weight=weight[0] if weight else None
        )
    return [numpy(g) for g in tape.gradient(loss, [layer.kernel.value for layer in of])]


def test_loss_gradients_are_slopes():
    """Central differences of the loss, connection by connection, cut ones included."""
    network, masked, batch = dense_model()
    gradients = loss_gradients(network, masked, batch)
    twin, stock = stock_twin(network, masked)

    def loss():
        return float(twin.compute_loss(x=X, y=Y, y_pred=twin(X)))

    for layer, gradient in zip(stock, gradients, strict=True):
        kernel = numpy(layer.kernel)
        for cell in [(0, 0), (1, 2), (5, 1), (3, 0)]:
            values = []
            for step in (1e-2, -1e-2):
                moved = kernel.copy()
                moved[cell] += step
                layer.kernel.assign(moved)
                values.append(loss())
            layer.kernel.assign(kernel)
            assert (values[0] - values[1]) / 2e-2 == pytest.approx(gradient[cell], rel=2e-2, abs=1e-3)


def test_hessian_gradients_of_a_quadratic():
    """For a linear layer and the mean squared error the Hessian is 2 x'x / (n outputs), for each output alone."""
    network = keras.Sequential([keras.Input((6,)), MaskedDense(3, sparsity=0.5, seed=1, use_bias=False)])
    network.compile("sgd", "mse")
    layer = network.layers[0]
    hessian = 2 * X.T @ X / (16 * 3)
    gradient = 2 * X.T @ (X @ layer.dense_kernel() - Y) / (16 * 3)
    np.testing.assert_allclose(loss_gradients(network, [layer], (X, Y))[0], gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(hessian_gradients(network, [layer], (X, Y))[0], hessian @ gradient, rtol=1e-4, atol=1e-6)


def test_hessian_gradients_across_layers():
    """By differences of gradients, along the gradient of all layers at once."""
    network, masked, batch = dense_model()
    product = hessian_gradients(network, masked, batch)
    twin, stock = stock_twin(network, masked)
    mask_in_place(twin)
    start = [numpy(layer.kernel) for layer in stock]
    direction = loss_gradients(twin, stock, batch)
    ends = []
    for step in (1e-2, -1e-2):
        for layer, kernel, along in zip(stock, start, direction, strict=True):
            layer.kernel.assign(kernel + step * along)
        ends.append(loss_gradients(twin, stock, batch))
    for ours, plus, minus in zip(product, *ends, strict=True):
        np.testing.assert_allclose(ours, (plus - minus) / 2e-2, rtol=2e-2, atol=1e-3)


def test_flow_gradients_of_a_chain():
    """For a chain of linear layers: the product of what flows in and what flows on, by absolute weights."""
    network = keras.Sequential([keras.Input((2,)), layers.Dense(2), layers.Dense(1)])
    masked = mask_in_place(network)
    network.layers[0].set_weights([np.array([[1.0, -2.0], [3.0, 4.0]]), np.array([-1.0, 0.0]), *_rest(masked[0])])
    network.layers[1].set_weights([np.array([[-5.0], [6.0]]), np.array([7.0]), *_rest(masked[1])])
    one, other = flow_gradients(network, network.layers)
    np.testing.assert_allclose(one, [[5, 6], [5, 6]])
    np.testing.assert_allclose(other, [[1 + 3 + 1], [2 + 4 + 0]])  # the bias flows too
    # The scores of the layers have one sum, which is conserved, where there are no biases.
    for layer in network.layers:
        layer.bias.assign(np.zeros(layer.bias.shape))
    one, other = flow_gradients(network, network.layers)
    kernels = [np.abs(numpy(layer.kernel)) for layer in network.layers]
    assert (one * kernels[0]).sum() == (other * kernels[1]).sum() == 5 * 4 + 6 * 6


def _rest(layer):
    return [numpy(v) for v in layer.non_trainable_variables]


def test_flow_gradients_respect_cuts_and_take_saturating_activations_as_linear():
    first = MaskedDense(2, topology=[[1, 0], [1, 1]], activation="tanh", kernel_initializer="ones")
    network = keras.Sequential([keras.Input((2,)), first, layers.Dense(3, "softmax", kernel_initializer="ones")])
    mask_in_place(network)
    one, other = flow_gradients(network, network.layers)
    np.testing.assert_allclose(other, [[2, 2, 2], [1, 1, 1]])
    np.testing.assert_allclose(one * first.mask, 3 * first.mask)
    assert first.activation is keras.activations.tanh
    assert network.layers[1].activation is keras.activations.softmax


def test_nothing_in_the_model_changes():
    inputs = keras.Input((5, 5, 3))
    x = layers.BatchNormalization()(MaskedConv2D(4, 3, sparsity=0.5, seed=1)(inputs))
    x = layers.Dropout(0.5, seed=1)(layers.GaussianNoise(0.5, seed=2)(x))
    network = keras.Model(inputs, MaskedDense(3, sparsity=0.5, seed=2)(layers.GlobalAveragePooling2D()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)
    network.fit(IMAGES, LABELS, verbose=0)
    masked = [layer for layer in network.layers if hasattr(layer, "mask") and hasattr(layer, "dense_kernel")]
    assert len(masked) == 2

    def state():
        metrics = [v for metric in network.metrics for v in metric.variables]
        seeds = [layer.seed_generator.state for layer in network.layers if hasattr(layer, "seed_generator")]
        assert len(seeds) == 2
        return [numpy(v) for v in (*network.variables, *network.optimizer.variables, *metrics, *seeds)]

    before = state()
    first = loss_gradients(network, masked, (IMAGES, LABELS))
    hessian_gradients(network, masked, (IMAGES, LABELS))
    flow_gradients(network, masked)
    again = loss_gradients(network, masked, (IMAGES, LABELS))
    for one, other in zip(before, state(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(first, again, strict=True):  # the same dropout each time
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert not any(layer.has_dense_gradient for layer in masked)


def test_several_inputs_and_outputs():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    one, other = MaskedDense(3, sparsity=0.5, seed=1), MaskedDense(3, sparsity=0.5, seed=2)
    network = keras.Model({"a": a, "b": b}, [one(a), other(layers.Add()([a, b]))])
    network.compile("sgd", ["mse", "mse"], loss_weights=[1.0, 0.5])
    gradients = loss_gradients(network, [one, other], ({"a": X, "b": X}, [Y, Y]))
    expected = 2 * X.T @ (X @ one.dense_kernel() - Y) / 48, X.T @ (2 * X @ other.dense_kernel() - Y) * 2 * 2 * 0.5 / 48
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert [g.shape for g in flow_gradients(network, [one, other])] == [(6, 3), (6, 3)]


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    network, masked, batch = image_model()
    gradients = loss_gradients(network, masked, batch)
    assert all(g.dtype == np.float32 and np.isfinite(g).all() and g.any() for g in gradients)


def test_a_kernel_that_the_loss_does_not_depend_on():
    inputs = keras.Input((6,))
    used, unused = MaskedDense(3, sparsity=0.5, name="used"), MaskedDense(3, sparsity=0.5, name="unused")
    network = keras.Model(inputs, [used(inputs), unused(inputs)])
    network.compile("sgd", ["mse", None])
    if keras.backend.backend() == "jax":
        assert not loss_gradients(network, [used, unused], (X, [Y, Y]))[1].any()
        return
    with pytest.raises(ValueError, match=r"depends on every kernel\. Received: unused without a gradient"):
        loss_gradients(network, [used, unused], (X, [Y, Y]))
    with pytest.raises(
        ValueError, match=r"`model` of somebody must have a loss that depends on every kernel\. Received: u"
    ):
        hessian_gradients(network, [used, unused], (X, [Y, Y]), owner="somebody")
    hidden = keras.Model(inputs, used.output)
    with pytest.raises(ValueError, match=r"`model` of flow_gradients must have outputs that depend on every kernel"):
        flow_gradients(hidden, [used, unused])
    assert not used.has_dense_gradient
