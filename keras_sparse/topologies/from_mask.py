"""Connections that are given."""

import base64

import keras
import numpy as np

from keras_sparse.topologies.connections import Connections, as_mask
from keras_sparse.topologies.topology import Topology


@keras.saving.register_keras_serializable(package="keras_sparse")
class FromMask(Topology):
    """The connections of a mask that you have: found by pruning, drawn by hand, loaded from a file.

    Args:
        mask: Boolean array `(fan_in, fan_out)`, True = connected; zeros and ones will do.
        block_size: Integer >= 1; the mask must then consist of whole blocks.
        seed: Integer or None; kept, but nothing is drawn.

    Raises:
        ValueError: If the mask is none, is not made of blocks, or if a layer of another size asks for it.

    Example:
        >>> FromMask([[True, False], [True, True]])(2, 2).sum()
        3
    """

    def __init__(self, mask, block_size=1, seed=None):
        super().__init__(seed=seed, block_size=block_size)
        if isinstance(mask, dict):  # as `get_config` writes it
            bits = np.frombuffer(base64.b64decode(mask["bits"]), dtype=np.uint8)
            mask = np.unpackbits(bits, count=int(np.prod(mask["shape"]))).reshape(mask["shape"])
        self.given = Connections.from_mask(as_mask(mask, owner=self), block_size, owner=self)

    def connections(self, fan_in, fan_out):
        shape = (self.given.fan_in, self.given.fan_out)
        if shape != (fan_in, fan_out):
            raise ValueError(
                f"`mask` of FromMask must have the shape of the layer, (fan_in, fan_out) = ({fan_in}, {fan_out}). "
                f"Received: a mask of shape {shape}. Pass a mask of that shape."
            )
        return self.given

    def connect(self, fan_in, fan_out, rng):
        return self.given.inputs, self.given.outputs

    def get_config(self):
        bits = base64.b64encode(np.packbits(self.given.mask())).decode("ascii")
        mask = {"shape": [self.given.fan_in, self.given.fan_out], "bits": bits}
        return {**super().get_config(), "mask": mask}

    def __hash__(self):
        return hash((type(self), self.get_config()["mask"]["bits"]))

    def __repr__(self):
        return f"FromMask(<{self.given.fan_in} x {self.given.fan_out}, {self.given.count} connections>)"
