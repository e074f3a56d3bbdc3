"""Several devices of one machine, with TensorFlow."""

import keras

from keras_sparse import checks
from keras_sparse.datasets.part import Part
from keras_sparse.distribution.strategy import Strategy


class Mirrored(Strategy):
    """`tf.distribute.MirroredStrategy`: each device has a copy of the model and computes a part of each batch.

    Gradients are added up over all devices, so that the copies stay equal. A batch with fewer examples than devices, as
    the last of an epoch may be, is computed whole by each.

    Args:
        devices: Integer >= 1, how many, or None for all: the GPUs of the machine; without one, the CPU, which is then
            divided into so many.

    Raises:
        ValueError: In `start`, if there are not so many.

    Example:
        >>> run(recipe, "runs/first", strategy=Mirrored())
    """

    backend = "tensorflow"

    def __init__(self, devices=None):
        self.devices = None if devices is None else checks.integer("devices", devices, self, minimum=1)
        self._strategy = None

    def start(self):
        if self._strategy is None:
            from keras_sparse.distribution.tensorflow import mirrored

            self._strategy = mirrored(self.devices, owner=self)

    @property
    def replicas(self):
        return self._strategy.num_replicas_in_sync

    def scope(self):
        return self._strategy.scope()

    def feed(self, batches, sizes):
        from keras_sparse.distribution.tensorflow import shared_by_replicas

        part = Part(self.rank, self.processes, minimum=self.replicas)
        return shared_by_replicas(self._strategy, batches(part))

    def prepare(self, model):
        from keras_sparse.distribution.tensorflow import synchronize_normalization

        check_compiled(model)
        synchronize_normalization(model)

    def __str__(self):
        return f"{self.replicas} replicas"


def check_compiled(model):
    """Refuses what Keras cannot do on several replicas of `tf.distribute`, and fails at in the midst of `fit`.

    Args:
        model: Compiled Keras model, on replicas if it was made in the scope of a strategy that has some.

    Raises:
        ValueError: If it was compiled with `steps_per_execution`, `jit_compile=True`, or an optimizer with
            `gradient_accumulation_steps`.
    """
    if keras.backend.backend() != "tensorflow" or model.distribute_strategy.num_replicas_in_sync == 1:
        return
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for argument, value, allowed in (
        ("steps_per_execution", model.steps_per_execution, 1),
        ("jit_compile", bool(model.jit_compile), False),
        ("gradient_accumulation_steps", getattr(optimizer, "gradient_accumulation_steps", None), None),
    ):
        if value != allowed:
            raise checks.error(
                argument, f"the model {model.name!r}", f"{allowed} on several replicas", value,
                "Keras fails at it under tf.distribute: leave it out, and take larger batches instead.",
            )  # fmt: skip
