"""The base class of schedules."""

from abc import ABC, abstractmethod

from keras_sparse import checks
from keras_sparse.configured import Configured


class Schedule(Configured, ABC):
    """A function of the step (updates of the optimizer), without state: a number for each, and when it is applied.

    A subclass overrides `value`, and `target` where it is known. Updates are due at `begin`, every `frequency` steps
    after it, and never past `end`; a subclass with other times overrides `due`.

    Args:
        begin: Integer >= 0, step of the first update.
        end: Integer >= `begin`, the last step at which an update may be due; None: they go on for ever.
        frequency: Integer >= 1, steps from one update to the next.

    Example:
        >>> schedule = Constant(0.5, begin=100, end=200, frequency=10)
        >>> [schedule.is_due(step) for step in (99, 100, 109, 110, 200, 210)]
        [False, True, False, True, True, False]
        >>> [schedule.due(step) for step in (99, 100, 109, 1000)]
        [None, 100, 100, 200]
    """

    begin, end, frequency = 0, None, 1

    def __init__(self, begin=0, end=None, frequency=1):
        self.begin = checks.integer("begin", begin, self, minimum=0)
        if end is not None:
            hint = "None means for ever." if end == -1 else "It may not lie before `begin`."  # -1 is that of tfmot
            self.end = checks.integer("end", end, self, minimum=self.begin, hint=hint)
        self.frequency = checks.integer("frequency", frequency, self, minimum=1)

    def __call__(self, step):
        """The number for a step, an integer >= 0."""
        return self.value(checks.integer("step", step, owner=self, minimum=0))

    @abstractmethod
    def value(self, step):
        """The number for a step that was checked."""

    @property
    def target(self):
        """The number at which it arrives and stays; None where that is not known, as of a function."""
        return None

    def due(self, step):
        """The last step up to `step` at which an update is due, or None if there was none yet.

        Whoever sees only some of the steps compares it with the update that was applied last, and misses none.
        """
        step = checks.integer("step", step, owner=self, minimum=0)
        last = step if self.end is None else min(step, self.end)
        return None if last < self.begin else last - (last - self.begin) % self.frequency

    def is_due(self, step):
        """Whether an update is due at this very step."""
        return self.due(step) == step
