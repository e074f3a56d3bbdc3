"""A convolution of volumes of which single weights are left out."""

import keras

from keras_sparse.layers.masked_conv import DOC, MaskedConv


@keras.saving.register_keras_serializable(package="keras_sparse")
class MaskedConv3D(MaskedConv, keras.layers.Conv3D):
    __doc__ = DOC.format(
        name="Conv3D",
        masked="MaskedConv3D",
        compact=" (there is none)",
        sizes="5, 5, 5",
        output="(1, 3, 3, 3, 8)",
        kernel="(3, 3, 3, 4, 8)",
    )
