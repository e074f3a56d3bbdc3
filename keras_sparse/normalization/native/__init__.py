"""Blocks whose outputs are read joined and normalised, by operations in C++: one pass where stock ones take five."""

from keras import ops

from keras_sparse.distribution.replicas import replica_count
from keras_sparse.kernels import native
from keras_sparse.normalization import is_plain, recomputed, scale_and_offset, update_moving_statistics
from keras_sparse.normalization.shared_moments import SharedMoments


def is_available(x, axis):
    """Whether a tensor can be computed with: on TensorFlow, on a CPU, images in single precision, channels last; and
    where its moments are those of the whole batch, not of what one replica has of it."""
    if is_plain() or replica_count() > 1 or native.refusal("float32", build=False) is not None:
        return False
    from keras_sparse.normalization.tensorflow import is_fused

    # Compiled last, where all else is fine: nobody is to wait for what is not used.
    return is_fused(x, axis % len(x.shape)) and None not in x.shape[3:] and native.refusal("float32") is None


def normalized_relu(parts, scale, shift):
    """`relu(concatenated parts * scale + shift)` for predictions, on parts for which it `is_available`."""
    from keras_sparse.normalization.native.tensorflow import normalized

    return normalized(parts, ops.zeros_like(scale), scale, shift)


class RunningGradient(SharedMoments):
    """`SharedMoments` with one gradient by all outputs, to which readers add in place."""

    def __init__(self, axis):
        from keras_sparse.normalization.native.tensorflow import new_ticket

        super().__init__(axis)
        self.ticket, self.offsets = new_ticket(), [0]

    def append(self, tensor):
        from keras_sparse.normalization.native.tensorflow import enter

        self.ticket, *moments = enter(self.ticket, tensor, self.offsets[-1])
        self.tensors.append(tensor)
        self.moments.append(moments)
        self.offsets.append(self.offsets[-1] + tensor.shape[-1])

    def read(self, sources, norm, function, variables=None):
        from keras_sparse.normalization.native.tensorflow import read

        offsets = [self.offsets[i] for i in sources]
        mean, variance = self.moments_of(sources)
        update_moving_statistics(norm, mean, variance)

        def run(ticket, mean, variance, gamma, beta, *parts):
            x, ticket = read(ticket, parts, offsets, mean, gamma * ops.rsqrt(variance + norm.epsilon), beta)
            return function(x), ticket

        tensors = [
            self.ticket,
            mean,
            variance,
            *scale_and_offset(norm, mean.dtype),
            *[self.tensors[i] for i in sources],
        ]
        x, self.ticket = recomputed(run, tensors, variables)
        return x

    def read_alone(self, x, norm, function, variables=None):
        if not getattr(norm, "uses_moments_of_batch", False) or not is_available(x, norm.axis):
            return super().read_alone(x, norm, function, variables)
        alone = type(self)(self.axis)
        alone.append(x)
        return alone.read([0], norm, function, variables)

    def join(self, sources):
        from keras_sparse.normalization.native.tensorflow import leave

        return leave(self.ticket, self.tensors, sources)
