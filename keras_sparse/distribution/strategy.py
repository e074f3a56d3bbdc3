"""The base class of strategies, which trains on one device of one process."""

import contextlib
import zlib

import keras

from keras_sparse import checks
from keras_sparse.datasets.part import WHOLE


class Strategy:
    """Where a run computes.

    A subclass says which backend it needs, and overrides what is different with several devices or processes. A run
    calls `start` before anything is computed, makes its model within `scope` and trains it within `training`.

    Attributes:
        backend: String, the Keras backend that can do it; None for any.
        rank: Integer, the number of this process; that of rank 0 writes the files.
        processes: Integer, how many there are.
        replicas: Integer, how many devices share each batch; known after `start`.
    """

    backend = None
    rank = 0
    processes = 1
    replicas = 1

    def start(self):
        """Looks for the devices, and for the other processes."""

    def scope(self):
        """Context in which models are built, compiled and loaded."""
        return contextlib.nullcontext()

    def training(self):
        """Context in which they are trained and evaluated."""
        return contextlib.nullcontext()

    def alone(self):
        """Context in which this process does what the others do not: it saves a model."""
        return contextlib.nullcontext()

    def prepare(self, model):
        """Makes a compiled model ready."""

    def feed(self, batches, sizes):
        """What `fit` and `evaluate` take.

        Args:
            batches: Function from a `datasets.Part`, of each batch for this process, to a `tf.data.Dataset`.
            sizes: List of integers, examples in each batch of an epoch.
        """
        return batches(WHOLE)

    def gather(self, number):
        """The number that each process passes, as a list by rank."""
        return [number]

    def same_everywhere(self, value):
        """Whether bytes or a string are the same in all processes."""
        digest = zlib.crc32(value if isinstance(value, bytes) else value.encode())
        return len(set(self.gather(digest >> 1))) == 1  # of 31 bits, which every integer has

    def check_batch_size(self, batch_size, examples):
        """Refuses batches that the devices cannot share equally; only the last of an epoch may be any."""
        if batch_size % self.replicas or (batch_size > examples and examples % self.replicas):
            raise checks.error(
                "batch_size", "Recipe", f"a multiple of the {self.replicas} devices, and at most the {examples} "
                "training images", batch_size, "It is the size of the whole batch, which the devices share equally.",
            )  # fmt: skip

    def __str__(self):
        return "one device"


def check_backend(strategy, others, owner):
    """Refuses a strategy that this backend cannot do, and names those that it can.

    Args:
        strategy: `Strategy`.
        others: Dictionary from names to classes of strategies.
        owner: String, whose argument it is.
    """
    backend = keras.backend.backend()
    if strategy.backend in (None, backend):
        return
    possible = [repr(name) for name, member in others.items() if member.backend == backend]
    can = f"can do {' and '.join(possible)}" if possible else "has none"
    raise ValueError(
        f"`strategy` of {owner} must be one of the backend in use. Received: {type(strategy).__name__}, which needs "
        f"{strategy.backend}, while {backend} {can}. Choose another one, or set KERAS_BACKEND={strategy.backend}."
    )
