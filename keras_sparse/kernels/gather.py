"""Products with a kernel of single connections, in stock operations on every backend: blocks of one.

What a group of connections reads is gathered and multiplied: a copy of an input for each connection. That pays at
densities of a percent; beyond, it is the way that needs no memory for a dense kernel.
"""

from keras import ops

from keras_sparse.kernels import blocked

FEW = 6  # connections of a filter


def dense(x, values, inputs, outputs, fan_out):
    """`x @ kernel`.

    Args:
        x: Tensor `(..., fan_in)`.
        values: Tensor `(n,)`.
        inputs, outputs: int32 tensors `(n,)`, sorted by output.
        fan_out: Integer.

    Returns:
        Tensor `(..., fan_out)`.
    """
    return blocked.dense(x, values[:, None, None], inputs, outputs, fan_out)


def convolution(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format):
    """Two-dimensional convolution with the same connections between channels at every position.

    Args:
        x: Tensor `(batch, height, width, channels)`, or with channels first.
        values: Tensor `(n, kh, kw)`.
        inputs, outputs: int32 tensors `(n,)`, sorted by output.
        filters: Integer.
        strides, dilation_rate: Pairs of integers, as in `keras.layers.Conv2D`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor `(batch, new_height, new_width, filters)`, or with channels first.
    """
    strides, dilation_rate = tuple(strides), tuple(dilation_rate)
    n, height, width = values.shape
    if 0 < n <= FEW * filters and strides[0] == strides[1] and height * width > 1:
        return _depthwise(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format)
    blocks = values[..., None, None]
    return blocked.convolution(x, blocks, inputs, outputs, filters, strides, padding, dilation_rate, data_format)


def _depthwise(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format):
    """Each connection convolves its own copy of a channel; copies are summed by filter.

    Two to three times as fast as windows for each filter where it has few connections. The copies, at most `FEW` for
    a filter, are kept for the gradient.
    """
    if data_format == "channels_first":
        x = ops.transpose(x, (0, 2, 3, 1))
    terms = ops.depthwise_conv(
        ops.take(x, inputs, axis=-1),
        ops.transpose(values, (1, 2, 0))[..., None],  # (kh, kw, n, 1)
        # JAX and PyTorch want pairs, and TensorFlow wants one number.
        strides=strides[0],
        padding=padding,
        dilation_rate=dilation_rate,
        data_format="channels_last",
    )
    sums = ops.segment_sum(ops.transpose(terms, (3, 0, 1, 2)), outputs, num_segments=filters)
    return ops.transpose(sums, (1, 2, 3, 0) if data_format == "channels_last" else (1, 0, 2, 3))
