"""Sparse aggregation: offsets that are powers of a base."""

import keras

from keras_sparse import checks
from keras_sparse.aggregation.pattern import Pattern


def powers(base, limit):
    """The powers `1, base, base**2, ...` that do not exceed `limit`."""
    values, value = [], 1
    while value <= limit:
        values.append(value)
        value *= base
    return values


@keras.saving.register_keras_serializable(package="keras_sparse")
class Exponential(Pattern):
    """Reads the outputs at offsets `base^0, base^1, base^2, ...`: the pattern of SparseNet.

    Of `n` earlier outputs a layer reads `floor(log_base(n)) + 1`, so a block of N layers has
    `O(N log N)` links, and two outputs at distance S are at most about `(base - 1) log_base(S)` links
    apart: the sum of the digits of S written in that base.

    Args:
        base: Integer >= 2.

    Reference:
        Zhu et al., Sparsely aggregated convolutional networks, 2018, https://arxiv.org/abs/1801.05895

    Example:
        >>> Exponential(base=3).sources(12)      # offsets 1, 3 and 9
        [3, 9, 11]
    """

    has_base = True

    def __init__(self, base=2):
        self.base = checks.integer("base", base, owner=self, minimum=2)

    def offsets(self, available):
        return powers(self.base, available)

    def get_config(self):
        return {"base": self.base}
