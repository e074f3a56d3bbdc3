"""An einsum layer of which single weights are left out."""

import math

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.layers.sparse_kernel import ARGUMENTS_DOC, SparseKernel


@keras.saving.register_keras_serializable(package="keras_sparse")
class MaskedEinsumDense(SparseKernel, keras.layers.EinsumDense):
    __doc__ = f"""`keras.layers.EinsumDense` of which single weights are left out.

    The projections of Keras's attention layers are of this kind. To a topology the kernel is a matrix, the last axis
    its columns.

    Args:
        equation: String, as for `keras.layers.EinsumDense`.
        output_shape: Integer or tuple, as there.
        {ARGUMENTS_DOC}
        **kwargs: As for `keras.layers.EinsumDense`.

    Input shape:
        As the equation says.

    Output shape:
        As the equation says.

    Raises:
        ValueError: If an argument is out of range or contradicts the topology, or the format is "compact", which
            this layer has not; in `build`, if the topology does not exist for these sizes.

    Example:
        >>> layer = MaskedEinsumDense("abc,cde->abde", (None, 2, 8), sparsity=0.5, seed=0)
        >>> layer(keras.ops.ones((1, 3, 4))).shape, layer.mask.shape
        ((1, 3, 2, 8), (4, 2, 8))
    """

    def __init__(
        self,
        equation,
        output_shape,
        sparsity=0.9,
        topology="random_edge",
        format="masked",
        block_size=1,
        seed=None,
        implementation="auto",
        **kwargs,
    ):
        super().__init__(equation, output_shape, **kwargs)
        self._connect(sparsity, topology, format, block_size, seed, implementation)

    positions = ()
    has_compact_format = False

    def _check_compact(self):
        raise checks.error("format", self, "'masked'", self.format, "No product of single values is written for it.")

    def _mask_shape(self, input_shape):
        return self._noted(input_shape)[0]

    def _noted(self, input_shape):
        """Shape and initializer of the kernel that Keras would make: it knows which axes are fans."""
        plain = _Noting(self.equation, self.partial_output_shape, kernel_initializer=self.kernel_initializer)
        plain.build(input_shape)
        return plain.noted

    def build(self, input_shape):
        given = self.kernel_initializer
        self.kernel_initializer = self._noted(input_shape)[1]
        try:
            super().build(input_shape)
        finally:
            self.kernel_initializer = given

    def _fans(self, input_shape):
        shape = self._mask_shape(input_shape)
        return math.prod(shape[:-1]), shape[-1]

    def call(self, inputs, training=None):
        x = ops.einsum(self.equation, inputs, self._masked_kernel(training))
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)


class _Noting(keras.layers.EinsumDense):
    """Makes no weights, but notes which."""

    def add_weight(self, *, shape, initializer, **kwargs):
        self.noted = (shape, initializer)
