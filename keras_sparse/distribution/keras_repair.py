"""Two places in which Keras's `fit` fails under `MultiWorkerMirroredStrategy`, mended while the process lasts.

Opt-in: nothing is touched before `MultiWorker` starts. Both were seen with the versions in `TRIED`; with another one it
is refused, instead of mending what may be whole or otherwise broken.

`Trainer._maybe_symbolic_build` takes the mean of a batch over the replicas, to see what a batch looks like, and passes
the pair of images and labels where one tensor is expected. A part of the batch shows as much.

`reduce_per_replica` takes the mean of metrics over the replicas and along their first axis, which single numbers do
not have. It is to be the mean over the replicas alone.
"""

import keras
from keras.src.backend.tensorflow import trainer

from keras_sparse import checks

TRIED = ("3.15.1",)


def repair_trainer(owner):
    """Mends Keras's trainer, once.

    Raises:
        ValueError: If it is a Keras with which this was not tried.
    """
    if keras.__version__ not in TRIED:
        raise ValueError(
            f"`strategy` of {checks.describe(owner)} must be used with a Keras whose `fit` it is known to mend: "
            f"{', '.join(TRIED)}. Received: Keras {keras.__version__}. Install that one, or use 'data_parallel' with "
            "KERAS_BACKEND=jax, which needs no mending."
        )
    if trainer.reduce_per_replica is not _reduce_per_replica:
        trainer.reduce_per_replica = _reduce_per_replica
        trainer.TensorFlowTrainer._maybe_symbolic_build = _maybe_symbolic_build


_reduce_as_keras = trainer.reduce_per_replica
_build_as_keras = trainer.TensorFlowTrainer._maybe_symbolic_build
_is_multi_worker = trainer._collective_all_reduce_multi_worker


def _reduce_per_replica(values, strategy, reduction):
    if _is_multi_worker(strategy) and reduction == "auto":
        return keras.tree.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), values)
    return _reduce_as_keras(values, strategy, reduction)


def _maybe_symbolic_build(self, iterator=None, data_batch=None):
    strategy = self._distribute_strategy
    if strategy is None or not _is_multi_worker(strategy) or iterator is None:
        return _build_as_keras(self, iterator, data_batch)
    for _, _, batches in iterator:
        batch = next(batches)
        data_batch = keras.tree.map_structure(lambda value: strategy.experimental_local_results(value)[0], batch)
        break
    with strategy.scope():
        self._symbolic_build(data_batch=data_batch)
