"""The last few outputs."""

import keras

from keras_sparse import checks
from keras_sparse.aggregation.pattern import Pattern


@keras.saving.register_keras_serializable(package="keras_sparse")
class Window(Pattern):
    """Reads the last `size` outputs: links grow linearly with depth, and so do gradient paths.

    Args:
        size: Integer >= 1, outputs that are read where as many exist.

    Example:
        >>> Window(size=3).sources(8)
        [5, 6, 7]
    """

    has_size = True

    def __init__(self, size=3):
        self.size = checks.integer("size", size, owner=self, minimum=1)

    def offsets(self, available):
        return list(range(1, min(self.size, available) + 1))

    def get_config(self):
        return {"size": self.size}
