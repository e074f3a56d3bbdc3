"""Splits: images in memory, or a stream of them, and the batches they give."""

import dataclasses

import numpy as np

from keras_sparse import checks
from keras_sparse.datasets.part import WHOLE

AUGMENTATIONS = ("none", "shift", "shift_mirror")


def batch_sizes(size, batch_size):
    """The sizes of the batches of an epoch: all alike, but perhaps the last."""
    return [min(batch_size, size - begin) for begin in range(0, size, batch_size)]


@dataclasses.dataclass(frozen=True)
class ArraySplit:
    """Images in memory.

    Attributes:
        name: String, the data set, whose channel statistics normalise the batches.
        images: uint8 array `(n, height, width, channels)`, 0..255, as they are: only the batches are normalised. To fit
            on arrays, pass them through `applications.preprocess_input(images, statistics=name)`.
        labels: int64 array `(n,)`.
    """

    name: str
    images: np.ndarray = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)

    def __str__(self):
        return f"{self.size} images of {'x'.join(map(str, self.images.shape[1:]))}"

    @property
    def size(self):
        return len(self.images)

    def take(self, indices):
        return ArraySplit(self.name, self.images[indices], self.labels[indices])

    def steps(self, batch_size):
        """Number of batches, the last of which may be smaller."""
        return len(self.sizes(batch_size))

    def sizes(self, batch_size):
        """Number of images in each batch."""
        return batch_sizes(self.size, batch_size)

    training_sizes = sizes

    def batches(self, batch_size, part=WHOLE):
        """Normalised batches in order, or a `Part` of each, as a `tf.data.Dataset`."""
        from keras_sparse.datasets import pipeline

        return pipeline.in_order(self, batch_size, part)

    def training_batches(self, batch_size, epochs, first_epoch=0, augmentation="none", seed=0, part=WHOLE):
        """Normalised, shuffled, augmented batches of several epochs, one after the other.

        What comes in an epoch depends on the seed and the number of the epoch alone: a run that starts at epoch 7
        sees what an uninterrupted one would see from there.

        Args:
            batch_size: Integer.
            epochs: Integer, number of the epoch to stop before.
            first_epoch: Integer, number of the epoch to begin with.
            augmentation: "none", "shift" (pad by 4 pixels, crop at random) or "shift_mirror" (the same, and a
                horizontal mirror for half of the images).
            seed: Integer >= 0.
            part: `Part` of each batch to give, for one of several processes.

        Returns:
            A `tf.data.Dataset`.
        """
        from keras_sparse.datasets import pipeline

        checks.choice("augmentation", augmentation, "training_batches", AUGMENTATIONS)
        return pipeline.shuffled(self, batch_size, epochs, first_epoch, augmentation, seed, part)


@dataclasses.dataclass(frozen=True)
class StreamSplit:
    """JPEG images of any size, read as they are needed and cut to 224x224.

    Evaluation takes the centre. Training with "shift" resizes a random part of 8% to 100% of the image, with
    "shift_mirror" it also mirrors half of them, with "none" it takes the centre too. Files are read in one order,
    several at a time; a buffer of 4,096 encoded images (half a gigabyte of photographs) shuffles them anew in each
    epoch.

    Of several processes each trains on files of its own (where there are as many), and begins again within an epoch
    if it has less than others. To evaluate, each reads all and decodes its part of each batch.

    Attributes:
        name: String, the data set, whose channel statistics normalise the batches.
        files: Function `(host=0, hosts=1)` to a `tf.data.Dataset` of (JPEG file, label): what one of several hosts
            reads, which together read all.
        size: Integer, number of examples on all hosts.
    """

    name: str
    files: object = dataclasses.field(repr=False)
    size: int

    def steps(self, batch_size):
        """Number of training batches in an epoch."""
        return len(self.training_sizes(batch_size))

    def sizes(self, batch_size):
        """Number of images in each batch to evaluate on."""
        return batch_sizes(self.size, batch_size)

    def training_sizes(self, batch_size):
        """Number of images in each training batch: all are full. What is left over comes in another epoch."""
        return [batch_size] * max(1, self.size // batch_size)

    def batches(self, batch_size, part=WHOLE):
        """Normalised batches in order, or a `Part` of each, as a `tf.data.Dataset`."""
        from keras_sparse.datasets import pipeline

        return pipeline.stream_in_order(self, batch_size, part)

    def training_batches(self, batch_size, epochs, first_epoch=0, augmentation="none", seed=0, part=WHOLE):
        """Normalised, shuffled, augmented batches of several epochs; arguments as for `ArraySplit`."""
        from keras_sparse.datasets import pipeline

        checks.choice("augmentation", augmentation, "training_batches", AUGMENTATIONS)
        return pipeline.stream_shuffled(self, batch_size, epochs, first_epoch, augmentation, seed, part)
