"""Whole output channels."""

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.patterns.pattern import Pattern

NORMS = ("l2", "l1", "sum")


@keras.saving.register_keras_serializable(package="keras_sparse")
class Channel(Pattern):
    """All connections into one output (the last axis of a kernel) are kept or cut together.

    The layer then computes fewer features, and `shrink` makes it smaller. A kernel whose last axis is not that of its
    output channels (a transposed or depthwise convolution's) must be turned round before.

    Args:
        norm: How the scores of a channel become one: "l2", the root of the sum of their squares; "l1", the sum of
            their absolute values; "sum", their sum as it is, for criteria whose scores may be negative, such as
            movement and GraSP: their sign says what should go, and a norm would lose it.

    Raises:
        ValueError: If `norm` is none of these; if scores are negative and `norm` is not "sum".

    Reference:
        Li et al., Pruning filters for efficient ConvNets, 2017, https://arxiv.org/abs/1608.08710

    Example:
        >>> Channel("l1").pool(np.array([[3, 1, 2], [4, 1, 2]]))
        array([7., 2., 4.])
    """

    def __init__(self, norm="l2"):
        self.norm = checks.choice("norm", norm, self, NORMS)

    @property
    def takes_negative(self):
        return self.norm == "sum"

    @classmethod
    def arguments(cls, text):
        """`"l1"` -> `{"norm": "l1"}`."""
        return {"norm": text}

    def group_shape(self, shape):
        return shape[-1:]

    def pool(self, scores):
        scores = self.checked(scores)
        if not self.takes_negative and scores.min() < 0:
            raise checks.error(
                "scores", self, f"numbers >= 0 for the norm {self.norm!r}", float(scores.min()),
                "Take Channel('sum') for a criterion whose scores may be negative; for weights pass magnitudes.",
            )  # fmt: skip
        rows = scores.reshape(-1, scores.shape[-1])
        if self.norm == "l2":
            return np.sqrt(np.square(rows, dtype=np.float64).sum(axis=0))
        return rows.sum(axis=0, dtype=np.float64)

    def spread(self, kept, scores):
        return np.broadcast_to(self.checked_groups(kept, scores.shape), scores.shape).copy()

    def get_config(self):
        return {"norm": self.norm}
