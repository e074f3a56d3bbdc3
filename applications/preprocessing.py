"""Images of 0..255 as the networks like them."""

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.image_statistics import STATISTICS


def preprocess_input(x, data_format=None, statistics="cifar10"):
    """Scales images to mean 0 and deviation 1, by the channel statistics of a data set.

    ResNet50, 101 and 152 with transplanted `keras.applications` weights want
    `keras.applications.resnet.preprocess_input` instead; transplanted DenseNets want `statistics="imagenet2012"`.

    Args:
        x: Array or tensor of shape `(..., height, width, channels)` with values in 0..255.
        data_format: "channels_last", "channels_first" (`(..., channels, height, width)`), or None for Keras's
            setting.
        statistics: Name of the data set that gives mean and deviation.

    Returns:
        Float tensor of the same shape.

    Raises:
        ValueError: If the name is unknown, or the channels do not match.

    Example:
        >>> preprocess_input(images, statistics="cifar10")
    """
    owner = "preprocess_input"
    data_format = data_format or keras.config.image_data_format()
    checks.choice("data_format", data_format, owner, ("channels_last", "channels_first"))
    checks.choice("statistics", statistics, owner, tuple(STATISTICS))
    mean, deviation = (ops.array(values, dtype="float32") * 255 for values in STATISTICS[statistics])
    x = ops.cast(x, "float32")
    axis = -1 if data_format == "channels_last" else -3
    if x.shape[axis] != mean.shape[0]:
        raise checks.error(
            "x", owner, f"images with {mean.shape[0]} channels, as in {statistics}", tuple(x.shape),
            "Pick the statistics of a data set with as many channels, or check `data_format`.",
        )  # fmt: skip
    shape = (-1,) if axis == -1 else (-1, 1, 1)
    return (x - ops.reshape(mean, shape)) / ops.reshape(deviation, shape)
