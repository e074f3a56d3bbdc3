"""One random row, rotated."""

import keras

from keras_sparse.topologies.rotation import Rotation
from keras_sparse.topologies.topology import distinct


@keras.saving.register_keras_serializable(package="keras_sparse")
class RandomRotating(Rotation):
    """Connects input 0 to `out_degree` random outputs, and each next input to these, one further (mod fan_out).

    Args:
        sparsity: Number in [0, 1), fraction of zeros; or None.
        out_degree: Integer in [1, fan_out], connections out of each input; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; None draws one and keeps it.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 3.1.2, https://arxiv.org/abs/1706.05683

    Example:
        >>> RandomRotating(out_degree=3, seed=0)(8, 8).sum(axis=0)
        array([3, 3, 3, 3, 3, 3, 3, 3])
    """

    def row(self, degree, fan_out, rng):
        return distinct(rng, 1, fan_out, degree)[0]
