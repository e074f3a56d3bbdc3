"""Many small networks trained at once, as one sparse network.

>>> networks = [StackedNetwork([mask_a, mask_b], seed=seed) for seed in range(50)]
>>> accuracies = train_stack(networks, digits, epochs=20).accuracies
"""

import dataclasses
import itertools

import keras
import numpy as np
from keras import ops

from keras_sparse import checks
from keras_sparse.datasets.splits import ArraySplit
from keras_sparse.image_statistics import STATISTICS
from keras_sparse.layers import MaskedDense
from keras_sparse.topologies import Topology

STEPS_AT_ONCE = 32
PIXELS = ("standardized", "raw")


@dataclasses.dataclass(frozen=True)
class StackedNetwork:
    """One network of a stack.

    Attributes:
        layers: List of `Connections`, one for each layer, from the inputs to the classes.
        seed: Integer >= 0, of the initial weights.
    """

    layers: list
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class TrainedStack:
    """What `train_stack` found.

    Attributes:
        model: Keras model from images to `(batch, networks, classes)`.
        networks: List of `StackedNetwork`.
        accuracies: List of floats, each network's on the test images.
    """

    model: object
    networks: list
    accuracies: list

    def weights(self, network):
        """The weights of one network.

        Args:
            network: Integer, its place in `networks`.

        Returns:
            List of `(values, bias)`, one for each layer: the values in the order of its `Connections`.
        """
        found = []
        for index, layer in enumerate(_layers(self.model)):
            sizes = [len(one.layers[index]) for one in self.networks]
            units = self.networks[0].layers[index].fan_out
            first = sum(sizes[:network])
            values = ops.convert_to_numpy(layer.values)[first : first + sizes[network]]
            found.append((values, ops.convert_to_numpy(layer.bias)[network * units : (network + 1) * units]))
        return found


class SideBySide(Topology):
    """Layers of several networks as one layer.

    Args:
        parts: List of `Connections` of one shape.
        shared: Boolean, whether they read the same inputs; else each reads its own.
    """

    def __init__(self, parts, shared):
        super().__init__(seed=0)
        self.parts, self.shared = parts, shared

    def connect(self, fan_in, fan_out, rng):
        one = self.parts[0]
        inputs = [part.inputs + (0 if self.shared else i * one.fan_in) for i, part in enumerate(self.parts)]
        outputs = [part.outputs + i * one.fan_out for i, part in enumerate(self.parts)]
        return np.concatenate(inputs), np.concatenate(outputs)


def train_stack(
    networks, dataset, epochs, batch_size=32, learning_rate=0.01, input_dropout=0.0, dropout=0.0, seed=0,
    pixels="standardized",
):  # fmt: skip
    """Trains networks of the same sizes at once, each as if it were alone.

    Their layers are the parts of one compact layer, so that a step costs what their connections cost, and Keras's own
    time for a step, and for a start, is paid once for all. Networks have sigmoids in all layers, mean squared error
    against one-hot labels and stochastic gradient descent with Nesterov momentum 0.9, as in the SNN paper; initial
    weights by Glorot's normal for the dense layer, of which a network has those of its connections. The loss is the
    sum of theirs, and they share no weight: each ends where it would have ended trained alone on the same batches, to
    rounding. With `input_dropout` all lose the same inputs.

    Args:
        networks: Non-empty list of `StackedNetwork`, of the same sizes.
        dataset: `datasets.Dataset` of images in memory.
        epochs: Integer >= 1.
        batch_size: Integer >= 1.
        learning_rate: Number > 0.
        input_dropout: Number in [0, 1), dropout of the inputs.
        dropout: Number in [0, 1), dropout after each hidden layer.
        seed: Integer >= 0, of the order of the images, the same for all networks, and of dropout.
        pixels: "standardized", mean 0 and deviation 1 in each channel, or "raw", 0 to 255.

    Returns:
        A `TrainedStack`.

    Raises:
        ValueError: If an argument is out of range, or the networks differ in size or do not fit the data.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 4.1, https://arxiv.org/abs/1706.05683
    """
    epochs = checks.integer("epochs", epochs, "train_stack", minimum=1)
    pixels = checks.choice("pixels", pixels, "train_stack", PIXELS)
    _check(networks, dataset)
    statistics = STATISTICS[dataset.train.name] if pixels == "raw" else None
    model = stacked_model(networks, dataset.image_shape, input_dropout, dropout, seed, statistics)
    steps = dataset.train.steps(checks.integer("batch_size", batch_size, "train_stack", minimum=1))
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True),
        summed_error,
        steps_per_execution=_steps_at_once(steps),
        jit_compile=False,  # the native product is none of XLA's
    )
    batches = dataset.train.training_batches(batch_size, epochs, seed=seed)
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=0)
    return TrainedStack(model, list(networks), _accuracies(model, dataset.test))


