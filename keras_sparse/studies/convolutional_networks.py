"""The networks of the sparse-convolution paper: built, made sparse or narrow, counted, and how they are trained."""

import contextlib

import keras

from keras_sparse.applications import get_model
from keras_sparse.training.presets import preset_fields
from keras_sparse.transforms import scale_width, sparsify

# Those that keras.applications has.
KERAS_NETWORKS = {"inception_v3": keras.applications.InceptionV3, "vgg16": keras.applications.VGG16}
IMAGE_SHAPES = {"inception_v3": (299, 299, 3), "vgg16n": (224, 224, 3), "vgg16": (224, 224, 3)}
CONVOLUTIONS = ("Conv2D", "SparseConv2D")
# The paper rounds up, in its text. The counts that it prints come out, all of them, with these.
WIDTH_DIVISORS = {"inception_v3": 8}


def build(network, kept=1.0, multiplier=1.0, seed=0, image_shape=None, classes=1000, **arguments):
    """A network with fresh weights, in which the convolutions are narrow, or have few connections, or both.

    Args:
        network: Name in `KERAS_NETWORKS` or in `applications.MODELS`.
        kept: Number in (0, 1], fraction of its input channels that each filter reads, at least one. Fully connected
            layers keep all connections.
        multiplier: Number in (0, 1], of the filters.
        seed: Integer, of weights and connections.
        image_shape: Tuple; None for the one that the paper counts with.
        classes: Integer.
        **arguments: Others of the constructor.

    Returns:
        A Keras model.

    Example:
        >>> convolution_counts(profile(build("vgg16n", kept=0.1)))
        (1974528, 1600892928)
    """
    arguments = {"input_shape": image_shape or IMAGE_SHAPES[network], "classes": classes, **arguments}
    keras.utils.set_random_seed(seed)
    is_only_counted = image_shape is None and kept == multiplier == 1
    # Shapes are enough there.
    with keras.StatelessScope(initialize_variables=False) if is_only_counted else contextlib.nullcontext():
        if network in KERAS_NETWORKS:
            model = KERAS_NETWORKS[network](weights=None, **arguments)
        else:
            model = get_model(network, **arguments)
    if multiplier < 1:
        model = scale_width(model, multiplier, divisor=WIDTH_DIVISORS.get(network))
    if kept < 1:
        model = sparsify(model, 1 - kept, exclude=keras.layers.Dense, seed=seed)
    return model


def convolution_counts(profiled):
    """`(parameters, multiply-adds)` of the convolutions in a `Profile`, connected ones, without normalisation."""
    rows = [row for row in profiled.rows if row.kind in CONVOLUTIONS]
    return sum(row.connected_parameters for row in rows), sum(row.macs for row in rows)


def recipe_fields(dataset, **changes):
    """Fields of a `Recipe`, all but the model: as quick ones are, on ImageNet those of the other papers' networks."""
    if dataset == "imagenet2012":
        return preset_fields("sparsenet_imagenet", **changes)
    augmentation = "shift_mirror" if dataset == "cifar10" else "shift"
    return preset_fields("quick", dataset=dataset, augmentation=augmentation, learning_rate=0.03, **changes)
