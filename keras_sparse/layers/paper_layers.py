"""Convolution and batch normalisation as the papers' networks use them."""

import keras
from keras import initializers, layers

from keras_sparse.layers.batch_normalization import BatchNormalization

# With this epsilon, of `keras.applications`, transplanted weights predict the same. The moving statistics forget faster
# than Keras's default of 0.99, as in the framework that the papers used: short runs need it.
BN_EPSILON = 1.001e-5
BN_MOMENTUM = 0.9


def channel_axis(data_format):
    """The channel axis of an image tensor: 3 for "channels_last", 1 for "channels_first"."""
    return 3 if data_format == "channels_last" else 1


def kernel_initializer():
    """A normal distribution of variance `2 / (k_h * k_w * filters)`."""
    return initializers.VarianceScaling(scale=2.0, mode="fan_out", distribution="untruncated_normal")


def convolution(filters, kernel_size, data_format, name, strides=1, padding="same", use_bias=False, dtype=None):
    """Conv2D with weights drawn by `kernel_initializer`."""
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        data_format=data_format,
        use_bias=use_bias,
        kernel_initializer=kernel_initializer(),
        dtype=dtype,
        name=name,
    )


def batch_normalization(data_format, name, dtype=None):
    """Batch normalisation with `BN_EPSILON` and `BN_MOMENTUM`."""
    return BatchNormalization(
        axis=channel_axis(data_format), momentum=BN_MOMENTUM, epsilon=BN_EPSILON, dtype=dtype, name=name
    )


def shown(sublayers, given):
    """Layers as a unit's configuration holds them: None if it made them itself, and still would."""
    as_made = not given and all(type(layer) in (layers.Conv2D, BatchNormalization) for layer in sublayers)
    return None if as_made else [keras.saving.serialize_keras_object(layer) for layer in sublayers]


def deserialized(saved):
    """The layers of such a list, or None for None."""
    return None if saved is None else [keras.saving.deserialize_keras_object(layer) for layer in saved]
