"""Small rectangles."""

import re

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.patterns.pattern import Pattern

POOLS = ("mean", "sum", "max")


@keras.saving.register_keras_serializable(package="keras_sparse")
class Block(Pattern):
    """Blocks of `height` inputs by `width` outputs are kept or cut together.

    Blocks lie over the last two axes of a kernel, (inputs, outputs). A convolution has blocks for each position of its
    window, between input and output channels. They start at the first input and the first output; those at the far
    edges may be smaller, and have the mean, sum or maximum of what they hold.

    tensorflow-model-optimization has blocks for Dense alone. Where they do not divide the kernel it pools rectangles
    that lie otherwise than those it cuts; here they are the same.

    Args:
        height: Integer >= 1, inputs of a block.
        width: Integer >= 1, outputs of a block.
        pool: "mean", "sum" or "max", how the scores of a block become one. Sums make smaller blocks at the edges go
            first.

    Raises:
        ValueError: If an argument is none of these.

    Reference:
        Narang et al., Block-sparse recurrent neural networks, 2017, https://arxiv.org/abs/1711.02782

    Example:
        >>> Block(2, 2).mask(np.array([[1, 1, 2], [1, 1, 2], [9, 0, 5]]), sparsity=0.5)
        array([[False, False, False],
               [False, False, False],
               [ True,  True,  True]])
    """

    def __init__(self, height=4, width=4, pool="mean"):
        self.height = checks.integer("height", height, self, minimum=1)
        self.width = checks.integer("width", width, self, minimum=1)
        self.pooling = checks.choice("pool", pool, self, POOLS)

    @classmethod
    def arguments(cls, text):
        """`"4x2"` -> height 4 and width 2; `"4x2:max"` with its pool. None if it is neither."""
        found = re.fullmatch(r"(\d+)x(\d+)(?::(\w+))?", text)
        if not found:
            return None
        height, width, pool = found.groups()
        return {"height": int(height), "width": int(width), "pool": pool or "mean"}

    def group_shape(self, shape):
        *positions, inputs, outputs = shape
        return (*positions, -(-inputs // self.height), -(-outputs // self.width))

    def pool(self, scores):
        scores = self.checked(scores)
        rows, columns = (np.arange(0, n, size) for n, size in zip(scores.shape[-2:], self._size(), strict=True))
        if self.pooling == "max":
            return np.maximum.reduceat(np.maximum.reduceat(scores, rows, axis=-2), columns, axis=-1)
        sums = np.add.reduceat(np.add.reduceat(scores, rows, axis=-2, dtype=np.float64), columns, axis=-1)
        if self.pooling == "sum":
            return sums
        heights, widths = np.diff(rows, append=scores.shape[-2]), np.diff(columns, append=scores.shape[-1])
        return sums / (heights[:, None] * widths)

    def spread(self, kept, scores):
        inputs, outputs = scores.shape[-2:]
        kept = self.checked_groups(kept, scores.shape).repeat(self.height, axis=-2)[..., :inputs, :]
        return kept.repeat(self.width, axis=-1)[..., :outputs]

    def _size(self):
        return self.height, self.width

    def get_config(self):
        return {"height": self.height, "width": self.width, "pool": self.pooling}
