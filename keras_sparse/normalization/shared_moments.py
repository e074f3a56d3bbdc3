"""Outputs of a block in training, of which each is looked at once, however many read it."""

from keras import ops

from keras_sparse.normalization import (
    batch_moments,
    concatenate,
    normalize,
    recomputed,
    scale_and_offset,
    update_moving_statistics,
)


class SharedMoments:
    """Outputs with their moments, and the ways to read them.

    `function`, where it is an argument, maps what has been read to a tensor. If `variables`, those that it reads, are
    given, then nothing of what is inside is kept for the gradient, which makes it again; it must have no side effects.

    Args:
        axis: Integer, the channel axis.

    Example:
        >>> outputs = SharedMoments(axis=-1)
        >>> outputs.append(images)
        >>> outputs.append(outputs.read([0], norm, convolve, convolve.variables))
        >>> outputs.join([0, 1])
    """

    def __init__(self, axis):
        self.axis = axis
        self.tensors, self.moments = [], []

    def append(self, tensor):
        """Adds an output."""
        self.tensors.append(tensor)
        self.moments.append(batch_moments(tensor, self.axis))

    def read(self, sources, norm, function, variables=None):
        """`function(relu(norm(join)))`, the join being that of some outputs: a list of their indices."""
        mean, variance = self.moments_of(sources)
        update_moving_statistics(norm, mean, variance)

        def run(mean, variance, gamma, beta, *parts):
            x = ops.cast(concatenate(parts, norm.axis), mean.dtype)
            x = normalize(x, mean, variance, gamma, beta, norm.epsilon, norm.axis)
            return function(ops.relu(ops.cast(x, norm.compute_dtype)))

        tensors = [mean, variance, *scale_and_offset(norm, mean.dtype), *[self.tensors[i] for i in sources]]
        return recomputed(run, tensors, variables)

    def read_alone(self, x, norm, function, variables=None):
        """The same of a tensor that nobody else reads."""
        return function(ops.relu(norm(x, training=True)))

    def join(self, sources):
        """What leaves the block."""
        return ops.concatenate([self.tensors[i] for i in sources], axis=self.axis)

    def moments_of(self, sources):
        """Mean and variance of the join of some outputs."""
        return [concatenate([self.moments[i][which] for i in sources], axis=0) for which in (0, 1)]
