"""A convolution with few connections between channels."""

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.kernels import compact
from keras_sparse.layers.sparse_kernel import ARGUMENTS_DOC, SparseKernel


@keras.saving.register_keras_serializable(package="keras_sparse")
class SparseConv2D(SparseKernel, keras.layers.Conv2D):
    __doc__ = f"""`keras.layers.Conv2D` in which each filter reads only some of the input channels.

    The pattern of connections is the same at every position of the kernel: channel-wise sparse convolution.

    Args:
        filters: Integer >= 1, number of filters.
        kernel_size: Integer or pair of integers.
        {ARGUMENTS_DOC}
        **kwargs: As for `keras.layers.Conv2D`: `strides`, `padding`, `dilation_rate`, `data_format`, `activation`,
            initializers, regularizers, constraints, `name`, `dtype`, ... The variance of Glorot, He and LeCun
            initializers follows the connected fans, not the dense ones. `groups` is refused: groups are one
            block-diagonal pattern of connections, which `topology` can take as a mask.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with "channels_first".

    Output shape:
        As of `keras.layers.Conv2D`.

    Raises:
        ValueError: If an argument is out of range, contradicts the topology, or is not possible with a compact
            kernel; in `build`, if the topology does not exist for these sizes.

    Reference:
        Changpinyo et al., The power of sparsity in convolutional neural networks, 2017,
        https://arxiv.org/abs/1702.06257

    Example:
        >>> layer = SparseConv2D(64, 3, sparsity=0.9, padding="same", seed=0)
        >>> layer(keras.ops.ones((1, 8, 8, 32))).shape, layer.mask.sum(axis=0)[:4]      # ceil(0.1 * 32) channels each
        ((1, 8, 8, 64), array([4, 4, 4, 4]))
    """

    def __init__(
        self,
        filters,
        kernel_size,
        sparsity=0.9,
        topology="random_fan_in",
        format="masked",
        block_size=1,
        seed=None,
        implementation="auto",
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        if self.groups != 1:
            raise checks.error(
                "groups", self, "1", self.groups,
                "Pass the groups as connections: topology=np.kron(np.eye(groups), np.ones((inputs, outputs))) with "
                "the inputs and outputs of one group.",
            )  # fmt: skip
        self._connect(sparsity, topology, format, block_size, seed, implementation)

    @property
    def positions(self):
        return tuple(self.kernel_size)

    def _fans(self, input_shape):
        return input_shape[1 if self.data_format == "channels_first" else -1], self.filters

    def build(self, input_shape):
        self.compute_output_shape(input_shape)  # refuses images smaller than the kernel
        super().build(input_shape)

    def convolution_op(self, inputs, kernel):
        # Where Keras's `call` comes to the product; `kernel` is what the property of that name gave it.
        if self.format == "masked":
            # A pass over the kernel is nothing beside the passes over it that a convolution takes.
            return super().convolution_op(inputs, self._masked_kernel(training=False))
        return compact.convolution(
            inputs,
            ops.convert_to_tensor(kernel),
            ops.convert_to_tensor(self._inputs),
            ops.convert_to_tensor(self._outputs),
            self.filters,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.data_format,
            self._chosen_implementation(),
        )
