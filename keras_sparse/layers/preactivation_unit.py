"""The unit of DenseNet, SparseNet and pre-activation ResNet."""

import keras

from keras_sparse import checks

# Epsilon as in keras.applications, so that transplanted weights predict the same. The moving statistics forget
# faster than Keras's default of 0.99 (as in the framework that the papers used), for the sake of short runs.
BATCH_NORM = {"epsilon": 1.001e-5, "momentum": 0.9}


def he_normal_fan_out(seed=None):
    """Normal initializer with variance `2 / (k_h * k_w * filters)`, as the papers use."""
    return keras.initializers.VarianceScaling(scale=2.0, mode="fan_out", distribution="untruncated_normal", seed=seed)


def channel_axis(data_format):
    """The channel axis of an image tensor: 3 for "channels_last", 1 for "channels_first"."""
    return 3 if data_format == "channels_last" else 1


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

    def __init__(self, filters, kernel_size, strides=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = self._integers("filters", filters)
        self.kernel_size = self._integers("kernel_size", kernel_size)
        convolutions = len(self.filters)
        if isinstance(strides, int):
            strides = (strides,) + (1,) * (convolutions - 1)
        self.strides = self._integers("strides", strides)
        for argument in ("kernel_size", "strides"):
            if len(getattr(self, argument)) != convolutions:
                raise checks.error(
                    argument,
                    self,
                    f"one integer for each of the {convolutions} convolutions in `filters`",
                    getattr(self, argument),
                    f"Pass {convolutions} of them.",
                )
        self.data_format = data_format or keras.config.image_data_format()
        checks.choice("data_format", self.data_format, self, ("channels_last", "channels_first"))
        self.relu = keras.layers.ReLU(dtype=self.dtype_policy, name=f"{self.name}_relu")
        self.norms = [
            keras.layers.BatchNormalization(
                axis=channel_axis(self.data_format),
                dtype=self.dtype_policy,
                name=f"{self.name}_{i}_bn",
                **BATCH_NORM,
            )
            for i in range(convolutions)
        ]
        self.convolutions = [
            keras.layers.Conv2D(
                self.filters[i],
                self.kernel_size[i],
                strides=self.strides[i],
                padding="same",
                data_format=self.data_format,
                use_bias=False,
                kernel_initializer=he_normal_fan_out(),
                dtype=self.dtype_policy,
                name=f"{self.name}_{i + 1}_conv",
            )
            for i in range(convolutions)
        ]

    def _integers(self, argument, value):
        values = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(checks.integer(argument, v, owner=self, minimum=1) for v in values)

    def build(self, input_shape):
        shape = tuple(input_shape)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            norm.build(shape)
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)

    def call(self, inputs):
        x = inputs
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = convolution(self.relu(norm(x)))
        return x

    def compute_output_spec(self, inputs):
        x = inputs
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = self.relu.compute_output_spec(norm.compute_output_spec(x))
            x = convolution.compute_output_spec(x)
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
        }
