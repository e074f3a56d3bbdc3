"""The product with a sparse kernel in C++, as operations of TensorFlow for a CPU, compiled where they run.

    operations.cc, product.h, gather.h, order.h, planes.h    the product
    normalization_operations.h, normalization.h              what `keras_sparse.normalization.native` is made of
    check.cc        the product beside plain loops; check.py: under sanitizers
    build.py        the compiled library: from the cache, or built once
    cache.py        where compiled files lie; trust.py: whether that is safe
    compiler.py     the C++ compiler; processor.py: what it may compile for
    tensorflow.py   the operations and their gradients

`dense` and `convolution` compute what those of `kernels.gather` do, with any pattern of connections.
"""

import threading
import warnings

import keras
from keras import ops

from keras_sparse.kernels.native.build import refused
from keras_sparse.kernels.native.not_built import NotBuilt
from keras_sparse.kernels.tensorflow import compiles_with_xla

# Computed as float32, the one type that the operations know.
DTYPES = ("float32", "bfloat16", "float16")


def refusal(dtype, build=True):
    """Why the product cannot be had where it is asked for, a sentence; None if it can.

    Args:
        dtype: Name of the type in which a layer computes.
        build: Boolean, whether to compile it if need be, and find out. Otherwise it is expected to succeed.
    """
    if keras.backend.backend() != "tensorflow":
        return f"It is an operation of TensorFlow, and Keras runs on {keras.backend.backend()}."
    from keras_sparse.kernels.native import tensorflow

    if tensorflow.has_accelerator():
        return "It runs on a CPU, and TensorFlow has an accelerator."
    if dtype not in DTYPES:
        return f"It computes in float32, and {dtype} would be rounded."
    if compiles_with_xla():
        return "XLA compiles the step, and knows no operations but its own."
    if not build and not _failures:
        return None if refused() is None else str(refused())
    return _refusal_to_build()


def load():
    """Builds the operations if need be, and tells TensorFlow of them and of their gradients.

    A layer does so by itself. A SavedModel that was exported from compact layers as they are needs it before it is
    loaded; what `keras_sparse.export` or `strip` give needs nothing of ours.

    Raises:
        NotBuilt: If they cannot be built or loaded.

    Example:
        >>> keras_sparse.kernels.native.load()
        >>> served = tf.saved_model.load("exported")
    """
    from keras_sparse.kernels.native import tensorflow

    tensorflow.operations()


def has_told(refusal):
    """Whether a warning has given this reason already."""
    return refusal in _failures and refused() is None


_failures = []
_one_at_a_time = threading.Lock()


def _refusal_to_build():
    with _one_at_a_time:
        if _failures:
            return _failures[0]
        try:
            load()
        except NotBuilt as error:
            _failures.append(str(error))
            if refused() is None:  # else someone wants it so
                warnings.warn(str(error), stacklevel=2)
            return str(error)
    return None


def dense(x, values, inputs, outputs, fan_out):
    """`x @ kernel`; arguments and result as of `kernels.gather.dense`."""
    from keras_sparse.kernels.native import tensorflow

    leading = ops.shape(x)[:-1]
    rows = ops.reshape(ops.cast(x, "float32"), (-1, 1, 1, x.shape[-1]))
    one_tap = ops.reshape(ops.cast(values, "float32"), (values.shape[0], 1, 1, *values.shape[1:]))
    y = tensorflow.product(rows, one_tap, inputs, outputs, filters=fan_out)
    return ops.cast(ops.reshape(y, (*leading, fan_out)), values.dtype)


def convolution(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format):
    """Two-dimensional convolution; arguments and result as of `kernels.gather.convolution`."""
    return _product(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format)


def by_position(x, values, inputs, outputs, filters, kernel_size, strides, padding, dilation_rate, data_format):
    """Two-dimensional convolution in which each weight is a connection of its own.

    Args:
        x: Tensor `(batch, height, width, channels)`, or with channels first.
        values: Tensor `(n,)`.
        inputs: int32 tensor `(n,)`, position in the kernel times channels, plus channel.
        outputs: int32 tensor `(n,)`, never decreasing.
        filters: Integer.
        kernel_size, strides, dilation_rate: Pairs of integers, as in `keras.layers.Conv2D`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor `(batch, new_height, new_width, filters)`, or with channels first.
    """
    values = ops.reshape(values, (-1, 1, 1))
    arguments = (strides, padding, dilation_rate, data_format)
    return _product(x, values, inputs, outputs, filters, *arguments, window=list(kernel_size))


def _product(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format, window=()):
    from keras_sparse.kernels.native import tensorflow

    image = ops.cast(x, "float32")
    if data_format == "channels_first":
        image = ops.transpose(image, (0, 2, 3, 1))
    y = tensorflow.product(
        image,
        ops.cast(values, "float32"),
        inputs,
        outputs,
        filters=filters,
        strides=list(strides),
        dilations=list(dilation_rate),
        padding=padding.upper(),
        window=list(window),
    )
    y = ops.cast(y, values.dtype)
    return ops.transpose(y, (0, 3, 1, 2)) if data_format == "channels_first" else y
