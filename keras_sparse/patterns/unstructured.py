"""Each connection for itself."""

import keras

from keras_sparse.patterns.pattern import Pattern


@keras.saving.register_keras_serializable(package="keras_sparse")
class Unstructured(Pattern):
    """Every connection is a group of its own: `floor(sparsity * connections)` of them go.

    Example:
        >>> Unstructured().mask(np.array([[3, 1], [1, 1]]), sparsity=0.5)
        array([[ True,  True],
               [False, False]])
    """

    axes = 0

    def group_shape(self, shape):
        return shape

    def pool(self, scores):
        return self.checked(scores)

    def spread(self, kept, scores):
        return self.checked_groups(kept, scores.shape).copy()
