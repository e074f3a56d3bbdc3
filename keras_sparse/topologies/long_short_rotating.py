"""Half of the connections to neighbours, half far away, rotated."""

import keras

from keras_sparse.topologies.rotation import Rotation


@keras.saving.register_keras_serializable(package="keras_sparse")
class LongShortRotating(Rotation):
    """Connects input 0 to `out_degree / 2` neighbours and to as many outputs spread evenly over the rest; rotated.

    An odd degree gives the neighbours one more. Each far connection stands in the middle of an equal share of the
    outputs that the neighbours leave.

    Args:
        sparsity: Number in [0, 1), fraction of zeros; or None.
        out_degree: Integer in [1, fan_out], connections out of each input; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; kept, but nothing is drawn.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 3.2.2, https://arxiv.org/abs/1706.05683

    Example:
        >>> LongShortRotating(out_degree=4)(1, 10).astype(int)
        array([[1, 1, 0, 0, 1, 0, 0, 0, 1, 0]])
    """

    def row(self, degree, fan_out, rng):
        short = (degree + 1) // 2
        long, rest = degree - short, fan_out - short
        return [*range(short), *(short + (2 * j + 1) * rest // (2 * long) for j in range(long))]
