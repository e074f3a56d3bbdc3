"""From a model that exists to a new one: sparser, narrower, smaller, or stock again.

>>> sparse = sparsify(keras.applications.MobileNetV2(weights=None), sparsity=0.9, exclude="last", seed=0)
>>> stock = strip(sparse)
"""

from keras_sparse.transforms.compact import compact
from keras_sparse.transforms.scale_width import scale_width
from keras_sparse.transforms.shrink import shrink
from keras_sparse.transforms.sparsify import sparsify
from keras_sparse.transforms.strip import strip

__all__ = ["compact", "scale_width", "shrink", "sparsify", "strip"]
