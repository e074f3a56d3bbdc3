"""From a model that exists to a new one: sparser, narrower, smaller, or stock again.

>>> sparse = sparsify(keras.applications.MobileNetV2(weights=None), sparsity=0.9, exclude="last", seed=0)
>>> stock = strip(sparse)

`mask_in_place`, `rewind` and `reinitialize` change the model that they are given.
"""

from keras_sparse.transforms.compact import compact
from keras_sparse.transforms.fold_batch_norm import fold_batch_norm
from keras_sparse.transforms.fresh_start import restart_clock
from keras_sparse.transforms.mask_in_place import mask_in_place
from keras_sparse.transforms.reinitialize import reinitialize
from keras_sparse.transforms.rewind import rewind
from keras_sparse.transforms.scale_width import scale_width
from keras_sparse.transforms.shrink import shrink
from keras_sparse.transforms.sparsify import sparsify
from keras_sparse.transforms.strip import strip
from keras_sparse.transforms.unroll import roll, unroll

__all__ = [
    "compact",
    "fold_batch_norm",
    "mask_in_place",
    "reinitialize",
    "restart_clock",
    "rewind",
    "roll",
    "scale_width",
    "shrink",
    "sparsify",
    "strip",
    "unroll",
]
