"""Products with a kernel of connected blocks, as stock batched products on every backend.

Memory for the kernel, its gradient and its optimizer slots follows the connections, as does what is gathered for the
product; that is not kept for the gradient.
"""

import math

from keras import ops

from keras_sparse.kernels import windows
from keras_sparse.kernels.connected_product import product


def dense(x, values, inputs, outputs, fan_out):
    """`x @ kernel`.

    Args:
        x: Tensor `(..., fan_in)`.
        values: Tensor `(n, b, b)`.
        inputs, outputs: int32 tensors `(n,)`, of blocks; sorted by output.
        fan_out: Integer.

    Returns:
        Tensor `(..., fan_out)`.
    """
    leading, fan_in, b = ops.shape(x)[:-1], x.shape[-1], values.shape[-1]
    planes = ops.transpose(ops.reshape(x, (-1, fan_in)))
    planes = ops.reshape(planes, (fan_in // b, b, ops.shape(planes)[-1]))
    y = product(planes, values, inputs, outputs, fan_out // b)
    y = ops.transpose(ops.reshape(y, (fan_out, ops.shape(planes)[-1])))
    return ops.reshape(y, (*leading, fan_out))


def convolution(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format):
    """Two-dimensional convolution with the same connections between channels at every position.

    Without strides, connections are summed first, for each position of the kernel, and then positions, which lie on
    another: that reads a channel once for all of them. With strides most of it would be thrown away, and each
    position has its own window.

    Args:
        x: Tensor `(batch, height, width, channels)`, or with channels first.
        values: Tensor `(n, kh, kw, b, b)`.
        inputs, outputs: int32 tensors `(n,)`, of blocks; sorted by output.
        filters: Integer.
        strides, dilation_rate: Pairs of integers, as in `keras.layers.Conv2D`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor `(batch, new_height, new_width, filters)`, or with channels first.
    """
    n, *kernel_size, b = values.shape[:4]
    positions, strides, dilation_rate = math.prod(kernel_size), tuple(strides), tuple(dilation_rate)
    planes = ops.transpose(x, windows.TO_PLANES[data_format])
    if padding == "same":
        planes = windows.padded(planes, kernel_size, strides, dilation_rate)
    values = ops.transpose(ops.reshape(values, (n, positions, b, b)), (0, 2, 1, 3))
    channels, size = planes.shape[0], windows.output_size(planes, kernel_size, strides, dilation_rate)
    batch, summed_first = ops.shape(planes)[1], strides == (1, 1)
    if summed_first:
        values = ops.reshape(values, (n, b, positions * b))
    else:
        planes = windows.stacked(planes, kernel_size, strides, dilation_rate)
        values = ops.reshape(values, (n, b * positions, b))
    image = ops.shape(planes)[-2:]
    planes = ops.reshape(planes, (channels // b, values.shape[1], batch * image[0] * image[1]))
    y = product(planes, values, inputs, outputs, filters // b)
    if summed_first:
        y = ops.reshape(y, (filters // b, positions, b, batch, *image))
        y = windows.shifted_sum(y, kernel_size, dilation_rate)
    return ops.transpose(ops.reshape(y, (filters, batch, *size)), windows.FROM_PLANES[data_format])
