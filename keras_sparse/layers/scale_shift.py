"""What is left of a batch normalisation once its statistics are fixed."""

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.normalization import normalize


@keras.saving.register_keras_serializable(package="keras_sparse")
class ScaleShift(keras.layers.Layer):
    """Multiplies each channel by a number and adds another: `x * scale + shift`.

    `fold_batch_norm` puts it in the place of a batch normalisation that no kernel can take in.

    Args:
        axis: Integer, the channel axis.
        **kwargs: As for every Keras layer.

    Input shape:
        Any, with a known number of channels.

    Output shape:
        That of the input.

    Example:
        >>> ScaleShift()(keras.ops.ones((2, 8, 8, 3))).shape
        (2, 8, 8, 3)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = checks.integer("axis", axis, owner=self, minimum=-8)
        self.supports_masking = True

    def build(self, input_shape):
        channels = (input_shape[self.axis],)
        # In single precision whatever the layer computes in, like the variables of a batch normalisation.
        self.scale = self.add_weight(shape=channels, initializer="ones", name="scale", autocast=False)
        self.shift = self.add_weight(shape=channels, initializer="zeros", name="shift", autocast=False)

    def call(self, inputs):
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        scale, shift = ops.cast(self.scale, x.dtype), ops.cast(self.shift, x.dtype)
        outputs = normalize(x, ops.zeros_like(scale), ops.ones_like(scale), scale, shift, epsilon=0, axis=self.axis)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
