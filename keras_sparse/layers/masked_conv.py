"""What `MaskedConv1D`, `MaskedConv2D` and `MaskedConv3D` share: each weight is a connection of its own."""

import math

from keras import ops

from keras_sparse import checks
from keras_sparse.kernels import choice, compact, native, scattered
from keras_sparse.layers.sparse_kernel import ARGUMENTS_DOC, SparseKernel

DOC = f"""`keras.layers.{{name}}` of which single weights are left out.

    `SparseConv2D` connects channels, with all positions of the kernel or none; here each weight may be there or not,
    which is what unstructured pruning leaves. To a topology the kernel is a matrix
    `(positions * channels, filters)`.

    Args:
        filters: Integer >= 1, number of filters.
        kernel_size: Integer, or one for each axis.
        {ARGUMENTS_DOC}
        **kwargs: As for `keras.layers.{{name}}`, groups included.

    Input shape:
        As `keras.layers.{{name}}`.

    Output shape:
        As `keras.layers.{{name}}`.

    Raises:
        ValueError: If an argument is out of range, contradicts the topology, or is not possible with a compact
            kernel{{compact}}; in `build`, if the topology does not exist for these sizes.

    Reference:
        Han et al., Learning both weights and connections for efficient neural networks, 2015,
        https://arxiv.org/abs/1506.02626

    Example:
        >>> layer = {{masked}}(8, 3, sparsity=0.9, seed=0)
        >>> layer(keras.ops.ones((1, {{sizes}}, 4))).shape, layer.mask.shape
        ({{output}}, {{kernel}})
    """


class MaskedConv(SparseKernel):
    """To be mixed into a Keras convolution, in front of its class."""

    positions = ()

    def __init__(
        self,
        filters,
        kernel_size,
        sparsity=0.9,
        topology="random_edge",
        format="masked",
        block_size=1,
        seed=None,
        implementation="auto",
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        self._connect(sparsity, topology, format, block_size, seed, implementation)

    @property
    def has_compact_format(self):
        return self.rank == 2 and self.groups == 1

    def _check_compact(self):
        if not self.has_compact_format:
            raise checks.error(
                "format", self, "'masked', except for MaskedConv2D with groups=1", self.format,
                f"Received besides: groups={self.groups}. No product of single values is written for that.",
            )  # fmt: skip
        if self.implementation == "native" and self.block_size > 1:
            raise checks.error(
                "implementation", self, "'auto', 'blocked' or 'scattered' with block_size > 1", self.implementation,
                "The native product of windows takes single weights.",
            )  # fmt: skip
        super()._check_compact()

    @property
    def window(self):
        return math.prod(self.kernel_size)

    def _mask_shape(self, input_shape):
        channels = input_shape[1 if self.data_format == "channels_first" else -1]
        return (*self.kernel_size, channels // self.groups, self.filters)

    def _fans(self, input_shape):
        shape = self._mask_shape(input_shape)
        return math.prod(shape[:-1]), shape[-1]

    def _dense_shape(self):
        channels = self._size[0] // self.window
        return (*self.kernel_size, channels, self.filters)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)  # refuses images smaller than the kernel
        super().build(input_shape)

    def convolution_op(self, inputs, kernel):
        # Where Keras's `call` comes to the product; `kernel` is what the property of that name gave it.
        if self.format == "masked":
            return super().convolution_op(inputs, self._masked_kernel(training=False))
        values, inputs_of, outputs_of = (ops.convert_to_tensor(x) for x in (kernel, self._inputs, self._outputs))
        implementation = self._chosen_implementation()
        how = (self.strides, self.padding, self.dilation_rate)
        if implementation == "native":
            indices = (inputs_of, outputs_of, self.filters, self.kernel_size)
            return native.by_position(inputs, values, *indices, *how, self.data_format)
        # TensorFlow convolves images with channels last only, on a CPU.
        image = ops.moveaxis(inputs, 1, -1) if self.data_format == "channels_first" else inputs
        if implementation == "scattered":
            matrix = scattered.kernel(values, inputs_of, outputs_of, *self._size, (), scattered.OUTPUT_LAST)
            strides, padding, dilation_rate = how
            dense_kernel = ops.reshape(matrix, self._dense_shape())
            outputs = ops.conv(image, dense_kernel, strides, padding, "channels_last", dilation_rate)
        else:
            patches = self._patches(image)
            outputs = compact.dense(patches, values, inputs_of, outputs_of, self.filters, implementation)
        return ops.moveaxis(outputs, -1, 1) if self.data_format == "channels_first" else outputs

    def _workload(self):
        return choice.Workload(self._inputs.shape[0], 1, *self._size, self.block_size)

    def _chosen_implementation(self, build=True):
        if self.window == 1 or self.implementation not in ("auto", "native"):
            return super()._chosen_implementation(build)
        # What a window reads, as a vector, costs more to make than a dense convolution: no stock product makes up for
        # it. The native one takes single weights, and need not be built for others.
        has_native = self.block_size == 1 and super()._chosen_implementation(build) == "native"
        return "native" if has_native else "scattered"

    def _patches(self, image):
        """What each output pixel reads: a vector of all positions and channels."""
        if self.window == 1:
            return image[:, :: self.strides[0], :: self.strides[1]]
        return ops.image.extract_patches(
            image,
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
            data_format="channels_last",
        )
