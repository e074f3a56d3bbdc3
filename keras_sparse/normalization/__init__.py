"""Batch normalisation by statistics that are given: the step that a dense block takes once for every reader."""

import keras
from keras import ops


def normalize(x, mean, variance, gamma, beta, epsilon, axis):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, channel by channel.

    Statistics are arguments like all others: gradients flow into them, so that who computed them from `x` once may
    share them. On TensorFlow one pass over `x`, where plain operations take two (three with the ReLU after it, which
    TensorFlow takes in), and one pass back, where they take five.

    Args:
        x: Float tensor.
        mean, variance, gamma, beta: Float tensors with one value for each channel.
        epsilon: Number.
        axis: Integer, the channel axis of `x`.

    Returns:
        Tensor like `x`.

    Example:
        >>> normalize(x, *ops.moments(x, axes=(0, 1, 2)), gamma, beta, epsilon=1e-3, axis=-1)
    """
    axis %= len(x.shape)
    if keras.backend.backend() == "tensorflow":
        from keras_sparse.normalization.tensorflow import is_fused, normalize_fused

        if is_fused(x, axis):
            return normalize_fused(x, mean, variance, gamma, beta, epsilon)
    shape = [-1 if i == axis else 1 for i in range(len(x.shape))]
    scale = gamma * ops.rsqrt(variance + epsilon)
    shift = beta - mean * scale
    return x * ops.reshape(scale, shape) + ops.reshape(shift, shape)
