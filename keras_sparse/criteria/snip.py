"""What the loss would miss, before any training."""

import keras
import numpy as np

from keras_sparse.criteria.criterion import Criterion, product


@keras.saving.register_keras_serializable(package="keras_sparse")
class Snip(Criterion):
    """`|w * g| / sum |w * g|`, with `g` the gradient of the loss on a batch, at initialization.

    The sum runs over all kernels that are scored together, in `scores_of`; the paper ranks a whole network at once.
    `scores` takes its kernel for the whole network.

    Reference:
        Lee et al., SNIP: single-shot network pruning based on connection sensitivity, 2019,
        https://arxiv.org/abs/1810.02340

    Example:
        >>> Snip().scores(np.array([1.0, -2.0]), gradients=np.array([2.0, 3.0]))
        array([0.25, 0.75])
    """

    gradients = "loss"
    at_initialization = True

    def compute(self, weights, gradients, rng):
        return np.abs(product(weights, gradients))

    def on_one_scale(self, scores):
        total = sum(s.sum() for s in scores)
        return [s / total for s in scores] if total else scores  # all gradients zero: nothing to compare
