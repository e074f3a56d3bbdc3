"""Each pair connected by chance, whatever the others are."""

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.topologies.topology import DegreeTopology, distinct


@keras.saving.register_keras_serializable(package="keras_sparse")
class RandomEdge(DegreeTopology):
    """Connects each pair with the same probability, independently of all others.

    The number of connections is drawn first, from the binomial distribution, and then that many distinct pairs:
    the same law, without a look at every pair.

    Args:
        sparsity: Number in [0, 1), the probability that a pair is not connected; or None.
        out_degree: Number > 0, expected connections out of each input, the probability being
            `out_degree / fan_out`; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; None draws one and keeps it.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 3.1.1, https://arxiv.org/abs/1706.05683

    Example:
        >>> RandomEdge(sparsity=0.9, seed=0)(100, 100).mean()      # near 0.1
        0.1038
    """

    def __init__(self, sparsity=None, out_degree=None, block_size=1, seed=None):
        super().__init__(sparsity, out_degree, block_size, seed)

    def check_degree(self, degree):
        return checks.number("out_degree", degree, self, 1e-12, float("inf"), hint="Pass a number > 0.")

    def connect(self, fan_in, fan_out, rng):
        probability = 1 - self.sparsity if self.degree is None else self.degree_among(fan_out) / fan_out
        pairs = fan_in * fan_out
        cells = distinct(rng, 1, pairs, int(rng.binomial(pairs, probability)))[0]
        inputs = (cells // fan_out).astype(np.int32)
        cells %= fan_out
        return inputs, cells
