"""Where a weight is going."""

import keras

from keras_sparse.criteria.criterion import Criterion


@keras.saving.register_keras_serializable(package="keras_sparse")
class Movement(Criterion):
    """The sum over training of `w * dw`, weight before a step times its change in that step.

    Positive for weights that move away from zero, which stay; negative for those that shrink, however large they are.
    With plain gradient descent it is the paper's score, `-rate * sum(w * dL/dw)`; taking the change itself counts what
    the optimizer really did.

    Reference:
        Sanh et al., Movement pruning: adaptive sparsity by fine-tuning, 2020, https://arxiv.org/abs/2005.07683

    Example:
        >>> before, after = np.array([1.0, 1.0, -1.0]), np.array([0.5, 1.25, -1.5])
        >>> Movement().scores(after, gradients=before * (after - before))
        array([-0.5 ,  0.25,  0.5 ])
    """

    gradients = "movement"
    may_be_negative = True

    def compute(self, weights, gradients, rng):
        return gradients.copy()  # not the sum itself, which goes on growing
