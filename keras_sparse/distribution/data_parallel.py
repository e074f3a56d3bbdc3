"""Several devices of one or several machines, with JAX."""

import contextlib

import keras

from keras_sparse import checks
from keras_sparse.datasets.part import WHOLE, Part
from keras_sparse.distribution.addresses import checked_rank, is_address
from keras_sparse.distribution.lost_process import naming_lost_processes
from keras_sparse.distribution.strategy import Strategy


class DataParallel(Strategy):
    """`keras.distribution.DataParallel`: each device has a copy of the model and computes a part of each batch.

    Arrays are those of the whole batch, whichever devices hold their parts; JAX adds what has to be added. A batch that
    does not divide, as the last of an epoch may not, is computed whole by each device.

    Args:
        devices: Integer >= 1, how many in each process, or None for all: the GPUs or TPUs of the machine; without one,
            the CPU, which is then divided into so many.
        coordinator: String "HOST:PORT", where the process of rank 0 waits for the others; None for one process.
        processes: Integer >= 1, how many there are, all with the same data and the same options but `rank`.
        rank: Integer in [0, processes), the number of this one; None for one process.

    Raises:
        ValueError: If an argument is out of range; in `start`, if there are not so many devices.

    Example:
        >>> run(recipe, "runs/first", strategy=DataParallel(coordinator="10.0.0.1:4000", processes=2, rank=0))
    """

    backend = "jax"

    def __init__(self, devices=None, coordinator=None, processes=1, rank=None):
        self.devices = None if devices is None else checks.integer("devices", devices, self, minimum=1)
        self.processes = checks.integer("processes", processes, self, minimum=1)
        self.rank = 0 if rank is None and self.processes == 1 else checked_rank(rank, self.processes, self)
        if (coordinator is not None or self.processes > 1) and not is_address(coordinator):
            raise checks.error(
                "coordinator", self, "'HOST:PORT', of the process of rank 0", coordinator,
                "All processes must be able to reach it there.",
            )  # fmt: skip
        self.coordinator = coordinator
        self._distribution = None

    def start(self):
        if self._distribution is None:
            from keras_sparse.distribution.jax import join

            join(self)
            self._distribution = self._distributed()

    def _distributed(self):
        from keras_sparse.distribution.jax import CopiedLayers

        return CopiedLayers(self)

    @property
    def replicas(self):
        return self._distribution.parts

    def scope(self):
        return self._distribution.scope()

    @contextlib.contextmanager
    def training(self):
        from keras_sparse.distribution.jax import distributing_each_batch

        with naming_lost_processes(), self.scope(), distributing_each_batch():
            yield

    @contextlib.contextmanager
    def alone(self):
        # What Keras makes anew would be made on all devices.
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def feed(self, batches, sizes):
        if self.processes == 1:
            return batches(WHOLE)
        from keras_sparse.distribution.jax import marked

        return marked(batches(Part(self.rank, self.processes, divisor=self.replicas)), sizes, self.replicas)

    def gather(self, number):
        from keras_sparse.distribution.jax import gather

        return gather(number)

    def __str__(self):
        among = f" in {self.processes} processes" if self.processes > 1 else ""
        return f"{self.replicas} devices{among}"
