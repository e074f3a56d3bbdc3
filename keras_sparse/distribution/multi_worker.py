"""Several processes, on one machine or on several, with TensorFlow."""

from keras_sparse import checks
from keras_sparse.distribution.addresses import checked_rank, is_address
from keras_sparse.distribution.lost_process import naming_lost_processes
from keras_sparse.distribution.mirrored import Mirrored


class MultiWorker(Mirrored):
    """`tf.distribute.MultiWorkerMirroredStrategy`: `Mirrored` over several processes, each with its devices.

    Keras's `fit` fails there at two places, which are mended for the process when this strategy starts
    (`keras_repair`); it refuses to on a Keras with which that was not tried.

    Args:
        workers: List of strings "HOST:PORT", where each process waits for the others, the first of rank 0.
        rank: Integer, which of them this process is.

    Raises:
        ValueError: If an argument is out of range; in `start`, if it cannot be done with this Keras.

    Example:
        >>> run(recipe, "runs/first", strategy=MultiWorker(["10.0.0.1:4000", "10.0.0.2:4000"], rank=0))
    """

    def __init__(self, workers, rank):
        super().__init__()
        addresses = isinstance(workers, (list, tuple)) and len(workers) > 1 and all(map(is_address, workers))
        if not addresses or len(set(workers)) < len(workers):
            raise checks.error(
                "workers", self, "two or more different addresses 'HOST:PORT'", workers,
                "Each process needs a port of its own, at which all others can reach it.",
            )  # fmt: skip
        self.workers = list(workers)
        self.processes = len(self.workers)
        self.rank = checked_rank(rank, self.processes, self)

    def start(self):
        if self._strategy is None:
            from keras_sparse.distribution.keras_repair import repair_trainer
            from keras_sparse.distribution.tensorflow import multi_worker

            repair_trainer(owner=self)
            self._strategy = multi_worker(self.workers, self.rank)

    def training(self):
        return naming_lost_processes()

    def gather(self, number):
        from keras_sparse.distribution.tensorflow import gather

        return gather(self._strategy, number)

    def __str__(self):
        return f"{super().__str__()} in {self.processes} processes"
