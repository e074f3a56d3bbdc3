"""From one step on, ranked anew every so often."""

import keras

from keras_sparse.schedules.schedule import Schedule
from keras_sparse.topologies.topology import check_sparsity


@keras.saving.register_keras_serializable(package="keras_sparse")
class Periodic(Schedule):
    """0 before `begin`, `sparsity` from then on, applied anew every `frequency` steps until `end`.

    As the periodic schedule of JaxPruner, but the period is counted from `begin`; there it is counted from step 0.

    Args:
        sparsity: Number in [0, 1).
        frequency: Integer >= 1, steps from one update to the next.
        begin: Integer >= 0, step of the first update.
        end: Integer >= `begin` or None, the last step at which an update may be due; None: they go on for ever.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Lee et al., JaxPruner: a concise library for sparsity research, 2023, https://arxiv.org/abs/2304.14082

    Example:
        >>> schedule = Periodic(0.5, frequency=10, begin=5, end=30)
        >>> [(schedule(step), schedule.due(step)) for step in (4, 5, 14, 15, 1000)]
        [(0.0, None), (0.5, 5), (0.5, 5), (0.5, 15), (0.5, 25)]
    """

    def __init__(self, sparsity, frequency, begin=0, end=None):
        super().__init__(begin, end, frequency)
        self.sparsity = check_sparsity(sparsity, owner=self)

    @property
    def target(self):
        return self.sparsity

    def value(self, step):
        return self.sparsity if step >= self.begin else 0.0

    def get_config(self):
        return {"sparsity": self.sparsity, "frequency": self.frequency, "begin": self.begin, "end": self.end}
