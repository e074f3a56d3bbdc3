"""Batch normalisation by statistics that are given: what a dense block computes once, for every reader.

>>> mean, variance = batch_moments(x, axis=-1)
>>> y = normalize(x, mean, variance, gamma, beta, epsilon=1e-3, axis=-1)
"""

import contextlib
import math

import keras
from keras import ops

from keras_sparse.distribution.replicas import replica_count, sum_over_replicas

_state = {"plain": False}


@contextlib.contextmanager
def plain_operations():
    """While this lasts, all is done by operations that can be differentiated more than once.

    Example:
        >>> with plain_operations():
        ...     outputs = model(images, training=True)
    """
    before = _state["plain"]
    _state["plain"] = True
    try:
        yield
    finally:
        _state["plain"] = before


def is_plain():
    """Whether `plain_operations` lasts."""
    return _state["plain"]


def _backend():
    return None if _state["plain"] else keras.backend.backend()


def batch_moments(x, axis):
    """Mean and variance of each channel, in single precision at least; on several replicas of the whole batch.

    Args:
        x: Float tensor.
        axis: Integer, the channel axis.

    Returns:
        Two tensors with one value for each channel.
    """
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    axes = [i for i in range(len(x.shape)) if i != axis % len(x.shape)]
    return ops.moments(x, axes) if replica_count() == 1 else _moments_over_replicas(x, axes)


def _moments_over_replicas(x, axes):
    """As `ops.moments`, of a batch that is spread over replicas."""
    count = math.prod(ops.shape(x)[i] for i in axes)
    total, count = sum_over_replicas(ops.sum(x, axes, keepdims=True), ops.cast(count, x.dtype))
    mean = total / count
    # Deviations from the mean add up to zero: no gradient of their squares flows into it.
    (squares,) = sum_over_replicas(ops.sum(ops.square(x - ops.stop_gradient(mean)), axes))
    return ops.squeeze(mean, axes), squares / count


def scale_and_offset(norm, dtype):
    """Gamma and beta of a `BatchNormalization`, ones and zeros where it has none."""
    channels = norm.moving_mean.shape
    gamma = ops.cast(norm.gamma, dtype) if norm.scale else ops.ones(channels, dtype)
    beta = ops.cast(norm.beta, dtype) if norm.center else ops.zeros(channels, dtype)
    return gamma, beta


def update_moving_statistics(norm, mean, variance):
    """Moves the moving statistics of a `BatchNormalization` as its own `call` does in training."""
    for variable, value in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
        old = ops.cast(variable, value.dtype)
        variable.assign(old * norm.momentum + value * (1.0 - norm.momentum))


def concatenate(tensors, axis):
    """As `keras.ops.concatenate`; on TensorFlow its gradient is one operation, not one for each tensor."""
    if len(tensors) == 1:
        return tensors[0]
    if _backend() == "tensorflow":
        from keras_sparse.normalization.tensorflow import concatenate_split

        return concatenate_split(list(tensors), axis)
    return ops.concatenate(tensors, axis=axis)


def normalize(x, mean, variance, gamma, beta, epsilon, axis):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, channel by channel.

    Statistics are arguments like all others: gradients flow into them, so that who computed them from `x` may share
    them. On TensorFlow it is one pass over `x`, ReLU included, where plain operations take three; and one pass back,
    where they take five.

    Args:
        x: Float tensor.
        mean, variance, gamma, beta: Float tensors with one value for each channel.
        epsilon: Number.
        axis: Integer, the channel axis of `x`.

    Returns:
        Tensor like `x`.
    """
    axis %= len(x.shape)
    if _backend() == "tensorflow":
        from keras_sparse.normalization.tensorflow import is_fused, normalize_fused

        if is_fused(x, axis):
            return normalize_fused(x, mean, variance, gamma, beta, epsilon)
    shape = [-1 if i == axis else 1 for i in range(len(x.shape))]
    scale = gamma * ops.rsqrt(variance + epsilon)
    shift = beta - mean * scale
    return x * ops.reshape(scale, shape) + ops.reshape(shift, shape)


def normalize_by_batch(x, gamma, beta, epsilon, axis):
    """`normalize` by the moments of `x` itself, where nobody else reads them.

    Args:
        x, gamma, beta, epsilon, axis: As for `normalize`.

    Returns:
        Triple: tensor like `x`, mean, variance.
    """
    if _backend() == "tensorflow" and replica_count() == 1:
        from keras_sparse.normalization.tensorflow import is_fused, normalize_by_batch_fused

        if is_fused(x, axis % len(x.shape)):
            return normalize_by_batch_fused(x, gamma, beta, epsilon)
    mean, variance = batch_moments(x, axis)
    return normalize(x, mean, variance, gamma, beta, epsilon, axis), mean, variance


def recomputed(function, tensors, variables):
    """`function(*tensors)`, of which only `tensors` is kept for the gradient: the way back runs it again.

    Args:
        function: Function of tensors to a tensor, or a tuple of them, without side effects.
        tensors: List of tensors.
        variables: List of the variables that it reads; or None, and it is run once.

    Returns:
        What the function returns.
    """
    backend = None if variables is None else _backend()
    if backend == "tensorflow":
        from keras_sparse.normalization.tensorflow import run_twice
    elif backend == "jax":
        from keras_sparse.normalization.jax import run_twice
    elif backend == "torch":
        from keras_sparse.normalization.torch import run_twice
    else:
        return function(*tensors)

    def of_all(*values):
        # Read once, now: on the way back they could be others, or belong to a scope that has ended.
        with keras.StatelessScope(state_mapping=list(zip(variables, values[len(tensors) :], strict=True))):
            return function(*values[: len(tensors)])

    return run_twice(of_all, *tensors, *[ops.convert_to_tensor(variable) for variable in variables])
