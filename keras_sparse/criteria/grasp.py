"""What the flow of gradients would miss, before any training."""

import keras

from keras_sparse.criteria.criterion import Criterion, product


@keras.saving.register_keras_serializable(package="keras_sparse")
class Grasp(Criterion):
    """`w * Hg`, with `g` the gradient of the loss on a batch and `H` its Hessian, at initialization.

    To first order, a weight that goes changes the squared norm of the gradient, which says how fast the loss will
    fall, by `-2 * w * Hg`. The paper's score is `-w * Hg` and it removes the weights where that is highest; ours has
    the other sign, so that high means keep here too. Scores may be negative.

    Reference:
        Wang et al., Picking winning tickets before training by preserving gradient flow, 2020,
        https://arxiv.org/abs/2002.07376

    Example:
        >>> Grasp().scores(np.array([1.0, -2.0]), gradients=np.array([3.0, 0.5]))
        array([ 3., -1.])
    """

    gradients = "hessian"
    may_be_negative = True
    at_initialization = True

    def compute(self, weights, gradients, rng):
        return product(weights, gradients)
