"""The same number of random inputs for each output."""

import keras
import numpy as np

from keras_sparse.topologies.topology import DegreeTopology, distinct


@keras.saving.register_keras_serializable(package="keras_sparse")
class RandomFanIn(DegreeTopology):
    """Connects each output to exactly `in_degree` inputs, drawn without replacement.

    With convolutions this is the channel-wise sparse convolution of the paper: each filter reads a random fraction
    `alpha = 1 - sparsity` of the channels, `in_degree = ceil(alpha * channels)`. One layer alone may leave inputs
    unread; `sparsify` mends that for whole models.

    Args:
        sparsity: Number in [0, 1), fraction of zeros; or None.
        in_degree: Integer in [1, fan_in], connections into each output; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; None draws one and keeps it.

    Reference:
        Changpinyo et al., The power of sparsity in convolutional neural networks, 2017,
        https://arxiv.org/abs/1702.06257

    Example:
        >>> RandomFanIn(in_degree=4, seed=0)(16, 8).sum(axis=0)
        array([4, 4, 4, 4, 4, 4, 4, 4])
    """

    degree_name = "in_degree"

    def __init__(self, sparsity=None, in_degree=None, block_size=1, seed=None):
        super().__init__(sparsity, in_degree, block_size, seed)

    def connect(self, fan_in, fan_out, rng):
        degree = self.degree_among(fan_in)
        inputs = distinct(rng, fan_out, fan_in, degree)
        return inputs.ravel(), np.repeat(np.arange(fan_out), degree)
