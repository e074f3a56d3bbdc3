"""Neighbouring outputs, rotated."""

import keras

from keras_sparse.topologies.rotation import Rotation


@keras.saving.register_keras_serializable(package="keras_sparse")
class Rotating(Rotation):
    """Connects input `i` to the `out_degree` outputs `i, i + 1, ...` (mod fan_out).

    Args:
        sparsity: Number in [0, 1), fraction of zeros; or None.
        out_degree: Integer in [1, fan_out], connections out of each input; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; kept, but nothing is drawn.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 3.2.1, https://arxiv.org/abs/1706.05683

    Example:
        >>> Rotating(out_degree=2)(3, 4).astype(int)
        array([[1, 1, 0, 0],
               [0, 1, 1, 0],
               [0, 0, 1, 1]])
    """

    def row(self, degree, fan_out, rng):
        return range(degree)
