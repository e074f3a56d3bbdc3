"""The base classes of topologies: one method to override, everything else follows from it."""

import math
import random
from abc import ABC, abstractmethod

import numpy as np

from keras_sparse import checks
from keras_sparse.configured import Configured
from keras_sparse.topologies.connections import Connections, as_mask, check_blocks


class Topology(Configured, ABC):
    """Says which inputs of a layer are connected to which of its outputs.

    A subclass overrides `connect`, and `get_config` if it has arguments of its own.

    Args:
        seed: Integer >= 0, or None: one is then drawn (from Python's generator, as Keras draws its seeds, so that
            `keras.utils.set_random_seed` fixes it) and kept in `seed`.
        block_size: Integer >= 1. The topology is one of blocks, and each connected pair of blocks is dense.

    Example:
        >>> topology = RandomFanIn(in_degree=4, seed=0)
        >>> topology(16, 8).sum()                 # a mask
        32
        >>> len(topology.connections(16, 8))      # the same without a mask
        32
    """

    def __init__(self, seed=None, block_size=1):
        seed = random.randrange(2**31) if seed is None else seed
        self.seed = checks.integer("seed", seed, owner=self, minimum=0)
        self.block_size = checks.integer("block_size", block_size, owner=self, minimum=1)

    @abstractmethod
    def connect(self, fan_in, fan_out, rng):
        """Draws the connections.

        Args:
            fan_in, fan_out: Integers >= 1, inputs and outputs (numbers of blocks, if `block_size` is not 1).
            rng: `numpy.random.Generator`, the only source of randomness.

        Returns:
            Boolean array `(fan_in, fan_out)`, or a pair of integer arrays `(inputs, outputs)` in any order.
        """

    def __call__(self, fan_in, fan_out):
        """The mask: boolean array `(fan_in, fan_out)`, True = connected.

        Raises:
            ValueError: If the topology does not exist for these sizes.
        """
        return self.connections(fan_in, fan_out).mask()

    def connections(self, fan_in, fan_out):
        """The index form, a `Connections`: the same connections without a dense mask."""
        fan_in = checks.integer("fan_in", fan_in, owner=self, minimum=1)
        fan_out = checks.integer("fan_out", fan_out, owner=self, minimum=1)
        b = self.block_size
        check_blocks(b, fan_in, fan_out, owner=self)
        drawn = self.connect(fan_in // b, fan_out // b, np.random.default_rng(self.seed))
        if isinstance(drawn, tuple):
            return Connections.from_pairs(*drawn, fan_in, fan_out, b)
        one = Connections.from_mask(as_mask(drawn, owner=self))
        return Connections(one.inputs, one.outputs, fan_in, fan_out, b)

    def get_config(self):
        return {"seed": self.seed, "block_size": self.block_size}


class DegreeTopology(Topology):
    """A topology with a number of connections per unit: given, or from a sparsity.

    Args:
        sparsity: Number in [0, 1), fraction of pairs that are not connected; the degree is
            `ceil((1 - sparsity) * units)` on the other side. Or None, if the degree is given.
        degree: The degree itself, or None.
        block_size, seed: As for every topology. Degrees count blocks.

    Raises:
        ValueError: If both are given, or none; and when the topology is drawn, if the degree exceeds the units on
            the other side.
    """

    degree_name = "out_degree"

    def __init__(self, sparsity=None, degree=None, block_size=1, seed=None):
        super().__init__(seed=seed, block_size=block_size)
        if (sparsity is None) == (degree is None):
            raise ValueError(
                f"`sparsity` and `{self.degree_name}` of {type(self).__name__}: exactly one of the two must be given. "
                f"Received: sparsity={sparsity}, {self.degree_name}={degree}. Pass one and leave the other out."
            )
        self.sparsity = None if sparsity is None else check_sparsity(sparsity, owner=self)
        self.degree = None if degree is None else self.check_degree(degree)

    def check_degree(self, degree):
        return checks.integer(self.degree_name, degree, owner=self, minimum=1)

    def degree_among(self, units):
        """The degree where there are `units` on the other side."""
        if self.degree is None:
            return units_kept(self.sparsity, units)
        if self.degree > units:
            side = "fan_in" if self.degree_name == "in_degree" else "fan_out"
            raise ValueError(
                f"`{self.degree_name}` of {type(self).__name__} must be an integer in [1, {side}]. Received: "
                f"{self.degree_name}={self.degree}, {side}={units}"
                + (f" (blocks of {self.block_size})" if self.block_size > 1 else "")
                + f". Lower `{self.degree_name}` or widen the layer."
            )
        return self.degree

    def get_config(self):
        return {**super().get_config(), "sparsity": self.sparsity, self.degree_name: self.degree}


def check_sparsity(sparsity, owner):
    """`sparsity` as a float in [0, 1)."""
    return checks.number(
        "sparsity", sparsity, owner, 0, 1, exclude_maximum=True,
        hint="It is the fraction of zeros: 0.9 keeps a tenth of the connections.",
    )  # fmt: skip


def units_kept(sparsity, units):
    """`ceil((1 - sparsity) * units)`, but 1 - 0.7 is 0.30000000000000004 and means 0.3."""
    return max(1, math.ceil((1 - sparsity) * units - 1e-9))


def count_to_cut(count, sparsity, owner="count_to_cut"):
    """`floor(sparsity * count)`, but 0.29 * 100 is 28.999999999999996 and means 29.

    What is forgiven is the rounding of a few operations in double precision; all are never cut.

    Args:
        count: Integer >= 1, connections or groups.
        sparsity: Number in [0, 1).
        owner: String or object that an error names.

    Example:
        >>> count_to_cut(100, 0.29), count_to_cut(10, 0.99)
        (29, 9)
    """
    count = checks.integer("count", count, owner, minimum=1, hint="Without connections there is nothing to cut.")
    sparsity = check_sparsity(sparsity, owner)
    return min(math.floor(sparsity * count + 1e-9 + 1e-15 * count), count - 1)


def distinct(rng, rows, columns, count):
    """For each of `rows`, `count` distinct integers below `columns`, uniformly, in increasing order.

    What comes twice is drawn again until nothing does; more than half of the columns are drawn by what they leave
    out. Time and memory follow `rows * count`.

    Returns:
        Integer array `(rows, count)`.
    """
    if count > columns // 2:
        left_out = np.zeros((rows, columns), dtype=bool)
        np.put_along_axis(left_out, distinct(rng, rows, columns, columns - count), True, axis=1)
        return np.nonzero(~left_out)[1].reshape(rows, count)
    drawn = rng.integers(columns, size=(rows, count), dtype=np.int32 if columns < 2**31 else np.int64)
    drawn.sort(axis=1)
    while len(again := np.flatnonzero((drawn[:, 1:] == drawn[:, :-1]).any(axis=1))):
        part = drawn[again]
        twice = part[:, 1:] == part[:, :-1]
        part[:, 1:][twice] = rng.integers(columns, size=np.count_nonzero(twice))
        part.sort(axis=1)
        drawn[again] = part
    return drawn
