"""How large a weight is."""

import keras
import numpy as np

from keras_sparse.criteria.criterion import Criterion


@keras.saving.register_keras_serializable(package="keras_sparse")
class Magnitude(Criterion):
    """`|w|`: small weights go.

    Reference:
        Han et al., Learning both weights and connections for efficient neural networks, 2015,
        https://arxiv.org/abs/1506.02626

    Example:
        >>> Magnitude().scores(np.array([0.5, -2.0, 0.0]))
        array([0.5, 2. , 0. ])
    """

    def compute(self, weights, gradients, rng):
        return np.abs(weights)
