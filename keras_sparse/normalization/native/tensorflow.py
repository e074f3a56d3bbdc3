"""TensorFlow only: operations in C++ with gradients that go from reader to reader.

A *ticket* stands for the gradient by all outputs of a block. It is an empty value on the way forward; on the way back
its gradient is one tensor, `(batch, height, width, channels of all outputs)`, to which each reader adds in place and
from which each output takes its channels when its turn has come. So no reader's gradient waits for that of others.
"""

import tensorflow as tf

from keras_sparse.kernels.native.tensorflow import operations


def new_ticket():
    """A ticket for a block with no outputs yet."""
    return tf.zeros(())


def normalized(parts, mean, scale, shift):
    """`relu((concatenated parts - mean) * scale + shift)`, in one pass; without a gradient."""
    return operations().keras_sparse_normalization(parts=parts, mean=mean, scale=scale, shift=shift)


def enter(ticket, x, offset):
    """An output of the block, which takes the channels from `offset` on.

    Returns:
        Triple: ticket, and mean and variance of each channel.
    """

    @tf.custom_gradient
    def run(ticket, x):
        mean, variance = operations().keras_sparse_moments(x=x)

        def gradient(total, by_mean, by_variance):
            pixels = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
            constant, slope = by_mean / pixels, by_variance * 2 / pixels
            dx = operations().keras_sparse_moments_gradient(
                x=x, mean=mean, constant=constant, slope=slope, sum=total, offset=offset
            )
            return total, dx

        return (tf.identity(ticket), mean, variance), gradient

    return run(ticket, x)


def read(ticket, parts, offsets, mean, scale, shift):
    """As `normalized`, of outputs that have entered.

    Returns:
        Pair: tensor, ticket.
    """

    @tf.custom_gradient
    def run(ticket, mean, scale, shift, *parts):
        def gradient(dy, total):
            total, by_scale, by_shift = operations().keras_sparse_normalization_gradient(
                parts=parts, mean=mean, scale=scale, shift=shift, dy=dy, sum=total, offsets=offsets
            )
            return total, -by_shift * scale, by_scale, by_shift, *[None] * len(parts)

        return (normalized(parts, mean, scale, shift), tf.identity(ticket)), gradient

    return run(ticket, mean, scale, shift, *parts)


def leave(ticket, tensors, sources):
    """What leaves the block, whose outputs are `tensors`: those of `sources` side by side."""
    sizes = [tensor.shape[-1] for tensor in tensors]

    @tf.custom_gradient
    def run(ticket, *tensors):
        def gradient(upstream):
            if len(sources) == len(tensors):
                return upstream, *[None] * len(tensors)
            pieces = dict(zip(sources, tf.split(upstream, [sizes[i] for i in sources], -1), strict=True))
            total = [pieces[i] if i in pieces else tf.zeros_like(tensor) for i, tensor in enumerate(tensors)]
            return tf.concat(total, -1), *[None] * len(tensors)

        return tf.concat([tensors[i] for i in sources], -1), gradient

    return run(ticket, *tensors)
