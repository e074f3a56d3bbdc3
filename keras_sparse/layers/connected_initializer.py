"""Initial weights whose variance follows the connections that exist."""

import math

import keras
import numpy as np
from keras import initializers, ops

# What fills a list of values as well as a matrix.
WITHOUT_SHAPE = (
    initializers.VarianceScaling,
    initializers.RandomNormal,
    initializers.RandomUniform,
    initializers.TruncatedNormal,
    initializers.Constant,
    initializers.Zeros,
    initializers.Ones,
)


class ConnectedInitializer:
    """Wraps the kernel initializer of a sparse layer for the time of its `build`.

    `VarianceScaling` and its children (Glorot, He, LeCun) draw with a variance of `scale / fan`. The fan of a sparse
    layer is that of its connections: each weight is scaled to the in-degree of its own output and the out-degree of
    its own input (their mean for "fan_avg"). Other initializers are left as they are. Cut weights are zero.

    Args:
        initializer: Keras initializer.
        connections: `Connections` of the layer.
        compact: Boolean, whether to fill values instead of a dense kernel.
        positions: Integer, how many inputs of `connections` stand for one channel: those of a convolution's window
            where each weight is a connection of its own. Each of them has a pixel to read, so that a channel reaches
            as many times as many outputs.
    """

    def __init__(self, initializer, connections, compact=False, positions=1):
        self.initializer = initializer
        self.connections = connections
        self.compact = compact
        self.positions = positions

    def __call__(self, shape, dtype=None):
        c = self.connections
        if self.compact:
            # A flat list of n values, for which the initializer takes both fans to be n.
            flat = self.initializer((math.prod(shape),), dtype=dtype)
            values = ops.reshape(flat, shape)
            gain = self._gain(c.out_degrees()[:: c.block_size][c.inputs], c.in_degrees()[:: c.block_size][c.outputs])
            if gain is None or not len(c):
                return values
            receptive_field = math.prod(shape) // c.count
            gain = gain / math.sqrt(self._dense_fan() * receptive_field / math.prod(shape))
            return values * ops.cast(ops.reshape(gain, (-1, *[1] * (len(shape) - 1))), values.dtype)
        values = self.initializer(shape, dtype=dtype)
        if c.sparsity == 0:
            return values
        gain = self._gain(c.out_degrees()[:, None], c.in_degrees()[None, :])
        mask = c.mask()
        factor = mask if gain is None else np.where(mask, gain, 0)
        if factor.size == math.prod(shape):  # otherwise it is the same at every position of the kernel
            factor = factor.reshape(shape)
        return values * ops.cast(factor, values.dtype)

    def _dense_fan(self):
        mode, fan_in, fan_out = self.initializer.mode, self.connections.fan_in, self.connections.fan_out
        fan_out *= self.positions
        return {"fan_in": fan_in, "fan_out": fan_out}.get(mode, (fan_in + fan_out) / 2)

    def _gain(self, out_degrees, in_degrees):
        """How much larger than in a dense layer the weight between such units must be; None if no fan counts."""
        if not isinstance(self.initializer, keras.initializers.VarianceScaling):
            return None
        mode, out_degrees = self.initializer.mode, out_degrees * self.positions
        connected = {"fan_in": in_degrees, "fan_out": out_degrees}.get(mode, (in_degrees + out_degrees) / 2)
        return np.sqrt(self._dense_fan() / np.maximum(connected, 1)).astype("float32")


def reseeded(initializer, seed):
    """An initializer like another, that draws by a seed of its own; one that does not draw is left as it is.

    Args:
        initializer: Keras initializer.
        seed: Integer.
    """
    config = initializer.get_config() if isinstance(initializer, initializers.Initializer) else {}
    return type(initializer).from_config({**config, "seed": seed}) if "seed" in config else initializer
