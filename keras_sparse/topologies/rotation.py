"""What the rotating constructions share: one row of connections, rotated by one at each next input."""

from abc import abstractmethod

import numpy as np

from keras_sparse.topologies.topology import DegreeTopology


class Rotation(DegreeTopology):
    """Connects input `i` to the outputs `(row + i) mod fan_out`; a subclass gives the `row` of input 0.

    Each input has exactly `out_degree` connections, and where `fan_out` divides `fan_in` each output has the same
    number too.

    Args:
        sparsity: Number in [0, 1), fraction of zeros; or None.
        out_degree: Integer in [1, fan_out], connections out of each input; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; None draws one and keeps it.
    """

    def __init__(self, sparsity=None, out_degree=None, block_size=1, seed=None):
        super().__init__(sparsity, out_degree, block_size, seed)

    @abstractmethod
    def row(self, degree, fan_out, rng):
        """`degree` distinct integers below `fan_out`: the outputs of input 0."""

    def connect(self, fan_in, fan_out, rng):
        row = np.asarray(self.row(self.degree_among(fan_out), fan_out, rng), dtype=np.int64)
        inputs = np.arange(fan_in, dtype=np.int32)
        outputs = (row[None, :] + inputs[:, None]) % fan_out
        return np.repeat(inputs, len(row)), outputs.astype(np.int32).ravel()
