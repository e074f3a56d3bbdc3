"""A dense layer with few connections."""

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.kernels import compact
from keras_sparse.layers.sparse_kernel import ARGUMENTS_DOC, SparseKernel


@keras.saving.register_keras_serializable(package="keras_sparse")
class MaskedDense(SparseKernel, keras.layers.Dense):
    __doc__ = f"""`keras.layers.Dense` in which only some inputs are connected to each unit.

    Args:
        units: Integer >= 1, width of the output.
        {ARGUMENTS_DOC}
        **kwargs: As for `keras.layers.Dense`: `activation`, `use_bias`, initializers, regularizers, constraints,
            `lora_rank`, `name`, `dtype`, ... The variance of Glorot, He and LeCun initializers follows the connected
            fans, not the dense ones.

    Input shape:
        `(batch, ..., fan_in)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: If an argument is out of range, contradicts the topology, or is not possible with a compact
            kernel; in `build`, if the topology does not exist for these sizes.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, https://arxiv.org/abs/1706.05683

    Example:
        >>> layer = MaskedDense(300, sparsity=0.9, topology="expander", activation="relu", seed=0)
        >>> layer(keras.ops.ones((2, 784))).shape, layer.mask.sum()
        ((2, 300), 23520)
    """

    def __init__(
        self,
        units,
        sparsity=0.9,
        topology="random_fan_in",
        format="masked",
        block_size=1,
        seed=None,
        implementation="auto",
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self._connect(sparsity, topology, format, block_size, seed, implementation)

    positions = ()

    def _fans(self, input_shape):
        return input_shape[-1], self.units

    def call(self, inputs, training=None):
        if self.format == "masked":
            x = ops.matmul(inputs, self._masked_kernel(training))
        else:
            indices = (ops.convert_to_tensor(index) for index in (self._inputs, self._outputs))
            x = compact.dense(
                inputs, ops.convert_to_tensor(self._kernel), *indices, self.units, self._chosen_implementation()
            )
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantizes to "int8" or "int4"; zeros stay zeros. Other modes and the compact format are refused."""
        mode = mode or getattr(config, "mode", None)
        if self.format == "compact" or mode not in ("int8", "int4"):
            why = "values without a dense kernel" if self.format == "compact" else "weights that it trains or corrects"
            raise NotImplementedError(
                f"`mode` of quantize must be 'int8' or 'int4', and the format of {checks.describe(self)} 'masked'. "
                f"Received: mode={mode!r}, format={self.format!r}, which would quantize {why}. Use `strip(model)` "
                "first."
            )
        if self.lora_enabled:
            raise NotImplementedError(
                f"`mode` of quantize must be None for {checks.describe(self)}, which has LoRA enabled. Received: "
                f"mode={mode!r}. Keras would add LoRA to the quantized product without a look at the mask. Save "
                "the weights, which merges LoRA, load them into a model without LoRA, and quantize that."
            )
        # Keras quantizes the kernel as it is stored, and there zero means zero.
        return super().quantize(mode, type_check=False, config=config)
