"""No aggregation: a plain chain."""

import keras

from keras_sparse.aggregation.pattern import Pattern


@keras.saving.register_keras_serializable(package="keras_sparse")
class Previous(Pattern):
    """Reads the output just before: a plain network, whose gradient paths are as long as it is deep.

    Example:
        >>> Previous().sources(4)
        [3]
    """

    def offsets(self, available):
        return [1]
