"""A convolution along one axis of which single weights are left out."""

import keras
from keras import ops

from keras_sparse.layers.masked_conv import DOC, MaskedConv


@keras.saving.register_keras_serializable(package="keras_sparse")
class MaskedConv1D(MaskedConv, keras.layers.Conv1D):
    __doc__ = DOC.format(
        name="Conv1D",
        masked="MaskedConv1D",
        compact=" (there is none)",
        sizes=5,
        output="(1, 3, 8)",
        kernel="(3, 4, 8)",
    )

    def call(self, inputs):
        # That of all other convolutions; Conv1D has its own, with the padding of the method below.
        return super(keras.layers.Conv1D, self).call(inputs)

    def convolution_op(self, inputs, kernel):
        causal = self.padding == "causal"
        return ops.conv(
            ops.pad(inputs, self._compute_causal_padding()) if causal else inputs,
            self._masked_kernel(training=False),
            strides=list(self.strides),
            padding="valid" if causal else self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
