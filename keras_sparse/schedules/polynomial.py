"""Quickly at first, slowly towards the end."""

import math
import numbers

import keras

from keras_sparse import checks
from keras_sparse.schedules.schedule import Schedule

HINT = (
    "It is the fraction of zeros: 0.9 keeps a tenth of the connections. For a density that grows to 1 take Cosine or "
    "Doubling."
)


@keras.saving.register_keras_serializable(package="keras_sparse")
class Polynomial(Schedule):
    """`final + (initial - final) * (1 - p) ** power`, where `p` goes from 0 at `begin` to 1 at `end`.

    `initial` before, `final` after. As `PolynomialDecay` of tensorflow-model-optimization (whose frequency is 100 if
    none is given), but an update is always due at `end`: the final sparsity is reached also where the frequency does
    not divide the span.

    Args:
        initial: Number in [0, 1), sparsity up to `begin`.
        final: Number in [0, 1), sparsity from `end` on.
        begin: Integer >= 0, step of the first update.
        end: Integer >= `begin`, step of the last.
        power: Number > 0; 1 is a straight line, and with 3, as in the paper, most goes early.
        frequency: Integer >= 1, steps from one update to the next.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Zhu and Gupta, To prune, or not to prune: exploring the efficacy of pruning for model compression, 2017,
        https://arxiv.org/abs/1710.01878

    Example:
        >>> schedule = Polynomial(0.2, 0.8, begin=100, end=110, frequency=4)
        >>> [round(schedule(step), 4) for step in (0, 100, 102, 105, 110, 1000)]
        [0.2, 0.2, 0.4928, 0.725, 0.8, 0.8]
        >>> [step for step in range(200) if schedule.is_due(step)]
        [100, 104, 108, 110]
    """

    def __init__(self, initial, final, begin, end, power=3, frequency=1):
        checks.integer("end", end, self, minimum=0, hint="The final sparsity must be reached at some step.")
        super().__init__(begin, end, frequency)
        self.initial = checks.number("initial", initial, self, 0, 1, exclude_maximum=True, hint=HINT)
        self.final = checks.number("final", final, self, 0, 1, exclude_maximum=True, hint=HINT)
        if isinstance(power, bool) or not isinstance(power, numbers.Real) or not 0 < power < math.inf:
            raise checks.error("power", self, "a finite number > 0", power, "Pass 3, as in the paper.")
        self.power = power

    @property
    def target(self):
        return self.final

    def value(self, step):
        if step >= self.end:  # before the other: with begin = end it is one jump
            return self.final
        if step <= self.begin:
            return self.initial
        left = (self.end - step) / (self.end - self.begin)
        return self.final + (self.initial - self.final) * left**self.power

    def due(self, step):
        last = super().due(step)
        return self.end if step >= self.end else last

    def get_config(self):
        return {
            "initial": self.initial,
            "final": self.final,
            "begin": self.begin,
            "end": self.end,
            "power": self.power,
            "frequency": self.frequency,
        }
