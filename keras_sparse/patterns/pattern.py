"""The base class of pruning patterns."""

import math
from abc import ABC, abstractmethod

import numpy as np

from keras_sparse import checks
from keras_sparse.configured import Configured
from keras_sparse.patterns.ranking import checked_scores, keep_highest_of
from keras_sparse.topologies.topology import count_to_cut


class Pattern(Configured, ABC):
    """Says which connections of a kernel are kept or cut together: in groups, each of which has one score.

    A subclass overrides `group_shape`, `pool` and `spread`, and `get_config` if it has arguments. Kernels are arrays
    `(..., inputs, outputs)`, as those of Dense `(inputs, outputs)` and of Conv2D `(height, width, inputs, outputs)`.

    Example:
        >>> pattern = Channel()
        >>> scores = np.array([[3.0, 1.0, 2.0], [4.0, 1.0, 2.0]])
        >>> pattern.pool(scores).round(2)                # one score for each output channel
        array([5.  , 1.41, 2.83])
        >>> pattern.mask(scores, sparsity=0.4)           # floor(0.4 * 3) = 1 of them goes
        array([[ True, False,  True],
               [ True, False,  True]])
    """

    axes = 2  # that a kernel must have
    takes_negative = True  # scores, and not their magnitudes alone
    max_sparsity = 1.0  # what cannot be exceeded, or reached where it is 1

    @abstractmethod
    def group_shape(self, shape):
        """The shape of the array of groups of a kernel of some shape."""

    @abstractmethod
    def pool(self, scores):
        """One score for each group, high = keep.

        Args:
            scores: Array of the shape of a kernel.

        Returns:
            Array of the shape `group_shape(scores.shape)`.
        """

    @abstractmethod
    def spread(self, kept, scores):
        """The mask of a kernel, from the groups that are kept.

        Args:
            kept: Boolean array of the shape `group_shape(scores.shape)`.
            scores: Array of the shape of the kernel.

        Returns:
            Boolean array of the shape of `scores`, True = connected.
        """

    def cut_among(self, groups, sparsity):
        """How many of `groups` groups go: `floor(sparsity * groups)`."""
        return count_to_cut(groups, sparsity, owner=self)

    def groups_to_cut(self, shape, sparsity):
        """How many of the groups of a kernel go.

        Args:
            shape: Tuple, the kernel's.
            sparsity: Number in [0, 1).

        Returns:
            Integer.

        Example:
            >>> Unstructured().groups_to_cut((784, 300), 0.9), Block(4, 4).groups_to_cut((784, 300), 0.9)
            (211680, 13230)
        """
        shape = tuple(shape)
        if len(shape) < self.axes:
            raise checks.error("shape", self, "a shape (..., inputs, outputs)", shape, "Pass the shape of a kernel.")
        return self.cut_among(math.prod(self.group_shape(shape)), sparsity)

    def is_cut(self, mask):
        """Which groups of a kernel have nothing to lose: all of theirs is cut, or all that they could lose.

        Args:
            mask: Boolean array of the shape of the kernel, True = connected.

        Returns:
            Boolean array of the shape `group_shape(mask.shape)`.

        Example:
            >>> Block(2, 2).is_cut(np.array([[True, False, False], [False, False, False]]))
            array([[False,  True]])
        """
        return self.pool(mask) == 0

    def mask(self, scores, sparsity, connected=None):
        """The mask of one kernel: the groups with the lowest scores go.

        Args:
            scores: Array of the shape of the kernel, high = keep.
            sparsity: Number in [0, 1).
            connected: Boolean array of the shape of the kernel, or None for all; groups that are cut already go first,
                whatever their scores, and count.

        Returns:
            Boolean array of the same shape, True = connected.

        Raises:
            ValueError: If a score is NaN, the array has too few axes, or the pattern cannot be that sparse.
        """
        return self.masks([scores], sparsity, None if connected is None else [connected])[0]

    def masks(self, list_of_scores, sparsity, connected=None):
        """The masks of several kernels, whose groups are ranked together: one sparsity for all, not for each.

        Example:
            >>> [m.tolist() for m in Unstructured().masks([np.array([1, 2]), np.array([3, 4])], 0.5)]
            [[False, False], [True, True]]
        """
        arrays = [self.checked(scores) for scores in list_of_scores]
        groups = [self.pool(scores) for scores in arrays]
        if connected is not None:
            groups = [
                np.where(self.is_cut(mask), -np.inf, group) for mask, group in zip(connected, groups, strict=True)
            ]
        total = sum(group.size for group in groups)
        kept = keep_highest_of(groups, total - self.cut_among(total, sparsity))
        return [self.spread(*pair) for pair in zip(kept, arrays, strict=True)]

    def checked(self, scores):
        """`scores` as an array of numbers without NaN that has axes enough."""
        return checked_scores(scores, owner=self, axes=self.axes)

    def checked_groups(self, kept, shape):
        """`kept` as a boolean array with an entry for each group of a kernel of some shape."""
        kept = np.asarray(kept)
        if kept.dtype != bool or kept.shape != self.group_shape(shape):
            raise checks.error(
                "kept", self, f"a boolean array of shape {self.group_shape(shape)}",
                f"{kept.dtype} array of shape {kept.shape}", f"It has one entry for each group of a kernel {shape}.",
            )  # fmt: skip
        return kept
