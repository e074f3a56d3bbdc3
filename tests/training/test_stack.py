"""Networks trained at once against the same networks trained one after another by Keras."""

import itertools

import keras
import numpy as np
import pytest

from keras_sparse.datasets import load
from keras_sparse.topologies import Expander, Rotating
from keras_sparse.training import StackedNetwork, train_stack
from keras_sparse.training.stack import initial_values, stacked_model, summed_error
from tensors import numpy


@pytest.fixture(scope="module")
def digits():
    return load("digits", examples=200)


def some_networks(*sizes):
    topologies = [Expander(sparsity=0.9, seed=3), Rotating(out_degree=3), Expander(sparsity=0.3, seed=4)]
    pairs = list(itertools.pairwise(sizes))
    return [StackedNetwork([one.connections(*pair) for pair in pairs], seed) for seed, one in enumerate(topologies)]


def alone(network, dataset, epochs, scale=lambda images: images):
    """The network in stock layers, cut after each update: its kernels, biases and test accuracy."""
    model = keras.Sequential([keras.Input(dataset.image_shape), keras.layers.Flatten()])
    for index, part in enumerate(network.layers):
        mask = part.mask().astype("float32")
        layer = keras.layers.Dense(
            part.fan_out, activation="sigmoid", kernel_constraint=lambda kernel, mask=mask: kernel * mask
        )
        model.add(layer)
        kernel = np.zeros(mask.shape, "float32")
        kernel[part.inputs, part.outputs] = initial_values(network, index)
        layer.kernel.assign(kernel)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), "mse")
    for images, labels in dataset.train.training_batches(32, epochs, seed=5):
        model.train_on_batch(scale(np.asarray(images)), np.eye(dataset.classes, dtype="float32")[np.asarray(labels)])
    scores = [numpy(model.predict_on_batch(scale(np.asarray(images)))) for images, _ in dataset.test.batches(100)]
    predicted = np.concatenate(scores).argmax(axis=1)
    weights = [(numpy(layer.kernel), numpy(layer.bias)) for layer in model.layers[1:]]
    return weights, (predicted == dataset.test.labels).mean()


@pytest.mark.parametrize("sizes", [(256, 12, 10), (256, 9, 7, 10)])
def test_same_as_one_after_another(sizes, digits):
    networks = some_networks(*sizes)
    trained = train_stack(networks, digits, epochs=3, seed=5)
    for index, network in enumerate(networks):
        expected, accuracy = alone(network, digits, epochs=3)
        for (values, bias), (kernel, other_bias), part in zip(
            trained.weights(index), expected, network.layers, strict=True
        ):
            np.testing.assert_allclose(values, kernel[part.inputs, part.outputs], atol=2e-6)
            np.testing.assert_allclose(bias, other_bias, atol=2e-6)
            assert np.abs(bias).max() > 1e-4  # it has moved, by far more than it may differ
        assert trained.accuracies[index] == pytest.approx(accuracy, abs=0.006)  # two of 360, for ties


def test_raw_pixels(digits):
    """From 0 to 255, as they are in the data set."""
    network = some_networks(256, 12, 10)[0]
    trained = train_stack([network], digits, epochs=1, seed=5, pixels="raw")

    expected, _ = alone(network, digits, epochs=1, scale=lambda images: 255 * (0.3753 * images + 0.3054))
    for (values, _), (kernel, _), part in zip(trained.weights(0), expected, network.layers, strict=True):
        np.testing.assert_allclose(values, kernel[part.inputs, part.outputs], atol=1e-4)
    model = stacked_model([network], digits.image_shape, statistics=((0.3054,), (0.3753,)))
    images = np.asarray(next(iter(digits.test.batches(5)))[0])
    read = keras.Model(model.input, model.layers[1].output)
    np.testing.assert_allclose(numpy(read(images)), digits.test.images[:5], atol=1e-3)


def test_order_of_the_networks_does_not_matter(digits):
    networks = some_networks(256, 12, 10)
    one, other = (train_stack(some, digits, epochs=1) for some in (networks, networks[::-1]))
    for index in range(3):
        for (a, _), (b, _) in zip(one.weights(index), other.weights(2 - index), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_loss_is_the_sum_of_theirs():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, 5), rng.random((5, 3, 4)).astype("float32")
    wanted = np.eye(4)[labels]
    expected = sum(((predictions[:, i] - wanted) ** 2).mean() for i in range(3))
    assert numpy(summed_error(*map(keras.ops.convert_to_tensor, (labels, predictions)))).mean() == pytest.approx(
        expected, rel=1e-6
    )


def test_dropout_in_training_only(digits):
    model = stacked_model(some_networks(256, 12, 10), digits.image_shape, input_dropout=0.2, dropout=0.5, seed=1)
    images = digits.test.images[:4].astype("float32") / 255
    one, two = (numpy(model(images, training=True)) for _ in range(2))
    assert np.abs(one - two).max() > 1e-3
    np.testing.assert_array_equal(numpy(model(images)), numpy(model(images)))
    assert one.shape == (4, 3, 10)


def test_what_does_not_fit_is_refused(digits):
    with pytest.raises(ValueError, match="networks of the same sizes"):
        train_stack([*some_networks(256, 12, 10), *some_networks(256, 11, 10)], digits, epochs=1)
    with pytest.raises(ValueError, match="networks of the same sizes"):
        train_stack([], digits, epochs=1)
    with pytest.raises(ValueError, match="from 256 inputs to 10 classes"):
        train_stack(some_networks(784, 12, 10), digits, epochs=1)
    with pytest.raises(ValueError, match="`pixels` of train_stack must be one of 'standardized', 'raw'"):
        train_stack(some_networks(256, 12, 10), digits, epochs=1, pixels="0..255")
