"""Twice as much, again and again."""

import keras

from keras_sparse import checks
from keras_sparse.schedules.schedule import Schedule


@keras.saving.register_keras_serializable(package="keras_sparse")
class Doubling(Schedule):
    """`min(final, initial * 2 ** (step // period))`: a density that doubles every `period` steps until it is full.

    An update is due at every multiple of `period`, from step 0 on.

    Args:
        initial: Number in (0, 1], the density at step 0; 0.01 and 0.001 in the paper.
        period: Integer >= 1, steps from one doubling to the next; 10,000, 25,000 and 50,000 in the paper.
        final: Number in (0, 1], at which it stays.

    Reference:
        Changpinyo et al., The power of sparsity in convolutional neural networks, 2017, section 4.4,
        https://arxiv.org/abs/1702.06257

    Example:
        >>> [Doubling(initial=0.3, period=5)(step) for step in (0, 4, 5, 10)]
        [0.3, 0.3, 0.6, 1.0]
    """

    def __init__(self, initial=0.01, period=10_000, final=1.0):
        hint = "It is a density: 0.01 starts with one connection in a hundred."
        self.initial = checks.number("initial", initial, self, 1e-9, 1, hint=hint)
        self.period = checks.integer("period", period, owner=self, minimum=1)
        super().__init__(frequency=self.period)
        self.final = checks.number("final", final, self, self.initial, 1, hint="It may not lie below `initial`.")

    @property
    def target(self):
        return self.final

    def value(self, step):
        doublings = step // self.period
        # 2 ** 1000 is no float, and nothing that small is left to double after 64 times.
        return self.final if doublings > 64 else min(self.final, self.initial * 2.0**doublings)

    def get_config(self):
        return {"initial": self.initial, "period": self.period, "final": self.final}
