"""A convolution of images of which single weights are left out."""

import keras

from keras_sparse.layers.masked_conv import DOC, MaskedConv


@keras.saving.register_keras_serializable(package="keras_sparse")
class MaskedConv2D(MaskedConv, keras.layers.Conv2D):
    __doc__ = DOC.format(
        name="Conv2D", masked="MaskedConv2D", compact="", sizes="5, 5", output="(1, 3, 3, 8)", kernel="(3, 3, 4, 8)"
    )
