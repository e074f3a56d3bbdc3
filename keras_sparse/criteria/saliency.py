"""How much the loss would change, to first order."""

import keras
import numpy as np

from keras_sparse.criteria.criterion import Criterion, product


@keras.saving.register_keras_serializable(package="keras_sparse")
class Saliency(Criterion):
    """`|w * g|`, with `g` the gradient of the loss: the change of the loss if the weight went, to first order.

    Reference:
        Mozer and Smolensky, Skeletonization: a technique for trimming the fat from a network via relevance assessment,
        1988; Molchanov et al., Pruning convolutional neural networks for resource efficient inference, 2017,
        https://arxiv.org/abs/1611.06440

    Example:
        >>> Saliency().scores(np.array([0.5, -2.0, 3.0]), gradients=np.array([-4.0, 0.5, 0.0]))
        array([2., 1., 0.])
    """

    gradients = "loss"

    def compute(self, weights, gradients, rng):
        return np.abs(product(weights, gradients))
