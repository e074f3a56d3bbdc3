"""Products with a kernel that is stored as one value per connection, in stock operations of `keras.ops`.

A kernel is a tensor of values and two index vectors, sorted by output, as in `topologies.Connections`. Shapes, with
`n` connected pairs of blocks of size `b`:

    dense           (n,)            (n, b, b)
    convolution     (n, kh, kw)     (n, kh, kw, b, b)

Memory for the kernel, its gradient and its optimizer slots follows `n`. So does that of the activations that are
gathered for the product: one copy of the input channel for each connection that reads it.
"""

import math

from keras import ops

from keras_sparse import checks


def dense(x, values, inputs, outputs, fan_out):
    """`x @ kernel`.

    Args:
        x: Tensor `(..., fan_in)`.
        values: Tensor `(n,)` or `(n, b, b)`.
        inputs, outputs: int32 tensors `(n,)`.
        fan_out: Integer.

    Returns:
        Tensor `(..., fan_out)`.
    """
    leading = ops.shape(x)[:-1]
    rows = ops.reshape(x, (-1, x.shape[-1]))
    return ops.reshape(_product(rows, values, inputs, outputs, fan_out), (*leading, fan_out))


def _product(rows, values, inputs, outputs, fan_out):
    """`(P, fan_in)` times a kernel `(n,)` or `(n, b, b)`: `(P, fan_out)`."""
    if len(values.shape) == 1:
        terms = ops.take(ops.transpose(rows), inputs, axis=0) * values[:, None]  # (n, P)
        return ops.transpose(ops.segment_sum(terms, outputs, num_segments=fan_out))
    return _unblocked(
        ops.segment_sum(_block_terms(rows, values, inputs), outputs, num_segments=fan_out // _size(values))
    )


def _size(values):
    return values.shape[-1]


def _block_terms(rows, values, inputs):
    """What each connected block contributes: `(n, P, b)`."""
    b = _size(values)
    blocks = ops.transpose(ops.reshape(rows, (-1, rows.shape[-1] // b, b)), (1, 0, 2))  # (fan_in / b, P, b)
    return ops.matmul(ops.take(blocks, inputs, axis=0), values)


def _unblocked(sums):
    """`(blocks, P, b)` to `(P, blocks * b)`."""
    return ops.reshape(ops.transpose(sums, (1, 0, 2)), (-1, sums.shape[0] * sums.shape[2]))


def convolution(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format):
    """Two-dimensional convolution with the same connections between channels at every position.

    Args:
        x: Tensor `(batch, height, width, channels)`, or with channels first.
        values: Tensor `(n, kh, kw)` or `(n, kh, kw, b, b)`.
        inputs, outputs: int32 tensors `(n,)`.
        filters: Integer.
        strides, dilation_rate: Pairs of integers, as in `keras.layers.Conv2D`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor `(batch, new_height, new_width, filters)`, or with channels first.
    """
    if data_format == "channels_first":
        x = ops.transpose(x, (0, 2, 3, 1))
    if len(values.shape) == 3 and strides[0] == strides[1] and values.shape[0]:
        y = _depthwise(x, values, inputs, outputs, filters, strides, padding, dilation_rate)
    else:
        y = _by_taps(x, values, inputs, outputs, filters, strides, padding, dilation_rate)
    return ops.transpose(y, (0, 3, 1, 2)) if data_format == "channels_first" else y


def _depthwise(x, values, inputs, outputs, filters, strides, padding, dilation_rate):
    """Each connection convolves its own copy of a channel; copies are summed by filter."""
    kernel = ops.transpose(values, (1, 2, 0))[..., None]  # (kh, kw, n, 1)
    terms = ops.depthwise_conv(
        ops.take(x, inputs, axis=-1),
        kernel,
        # JAX and PyTorch want pairs, and TensorFlow wants one number.
        strides=strides[0],
        padding=padding,
        dilation_rate=dilation_rate,
        data_format="channels_last",
    )
    sums = ops.segment_sum(ops.transpose(terms, (3, 0, 1, 2)), outputs, num_segments=filters)
    return ops.transpose(sums, (1, 2, 3, 0))


def _by_taps(x, values, inputs, outputs, filters, strides, padding, dilation_rate):
    """The sum over kernel positions of products at the pixels that they read: any blocks, any strides."""
    kernel_size = tuple(values.shape[1:3])
    if padding == "same":
        x = _padded(x, kernel_size, strides, dilation_rate)
    reach = [(k - 1) * d for k, d in zip(kernel_size, dilation_rate, strict=True)]
    height, width = ((size - r - 1) // s + 1 for size, r, s in zip(ops.shape(x)[1:3], reach, strides, strict=True))
    rows = len(values.shape) == 3
    total = None
    for p in range(kernel_size[0]):
        for q in range(kernel_size[1]):
            top, left = p * dilation_rate[0], q * dilation_rate[1]
            window = x[
                :,
                top : top + (height - 1) * strides[0] + 1 : strides[0],
                left : left + (width - 1) * strides[1] + 1 : strides[1],
            ]
            pixels = ops.reshape(window, (-1, x.shape[-1]))
            if rows:
                terms = ops.take(ops.transpose(pixels), inputs, axis=0) * values[:, p, q, None]
            else:
                terms = _block_terms(pixels, values[:, p, q], inputs)
            total = terms if total is None else total + terms
    if rows:
        y = ops.transpose(ops.segment_sum(total, outputs, num_segments=filters))
    else:
        y = _unblocked(ops.segment_sum(total, outputs, num_segments=filters // _size(values)))
    return ops.reshape(y, (-1, height, width, filters))


def _padded(x, kernel_size, strides, dilation_rate):
    """Zeros around the image so that output pixel `i` reads from `i * stride` on, as "same" means."""
    pads = []
    for size, k, s, d in zip(x.shape[1:3], kernel_size, strides, dilation_rate, strict=True):
        if size is None and s > 1:
            raise checks.error(
                "input_shape", 'SparseConv2D(format="compact")', 'fully known for padding="same" with these strides',
                tuple(x.shape), "Fix height and width, or use padding='valid' or format='masked'.",
            )  # fmt: skip
        total = (k - 1) * d if s == 1 else max((math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads.append((total // 2, total - total // 2))
    return ops.pad(x, ((0, 0), *pads, (0, 0)))
