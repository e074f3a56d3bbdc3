"""The same at every step."""

import keras

from keras_sparse.schedules.schedule import Schedule
from keras_sparse.topologies.topology import check_sparsity


@keras.saving.register_keras_serializable(package="keras_sparse")
class Constant(Schedule):
    """`sparsity` at every step, applied anew every `frequency` steps from `begin` to `end`.

    As `ConstantSparsity` of tensorflow-model-optimization, where `end` is -1 for None. The value is the same before
    `begin` too; it is only not applied there. `Periodic` says 0 until it begins.

    Args:
        sparsity: Number in [0, 1).
        begin: Integer >= 0, step of the first update.
        end: Integer >= `begin` or None, the last step at which an update may be due; None: they go on for ever.
        frequency: Integer >= 1, steps from one update to the next.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> schedule = Constant(0.5, begin=100)
        >>> schedule(0), schedule.due(99), schedule.due(250)
        (0.5, None, 200)
    """

    def __init__(self, sparsity, begin=0, end=None, frequency=100):
        super().__init__(begin, end, frequency)
        self.sparsity = check_sparsity(sparsity, owner=self)

    @property
    def target(self):
        return self.sparsity

    def value(self, step):
        return self.sparsity

    def get_config(self):
        return {"sparsity": self.sparsity, "begin": self.begin, "end": self.end, "frequency": self.frequency}
