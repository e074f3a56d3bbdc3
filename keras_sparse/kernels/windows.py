"""What a two-dimensional convolution reads, as planes `(channels, batch, height, width)`: padding and windows."""

import math

from keras import ops

from keras_sparse import checks

TO_PLANES = {"channels_last": (3, 0, 1, 2), "channels_first": (1, 0, 2, 3)}
FROM_PLANES = {"channels_last": (1, 2, 3, 0), "channels_first": (1, 0, 2, 3)}


def padded(planes, kernel_size, strides, dilation_rate):
    """Zeros around the image so that output pixel `i` reads from `i * stride` on, as "same" means."""
    pads = []
    for size, k, s, d in zip(planes.shape[2:], kernel_size, strides, dilation_rate, strict=True):
        if size is None and s > 1:
            raise checks.error(
                "input_shape", 'SparseConv2D(format="compact")', 'fully known for padding="same" with these strides',
                tuple(planes.shape), "Use implementation='scattered', fix height and width, or use padding='valid'.",
            )  # fmt: skip
        total = (k - 1) * d if s == 1 else max((math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads.append((total // 2, total - total // 2))
    return ops.pad(planes, ((0, 0), (0, 0), *pads)) if any(map(any, pads)) else planes


def output_size(planes, kernel_size, strides, dilation_rate):
    """Height and width of what a convolution of padded planes gives."""
    sizes = zip(ops.shape(planes)[-2:], kernel_size, strides, dilation_rate, strict=True)
    return tuple((size - (k - 1) * d - 1) // s + 1 for size, k, s, d in sizes)


def offsets(kernel_size, dilation_rate):
    """Where the window of each position of the kernel begins."""
    return [(p * dilation_rate[0], q * dilation_rate[1]) for p in range(kernel_size[0]) for q in range(kernel_size[1])]


def stacked(planes, kernel_size, strides, dilation_rate):
    """For each channel and position of the kernel, the pixels that it reads: `(channels, positions, B, h, w)`."""
    height, width = output_size(planes, kernel_size, strides, dilation_rate)
    windows = [
        planes[
            :,
            :,
            top : top + (height - 1) * strides[0] + 1 : strides[0],
            left : left + (width - 1) * strides[1] + 1 : strides[1],
        ]
        for top, left in offsets(kernel_size, dilation_rate)
    ]
    return windows[0][:, None] if len(windows) == 1 else ops.stack(windows, axis=1)


def shifted_sum(planes, kernel_size, dilation_rate):
    """The sum over positions of the kernel, each plane moved by as much as its position is off.

    Args:
        planes: Tensor `(blocks, positions, channels of a block, B, H, W)`.

    Returns:
        Tensor `(blocks, channels of a block, B, h, w)`.
    """
    if math.prod(kernel_size) == 1:
        return planes[:, 0]
    places = offsets(kernel_size, dilation_rate)
    reach = places[-1]

    # The derivative of a slice is a whole tensor of zeros around it, one for each position.
    @ops.custom_gradient
    def of(planes):
        height, width = output_size(planes, kernel_size, (1, 1), dilation_rate)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            rest = [((top, reach[0] - top), (left, reach[1] - left)) for top, left in places]
            return ops.stack([ops.pad(upstream, ((0, 0), (0, 0), (0, 0), *pads)) for pads in rest], axis=1)

        parts = [planes[:, i, :, :, top : top + height, left : left + width] for i, (top, left) in enumerate(places)]
        return sum(parts[1:], parts[0]), gradient

    return of(planes)
