"""The base class of aggregation patterns: one method to override, everything else follows from it."""

import math
from abc import ABC, abstractmethod

import numpy as np

from keras_sparse import checks
from keras_sparse.configured import Configured


class Pattern(Configured, ABC):
    """Says which earlier outputs of a block each of its layers reads.

    Outputs are numbered from the block's input, `y_0`; layer `l` computes `y_l` and may read any of
    `y_0 .. y_{l-1}`. A subclass overrides `offsets`, how far back to reach, and `get_config` if it has
    arguments.

    Reference:
        Zhu et al., Sparsely aggregated convolutional networks, 2018, equation (2),
        https://arxiv.org/abs/1801.05895
    """

    @abstractmethod
    def offsets(self, available):
        """How far back a layer reaches when `available` outputs stand before it.

        Args:
            available: Integer >= 1, outputs that exist; layer `l` has `l` of them.

        Returns:
            List of distinct integers in [1, available].
        """

    def sources(self, available):
        """Indices of the outputs that are read, oldest first.

        Args:
            available: Integer >= 1, outputs that exist: `y_0 .. y_{available-1}`.

        Returns:
            Increasing list of integers in [0, available).
        """
        available = checks.integer("available", available, owner=self, minimum=1)
        return sorted(available - offset for offset in self.offsets(available))

    def links(self, layers):
        """Number of links into the layers of a block of `layers`; the block's exit is not counted.

        Example:
            >>> All().links(12)      # N (N + 1) / 2
            78
        """
        layers = checks.integer("layers", layers, owner=self, minimum=0)
        return sum(len(self.offsets(layer)) for layer in range(1, layers + 1))

    def longest_gradient_path(self, layers):
        """Hops of the shortest path between the two outputs of a block that are farthest apart.

        Computed on the graph itself: over all pairs among `y_0 .. y_layers`, the largest of the smallest
        number of links that lead from the later back to the earlier. Time `O(layers * links)`, memory
        `O(layers^2)`.

        Returns:
            Integer, or `math.inf` if some output never reaches a later one.

        Example:
            >>> Exponential(base=2).longest_gradient_path(64)    # 63 is six powers of two
            6
        """
        layers = checks.integer("layers", layers, owner=self, minimum=0)
        unreached = np.iinfo(np.int32).max // 2
        # hops[l, i]: links on the shortest way from y_l back to y_i.
        hops = np.full((layers + 1, layers + 1), unreached, dtype=np.int32)
        hops[0, 0] = 0
        for layer in range(1, layers + 1):
            hops[layer] = hops[self.sources(layer)].min(axis=0) + 1
            hops[layer, layer] = 0
        longest = int(np.tril(hops).max())
        return math.inf if longest >= unreached else longest
