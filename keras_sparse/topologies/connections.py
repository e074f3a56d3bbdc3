"""The index form of a topology: which input is connected to which output, without a dense mask."""

import dataclasses

import numpy as np

from keras_sparse import checks


@dataclasses.dataclass(frozen=True, eq=False)
class Connections:
    """The connected pairs of a bipartite graph, sorted by output and then by input.

    Memory follows the connections: 8 bytes for each connected pair of blocks.

    Attributes:
        inputs: int32 array, for each connected pair the input block (the input itself with `block_size=1`).
        outputs: int32 array of the same length, never decreasing: the output block.
        fan_in: Integer, number of inputs (units, not blocks).
        fan_out: Integer, number of outputs.
        block_size: Integer; each connected pair of blocks is a dense square of that size.

    Example:
        >>> connections = Connections.from_mask([[True, False], [True, True]])
        >>> connections.inputs, connections.outputs
        (array([0, 1, 1], dtype=int32), array([0, 0, 1], dtype=int32))
    """

    inputs: np.ndarray
    outputs: np.ndarray
    fan_in: int
    fan_out: int
    block_size: int = 1

    @classmethod
    def from_pairs(cls, inputs, outputs, fan_in, fan_out, block_size=1):
        """Sorts pairs that come in any order.

        Raises:
            ValueError: If a pair comes twice or points outside.
        """
        rows = fan_in // block_size
        inputs = np.asarray(inputs, dtype=None if len(inputs) else np.int64)
        key = np.asarray(outputs, np.int64) * rows
        key += inputs
        if np.any(key[1:] <= key[:-1]):
            key.sort()
        repeated = np.any(key[1:] == key[:-1])
        outside = len(key) and (np.min(inputs) < 0 or np.max(inputs) >= rows or key[0] < 0)
        outside = outside or (len(key) and key[-1] // rows >= fan_out // block_size)
        if repeated or outside:
            what = "some of them outside" if outside else "some pair twice"
            raise ValueError(
                f"`inputs` and `outputs` of Connections must be distinct pairs inside {rows} x "
                f"{fan_out // block_size}. Received: {len(key)} pairs, {what}. Name each connection once."
            )
        sorted_outputs = (key // rows).astype(np.int32)
        key %= rows
        return cls(key.astype(np.int32), sorted_outputs, fan_in, fan_out, block_size)

    @classmethod
    def from_mask(cls, mask, block_size=1, owner="Connections"):
        """The index form of a boolean array `(fan_in, fan_out)`.

        Raises:
            ValueError: If the array is no such mask, or not made of whole blocks.
        """
        mask = as_mask(mask, owner)
        check_blocks(block_size, *mask.shape, owner)
        b = block_size
        blocks = mask.reshape(mask.shape[0] // b, b, mask.shape[1] // b, b)
        connected = blocks.any(axis=(1, 3))
        if b > 1 and not np.array_equal(connected, blocks.all(axis=(1, 3))):
            raise ValueError(
                f"`mask` of {checks.describe(owner)} must be made of whole blocks of {b} x {b}. Received: a mask with "
                "partly connected blocks. Use block_size=1 for it."
            )
        outputs, inputs = np.nonzero(connected.T)
        return cls(inputs.astype(np.int32), outputs.astype(np.int32), *mask.shape, b)

    def __len__(self):
        """Number of connected pairs of blocks."""
        return len(self.inputs)

    @property
    def count(self):
        """Number of connections between units."""
        return len(self) * self.block_size**2

    @property
    def sparsity(self):
        """Fraction of pairs that are not connected."""
        return 1 - self.count / (self.fan_in * self.fan_out)

    def in_degrees(self):
        """Integer array `(fan_out,)`: connections into each output."""
        blocks = np.bincount(self.outputs, minlength=self.fan_out // self.block_size)
        return np.repeat(blocks * self.block_size, self.block_size)

    def out_degrees(self):
        """Integer array `(fan_in,)`: connections out of each input."""
        blocks = np.bincount(self.inputs, minlength=self.fan_in // self.block_size)
        return np.repeat(blocks * self.block_size, self.block_size)

    def mask(self):
        """Boolean array `(fan_in, fan_out)`, True = connected; memory for every pair."""
        b = self.block_size
        mask = np.zeros((self.fan_in // b, self.fan_out // b), dtype=bool)
        mask[self.inputs, self.outputs] = True
        return mask if b == 1 else mask.repeat(b, axis=0).repeat(b, axis=1)

    def to_scipy(self):
        """SciPy's compressed sparse columns `(fan_in, fan_out)` of ones, for SciPy's and NetworkX's algorithms."""
        from scipy import sparse

        one = self.unblocked()
        starts = np.concatenate([[0], np.cumsum(one.in_degrees())])
        return sparse.csc_array((np.ones(len(one), np.int8), one.inputs, starts), shape=(self.fan_in, self.fan_out))

    def unblocked(self):
        """The same connections, unit by unit."""
        b = self.block_size
        if b == 1:
            return self
        inside = np.arange(b)
        inputs = np.broadcast_to((self.inputs * b)[:, None, None] + inside[:, None], (len(self), b, b))
        outputs = np.broadcast_to((self.outputs * b)[:, None, None] + inside, (len(self), b, b))
        return Connections.from_pairs(inputs.ravel(), outputs.ravel(), self.fan_in, self.fan_out)


def as_mask(mask, owner):
    """`mask` as a boolean array of two axes, zeros and ones included."""
    array = np.asarray(mask)
    if array.ndim != 2 or not array.size or not np.isin(array, (0, 1)).all():
        received = f"an array of shape {array.shape} and type {array.dtype}"
        raise ValueError(
            f"`mask` of {checks.describe(owner)} must be a boolean array (fan_in, fan_out), True = connected. "
            f"Received: {received}. Pass zeros and ones, or booleans, on two axes."
        )
    return array.astype(bool)


def check_blocks(block_size, fan_in, fan_out, owner):
    """Refuses blocks that do not tile the mask."""
    if fan_in % block_size or fan_out % block_size:
        divisors = [b for b in range(1, min(fan_in, fan_out) + 1) if fan_in % b == fan_out % b == 0]
        raise checks.error(
            "block_size", owner, f"a divisor of both fan_in={fan_in} and fan_out={fan_out}", block_size,
            f"Pass one of {divisors}, or change the width of the layer.",
        )  # fmt: skip
