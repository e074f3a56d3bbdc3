"""Real images: an embedded default, and TensorFlow Datasets by name.

    >>> dataset = load("digits")                       # needs no files and no network
    >>> dataset.train.images.shape, dataset.train.images.dtype
    ((1293, 16, 16, 1), dtype('uint8'))
    >>> for images, labels in dataset.test.batches(64): ...      # normalised, batched

`load` returns a `Dataset` of three splits. What is small is held in memory as NumPy arrays, which `model.fit`
takes on every backend; ImageNet is streamed. The batched pipelines are `tf.data` (see `pipeline.py`).
"""

from keras_sparse.datasets.dataset import Dataset
from keras_sparse.datasets.loading import SOURCES, load
from keras_sparse.datasets.part import WHOLE, Part
from keras_sparse.datasets.splits import ArraySplit, StreamSplit
from keras_sparse.image_statistics import STATISTICS


def list_datasets():
    """Names that `load` knows, sorted.

    Example:
        >>> list_datasets()
        ['cifar10', 'cifar100', 'digits', 'fashion_mnist', 'imagenet2012', 'mnist']
    """
    return sorted(SOURCES)


__all__ = ["SOURCES", "STATISTICS", "WHOLE", "ArraySplit", "Dataset", "Part", "StreamSplit", "list_datasets", "load"]
