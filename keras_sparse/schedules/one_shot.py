"""Once and for all."""

import keras

from keras_sparse import checks
from keras_sparse.schedules.schedule import Schedule
from keras_sparse.topologies.topology import check_sparsity


@keras.saving.register_keras_serializable(package="keras_sparse")
class OneShot(Schedule):
    """0 before `step`, `sparsity` from then on; the one update is due at `step`.

    Args:
        sparsity: Number in [0, 1).
        step: Integer >= 0, when.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> schedule = OneShot(0.9, step=500)
        >>> [(schedule(step), schedule.due(step)) for step in (499, 500, 1000)]
        [(0.0, None), (0.9, 500), (0.9, 500)]
    """

    def __init__(self, sparsity, step=0):
        self.step = checks.integer("step", step, self, minimum=0)
        super().__init__(begin=self.step, end=self.step)
        self.sparsity = check_sparsity(sparsity, owner=self)

    @property
    def target(self):
        return self.sparsity

    def value(self, step):
        return self.sparsity if step >= self.step else 0.0

    def get_config(self):
        return {"sparsity": self.sparsity, "step": self.step}
