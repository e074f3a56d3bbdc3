"""Linear nearby, logarithmic beyond."""

import keras

from keras_sparse import checks
from keras_sparse.aggregation.exponential import powers
from keras_sparse.aggregation.pattern import Pattern


@keras.saving.register_keras_serializable(package="keras_sparse")
class Hybrid(Pattern):
    """Reads all of the nearest `size` outputs, and beyond them those at powers of `base`.

    The mix of linear and logarithmic links that the SparseNet study names as future work. `size=1` is
    `Exponential`.

    Args:
        size: Integer >= 1, nearest outputs that are all read.
        base: Integer >= 2, of the offsets beyond `size`.

    Reference:
        Nijhawan, Tiwari and Anand, Highly scalable deep convolutional neural networks with sparsely
        aggregated internal connections, section VII.

    Example:
        >>> Hybrid(size=3, base=2).sources(10)      # offsets 1, 2, 3, then 4 and 8
        [2, 6, 7, 8, 9]
    """

    has_base = True
    has_size = True

    def __init__(self, size=3, base=2):
        self.size = checks.integer("size", size, owner=self, minimum=1)
        self.base = checks.integer("base", base, owner=self, minimum=2)

    def offsets(self, available):
        nearest = list(range(1, min(self.size, available) + 1))
        return nearest + [power for power in powers(self.base, available) if power > self.size]

    def get_config(self):
        return {"size": self.size, "base": self.base}
