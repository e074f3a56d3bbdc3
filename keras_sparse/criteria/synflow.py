"""How much flows through a weight, whatever the data are."""

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.criteria.criterion import Criterion, product


@keras.saving.register_keras_serializable(package="keras_sparse")
class Synflow(Criterion):
    """`|w * dR/dw|`, where `R` is the sum of the outputs for an input of ones and absolute weights, at initialization.

    No data are needed. Scores are computed anew in each of `rounds` rounds, after round `k` of `n` the density is
    `density ** (k / n)`: pruned at once, the scores would cut whole layers. The paper's spelling, `SynFlow`, is another
    name of the class.

    Args:
        rounds: Integer >= 1; 100 in the paper.

    Reference:
        Tanaka et al., Pruning neural networks without any data by iteratively conserving synaptic flow, 2020,
        https://arxiv.org/abs/2006.05467

    Example:
        >>> SynFlow().scores(np.array([1.0, -2.0]), gradients=np.array([3.0, 0.5]))
        array([3., 1.])
        >>> [round(SynFlow(rounds=4).density_after(k, 0.0016), 4) for k in range(1, 5)]
        [0.2, 0.04, 0.008, 0.0016]
    """

    gradients = "flow"
    at_initialization = True

    def __init__(self, rounds=100):
        self.rounds = checks.integer("rounds", rounds, self, minimum=1)

    def compute(self, weights, gradients, rng):
        return np.abs(product(weights, gradients))

    def get_config(self):
        return {"rounds": self.rounds}


SynFlow = Synflow
