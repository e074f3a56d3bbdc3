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
    """

    def __init__(self, initializer, connections, compact=False):
        self.initializer = initializer
        self.connections = connections
        self.compact = compact

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
        return values * ops.cast(factor, values.dtype)

    def _dense_fan(self):
        mode, c = self.initializer.mode, self.connections
        return {"fan_in": c.fan_in, "fan_out": c.fan_out}.get(mode, (c.fan_in + c.fan_out) / 2)

    def _gain(self, out_degrees, in_degrees):
        """How much larger than in a dense layer the weight between such units must be; None if no fan counts."""
        if not isinstance(self.initializer, keras.initializers.VarianceScaling):
            return None
        mode = self.initializer.mode
        connected = {"fan_in": in_degrees, "fan_out": out_degrees}.get(mode, (in_degrees + out_degrees) / 2)
        return np.sqrt(self._dense_fan() / np.maximum(connected, 1)).astype("float32")
