"""Half a wave."""

import math

import keras

from keras_sparse import checks
from keras_sparse.schedules.schedule import Schedule


@keras.saving.register_keras_serializable(package="keras_sparse")
class Cosine(Schedule):
    """`final + (initial - final) / 2 * (1 + cos(pi * p))`, where `p` goes from 0 at `begin` to 1 at `end`.

    The drop fraction of RigL: which part of the connections is exchanged at an update. `initial` before, `final`
    after.

    Args:
        initial: Number in [0, 1], up to `begin`; 0.3 in the paper.
        end: Integer >= `begin`, step at which `final` is reached; three quarters of the training in the paper.
        begin: Integer >= 0, step of the first update.
        frequency: Integer >= 1, steps from one update to the next; 100 in the paper.
        final: Number in [0, 1], from `end` on.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Evci et al., Rigging the lottery: making all tickets winners, 2020, section 3, https://arxiv.org/abs/1911.11134

    Example:
        >>> schedule = Cosine(0.3, end=1000)
        >>> [round(schedule(step), 4) for step in (0, 250, 500, 1000, 5000)]
        [0.3, 0.2561, 0.15, 0.0, 0.0]
    """

    def __init__(self, initial, end, begin=0, frequency=100, final=0.0):
        checks.integer("end", end, self, minimum=0, hint="RigL stops after three quarters of the training.")
        super().__init__(begin, end, frequency)
        hint = "It is the fraction of connections that are exchanged."
        self.initial = checks.number("initial", initial, self, 0, 1, hint=hint)
        self.final = checks.number("final", final, self, 0, 1, hint=hint)

    @property
    def target(self):
        return self.final

    def value(self, step):
        if step >= self.end:
            return self.final
        if step <= self.begin:
            return self.initial
        part = (step - self.begin) / (self.end - self.begin)
        return self.final + (self.initial - self.final) / 2 * (1 + math.cos(math.pi * part))

    def get_config(self):
        return {
            "initial": self.initial,
            "end": self.end,
            "begin": self.begin,
            "frequency": self.frequency,
            "final": self.final,
        }
