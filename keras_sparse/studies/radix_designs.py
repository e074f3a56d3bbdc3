"""RadiX-Nets in the place of layers of LeNet, their random twins, and the memory that training them takes."""

import functools
import itertools

import keras

from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.applications import MLP, MODELS
from keras_sparse.datasets import SOURCES
from keras_sparse.studies.peak_memory import peak_memory
from keras_sparse.studies.training_costs import prepare, random_batch
from keras_sparse.topologies import RadixNet

DENSE, RADIX, RANDOM = "dense", "RadiX-Net", "random"
UNITS, CONNECTIONS = "units", "connections"  # what is that of the dense network
PRINTED = "784-3000-100-10"  # the network whose RadiX-Net the paper prints
COMPACT_FROM = 10  # times as wide: dense kernels would be slower there, or too large
STEM = 20  # filters of the first convolution of LeNet-5
STEPS, BATCH = 5, 32  # in which memory is measured


def designs(network, kinds, units, connections):
    """List of `(kind, fixed, factor)`: the dense network, and what is made of it.

    Args:
        network: "lenet_300_100" or "lenet5".
        kinds: Which of "dense", "RadiX-Net", "random".
        units: By which the connections are divided, with the units of the dense network.
        connections: By which the units are multiplied, with its connections.
    """
    changes = [(UNITS, factor) for factor in units] + [(CONNECTIONS, factor) for factor in connections]
    if network == "lenet_300_100" and COMPACT_FROM in connections:
        changes.append((PRINTED, COMPACT_FROM))
    sparse = itertools.product([kind for kind in kinds if kind != DENSE], changes)
    return [(DENSE, UNITS, 1)] * (DENSE in kinds) + [(kind, *change) for kind, change in sparse]


def build(network, dataset, kind, fixed, factor, seed):
    """The model of a design, with new weights.

    A random twin has, on average, as many connections in each layer as the RadiX-Net.
    """
    keras.utils.set_random_seed(seed)
    width = factor if fixed == CONNECTIONS else 1
    constructor = functools.partial(
        MODELS.lookup(network, "build"),
        width=width,
        input_shape=SOURCES[dataset].image_shape,
        classes=SOURCES[dataset].classes,
        format="compact" if fixed != UNITS and factor >= COMPACT_FROM else "masked",
    )
    if kind == DENSE:
        return constructor()
    if fixed == PRINTED:
        constructor = functools.partial(MLP, **constructor.keywords, hidden=(3000, 100), activation="relu")
        chain = RadixNet.chain((10, 10), (8, 30, 1))
    else:
        chain = [RadixNet(1 - d, layer=i, seed=0) for i, d in enumerate(densities(network, fixed, factor))]
    radix = constructor(topology=chain)
    if kind == RADIX:
        return radix
    sparsity = {layer.name: layer.connections.sparsity for layer in sparse_layers(radix)}
    return constructor(sparsity=sparsity, topology="random_edge", seed=seed)


def densities(network, fixed, factor):
    """Those of the two sparse layers of a network."""
    if fixed == UNITS:
        first, second, width = 1 / factor, 1 / factor, 1
    else:
        # There are more units on both sides of a layer, but the image is as it is.
        first, second, width = (1 / factor if network == "lenet_300_100" else 1 / factor**2), 1 / factor**2, factor
    return (max(first, 1 / (STEM * width)), second) if network == "lenet5" else (first, second)


def memory_of_training(*design):
    """GiB that some steps of training take, above what this process has held before."""
    before = peak_memory()
    model = build(*design)
    prepare(model, learning_rate=1e-3)
    images, labels = random_batch(BATCH, model.input_shape[1:], model.output_shape[-1])
    for _ in range(STEPS):
        model.train_on_batch(images, labels)
    return peak_memory() - before