def stacked_model(networks, image_shape, input_dropout=0.0, dropout=0.0, seed=0, statistics=None):
    """The untrained model of a stack: standardized images to `(batch, networks, classes)`.

    Arguments are as for `train_stack`; with `statistics`, the mean and deviation of each channel, the networks read raw
    pixels.
    """
    x = inputs = keras.Input(image_shape)
    if statistics:
        mean, deviation = statistics
        x = keras.layers.Rescaling([255 * one for one in deviation], [255 * one for one in mean])(x)
    x = keras.layers.Flatten()(x)
    for index in range(len(networks[0].layers)):
        rate = dropout if index else input_dropout
        if rate:
            x = keras.layers.Dropout(rate, seed=seed + index)(x)
        parts = [network.layers[index] for network in networks]
        layer = MaskedDense(
            len(parts) * parts[0].fan_out,
            topology=SideBySide(parts, shared=index == 0),
            format="compact",
            activation="sigmoid",
            kernel_initializer="zeros",
        )
        x = layer(x)
        layer.values.assign(np.concatenate([initial_values(network, index) for network in networks]))
    return keras.Model(inputs, keras.layers.Reshape((len(networks), -1))(x))


def initial_values(network, index):
    """The weights that a layer of a network begins with: array `(connections,)`."""
    part = network.layers[index]
    seed = int(np.random.SeedSequence([network.seed, index]).generate_state(1)[0] >> 1)  # PyTorch takes 31 bits
    kernel = keras.initializers.GlorotNormal(seed)((part.fan_in, part.fan_out))
    return ops.convert_to_numpy(kernel)[part.inputs, part.outputs]


def summed_error(labels, predictions):
    """The sum over the networks of each one's mean squared error.

    Args:
        labels: Integer tensor `(batch,)`.
        predictions: Tensor `(batch, networks, classes)`.
    """
    wanted = ops.one_hot(ops.reshape(labels, (-1, 1)), predictions.shape[-1], dtype=predictions.dtype)
    return ops.sum(ops.mean(ops.square(predictions - wanted), axis=-1), axis=-1)


def _steps_at_once(steps):
    """How many steps Keras may take without looking up; whole numbers of them make an epoch."""
    if keras.backend.backend() == "torch":  # which takes one at a time
        return 1
    return max(n for n in range(1, STEPS_AT_ONCE + 1) if steps % n == 0)


def _accuracies(model, split):
    right = 0
    for images, labels in split.batches(500):
        found = ops.convert_to_numpy(model.predict_on_batch(images)).argmax(axis=-1)
        right += (found == ops.convert_to_numpy(labels)[:, None]).sum(axis=0)
    return [float(count) for count in right / split.size]


def _layers(model):
    return [layer for layer in model.layers if isinstance(layer, MaskedDense)]


def _check(networks, dataset):
    shapes = [[(part.fan_in, part.fan_out) for part in network.layers] for network in networks]
    if not shapes or any(shape != shapes[0] for shape in shapes):
        raise checks.error(
            "networks", "train_stack", "a non-empty list of networks of the same sizes", shapes[:3],
            "Make a stack of each size.",
        )  # fmt: skip
    if not isinstance(dataset.train, ArraySplit):
        raise checks.error(
            "dataset", "train_stack", "one of images in memory", dataset.name, "Take 'mnist' or the like."
        )
    ends = (int(np.prod(dataset.image_shape)), *(fan_out for _, fan_out in shapes[0]))
    if list(itertools.pairwise(ends)) != shapes[0] or ends[-1] != dataset.classes:
        raise checks.error(
            "networks", "train_stack",
            f"layers that follow each other from {ends[0]} inputs to {dataset.classes} classes", shapes[0],
            "Take the sizes from the data set.",
        )  # fmt: skip
