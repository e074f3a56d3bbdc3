"""Products with a dense kernel that is made for the moment: the values in their places, zeros elsewhere.

Takes what the dense layer takes, whatever the density, and memory for a dense kernel and its gradient while it lasts.
It wins where most pairs are connected, and on accelerators.
"""

import math

from keras import ops

# Axes of blocks, positions of the kernel and places inside of a block: output, input, position, input, output.
OUTPUT_FIRST = (0, 4, 2, 1, 3)
OUTPUT_LAST = (2, 1, 3, 0, 4)


def dense(x, values, inputs, outputs, fan_out):
    """`x @ kernel`.

    Args:
        x: Tensor `(..., fan_in)`.
        values: Tensor `(n,)` or `(n, b, b)`.
        inputs, outputs: int32 tensors `(n,)`, sorted by output.
        fan_out: Integer.

    Returns:
        Tensor `(..., fan_out)`.
    """
    fan_in = x.shape[-1]
    matrix = kernel(values, inputs, outputs, fan_in, fan_out, (), OUTPUT_FIRST)
    y = _times_transposed(ops.reshape(x, (-1, fan_in)), matrix)
    return ops.reshape(y, (*ops.shape(x)[:-1], fan_out))


def convolution(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format):
    """Two-dimensional convolution with the same connections between channels at every position.

    Args:
        x: Tensor `(batch, height, width, channels)`, or with channels first.
        values: Tensor `(n, kh, kw)` or `(n, kh, kw, b, b)`.
        inputs, outputs: int32 tensors `(n,)`, sorted by output.
        filters: Integer.
        strides, dilation_rate: Pairs of integers, as in `keras.layers.Conv2D`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor `(batch, new_height, new_width, filters)`, or with channels first.
    """
    channels = x.shape[1 if data_format == "channels_first" else -1]
    positions = tuple(values.shape[1:3])
    dense_kernel = kernel(values, inputs, outputs, channels, filters, positions, OUTPUT_LAST)
    return ops.conv(x, dense_kernel, tuple(strides), padding, data_format, tuple(dilation_rate))


def _times_transposed(rows, matrix):
    """`rows @ matrix.T`, of which no gradient comes out transposed: compilers fold a transpose into a product after
    it, and not into one before."""

    @ops.custom_gradient
    def of(rows, matrix):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return ops.matmul(upstream, matrix), ops.matmul(ops.transpose(upstream), rows)

        return ops.matmul(rows, ops.transpose(matrix)), gradient

    return of(rows, matrix)


def kernel(values, inputs, outputs, fan_in, fan_out, positions, order):
    """The dense kernel; the gradient to the values is taken out of its gradient.

    Args:
        values: Tensor `(n, *positions)` or `(n, *positions, b, b)`.
        inputs, outputs: int32 tensors `(n,)`, sorted by output.
        fan_in, fan_out: Integers.
        positions: Tuple of integers.
        order: `OUTPUT_FIRST` for `(fan_out, *positions, fan_in)`, `OUTPUT_LAST` for `(*positions, fan_in, fan_out)`.

    Returns:
        Tensor of that shape.
    """
    n, window = values.shape[0], math.prod(positions)
    b = values.shape[-1] if len(values.shape) > 1 + len(positions) else 1
    width, rows, columns = window * b * b, fan_in // b, fan_out // b
    places = outputs * rows + inputs  # in this order, in which they ascend, writing is five times as fast
    scattered = (columns, rows, window, b, b)
    ordered = tuple(scattered[axis] for axis in order)
    back = tuple(order.index(axis) for axis in range(5))
    moves = width > 1 or order != OUTPUT_FIRST
    shape = (fan_out, *positions, fan_in) if order == OUTPUT_FIRST else (*positions, fan_in, fan_out)

    @ops.custom_gradient
    def of(values):
        def gradient(*args, upstream=None):
            blocks = ops.reshape(args[0] if upstream is None else upstream, ordered)
            blocks = ops.transpose(blocks, back) if moves else blocks
            return ops.take(ops.reshape(blocks, (rows * columns, *given[1:])), places, axis=0)

        blocks = ops.reshape(ops.segment_sum(values, places, rows * columns), scattered)
        blocks = ops.transpose(blocks, order) if moves else blocks
        return ops.reshape(blocks, shape), gradient

    given = (n,) if width == 1 else (n, width)
    # Reshaped here, which reads a variable: TensorFlow wants none inside of a function with a gradient of its own.
    return of(ops.reshape(values, given))
