"""The unit of DenseNet, SparseNet and pre-activation ResNet."""

import functools
import math
import sys

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.layers.batch_normalization import BatchNormalization
from keras_sparse.layers.paper_layers import batch_normalization, convolution, deserialized, shown
from keras_sparse.layers.scale_shift import ScaleShift
from keras_sparse.normalization.native import normalized_relu


@keras.saving.register_keras_serializable(package="keras_sparse")
class PreactivationUnit(keras.layers.Layer):
    """A chain of (BatchNormalization, ReLU, Conv2D) as one layer, without biases.

    `PreactivationUnit(k, 3)` is a plain DenseNet unit, `PreactivationUnit((4 * k, k), (1, 3))` its bottleneck
    form, `PreactivationUnit((w, w, 4 * w), (1, 3, 1))` the residual branch of a pre-activation ResNet.

    Args:
        filters: Integer or tuple of integers, filters of each convolution.
        kernel_size: Integer or tuple of integers, one for each convolution.
        strides: Integer or tuple of integers, one for each convolution; one integer strides the first.
        data_format: "channels_last", "channels_first", or None for Keras's setting.
        convolutions: None, or a list of convolution layers to use (sparse ones, say) instead of making them.
        norms: None, or a list of layers to use in the places of the batch normalisations (as `fold_batch_norm` does).
        **kwargs: As for every Keras layer. The inner layers are named `<name>_0_bn`, `<name>_1_conv`,
            `<name>_1_bn`, `<name>_2_conv`, ... as in `keras.applications`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with "channels_first".

    Output shape:
        The same with `filters[-1]` channels, height and width divided by the strides and rounded up.

    Reference:
        He et al., Identity mappings in deep residual networks, 2016, https://arxiv.org/abs/1603.05027

    Example:
        >>> PreactivationUnit((48, 12), (1, 3))(keras.ops.ones((1, 8, 8, 24))).shape
        (1, 8, 8, 12)
    """

    # `sparsify` and its like may exchange these: a configuration can hold them.
    replaceable_sublayers = ("convolutions", "norms")

    def __init__(self, filters, kernel_size, strides=1, data_format=None, convolutions=None, norms=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = checks.integers("filters", filters, self, minimum=1)
        count = len(self.filters)
        if isinstance(strides, int):
            strides = (strides,) + (1,) * (count - 1)
        each = {"count": count, "what": "convolutions in `filters`"}
        self.kernel_size = checks.integers("kernel_size", kernel_size, self, minimum=1, **each)
        self.strides = checks.integers("strides", strides, self, minimum=1, **each)
        self.data_format = data_format or keras.config.image_data_format()
        checks.choice("data_format", self.data_format, self, ("channels_last", "channels_first"))
        self.relu = keras.layers.ReLU(dtype=self.dtype_policy, name=f"{self.name}_relu")
        self._given_norms = norms is not None
        self.norms = norms or [
            batch_normalization(self.data_format, f"{self.name}_{i}_bn", dtype=self.dtype_policy) for i in range(count)
        ]
        self._given_convolutions = convolutions is not None
        self.convolutions = convolutions or [
            convolution(*sizes, self.data_format, f"{self.name}_{i + 1}_conv", strides=stride, dtype=self.dtype_policy)
            for i, (*sizes, stride) in enumerate(zip(self.filters, self.kernel_size, self.strides, strict=True))
        ]

    def build(self, input_shape):
        shape = tuple(input_shape)
        for norm, convolve in zip(self.norms, self.convolutions, strict=True):
            for layer in (norm, convolve):
                if not layer.built:  # a given one may have been
                    layer.build(shape)
            shape = convolve.compute_output_shape(shape)

    def call(self, inputs):
        x = inputs
        for norm, convolve in zip(self.norms, self.convolutions, strict=True):
            x = convolve(self.relu(norm(x)))
        return x

    @property
    def reads_moments(self):
        """Whether `train_on` will do in training: whether its first normalisation is by moments of the batch."""
        norm = self.norms[0]
        return (
            type(self) is PreactivationUnit
            and self.activity_regularizer is None  # which Keras looks at in `__call__`
            and isinstance(norm, BatchNormalization)
            and norm.uses_moments_of_batch
        )

    def train_on(self, outputs, sources):
        """As `call` in training on the join of some outputs, at less cost.

        What their moments are is known; and before a stock convolution neither the join nor what is made of it is kept
        for the gradient, which makes them again.

        Args:
            outputs: `SharedMoments`.
            sources: List of integers, which of them to read.

        Returns:
            A tensor.
        """
        x = None
        for norm, convolve in zip(self.norms, self.convolutions, strict=True):
            # A sparse kernel remembers, between calls, what its mask is: it is run once, like whatever else may.
            is_stateless = type(convolve) is keras.layers.Conv2D and convolve.activity_regularizer is None
            then = (norm, functools.partial(convolved, convolve), convolve.variables if is_stateless else None)
            x = outputs.read(sources, *then) if x is None else outputs.read_alone(x, *then)
        return x

    @property
    def is_folded(self):
        """Whether `predict_on` will do: whether `fold_batch_norm` has left a scale and a shift in the first place."""
        own = type(self) is PreactivationUnit and self.activity_regularizer is None
        return own and type(self.norms[0]) is ScaleShift

    def predict_on(self, parts):
        """As `call` in a prediction on the concatenation of `parts`, which is not made."""
        norm, convolve = self.norms[0], self.convolutions[0]
        scale, shift = (ops.convert_to_tensor(variable) for variable in (norm.scale, norm.shift))
        x = convolved(convolve, normalized_relu(parts, scale, shift), product_until=sys.maxsize)
        for norm, convolve in zip(self.norms[1:], self.convolutions[1:], strict=True):
            x = convolved(convolve, self.relu(norm(x)), product_until=sys.maxsize)
        return x

    def compute_output_spec(self, inputs):
        x = inputs
        for norm, convolve in zip(self.norms, self.convolutions, strict=True):
            x = self.relu.compute_output_spec(norm.compute_output_spec(x))
            x = convolve.compute_output_spec(x)
        return x

    def compute_output_shape(self, input_shape):
        return self.compute_output_spec(keras.KerasTensor(tuple(input_shape), dtype=self.compute_dtype)).shape

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "data_format": self.data_format,
            "convolutions": shown(self.convolutions, self._given_convolutions),
            "norms": shown(self.norms, self._given_norms),
        }

    @classmethod
    def from_config(cls, config):
        given = {name: deserialized(config.get(name)) for name in ("convolutions", "norms")}
        return cls(**{**config, **given})


def convolved(layer, x, product_until=16):
    """`layer(x)`, 1x1 on images of at most `product_until` pixels as a matrix product, if that is TensorFlow's.

    Its convolution lays out the kernel anew each time. On the smallest images that takes longer than the product, and
    in predictions, where no gradient is to be had, it never pays.
    """
    pixels = math.prod(x.shape[1:3]) if None not in x.shape[1:] else math.inf
    is_product = (
        keras.backend.backend() == "tensorflow"
        and type(layer) is keras.layers.Conv2D
        and layer.kernel_size == layer.strides == (1, 1)
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and layer.activity_regularizer is None
        and pixels <= product_until
    )
    if not is_product:
        return layer(x)
    kernel = ops.cast(layer.kernel, x.dtype)
    product = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), ops.reshape(kernel, kernel.shape[2:]))
    if layer.use_bias:
        product = ops.add(product, ops.cast(layer.bias, x.dtype))
    return layer.activation(ops.reshape(product, (-1, *x.shape[1:3], layer.filters)))
