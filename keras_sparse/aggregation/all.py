"""Dense aggregation: every earlier output."""

import keras

from keras_sparse.aggregation.pattern import Pattern


@keras.saving.register_keras_serializable(package="keras_sparse")
class All(Pattern):
    """Reads every earlier output, as DenseNet (by concatenation) and ResNet (by sum) do.

    `N (N + 1) / 2` links in a block of N layers; any two outputs are one link apart.

    Example:
        >>> All().sources(4)
        [0, 1, 2, 3]
    """

    def offsets(self, available):
        return list(range(1, available + 1))
