"""No reason at all."""

import keras

from keras_sparse import checks
from keras_sparse.criteria.criterion import Criterion


@keras.saving.register_keras_serializable(package="keras_sparse")
class Random(Criterion):
    """A number drawn uniformly from [0, 1) for each weight: what any other criterion must beat.

    Example:
        >>> Random().scores(np.zeros((2, 3)), rng=np.random.default_rng(0)).shape
        (2, 3)
    """

    def compute(self, weights, gradients, rng):
        if rng is None:
            hint = "Pass numpy.random.default_rng(seed)."
            raise checks.error("rng", self, "a numpy.random.Generator", rng, hint)
        return rng.random(weights.shape)
