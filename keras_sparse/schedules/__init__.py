"""When, and how much: from the optimizer's step to a number.

>>> schedule = Doubling(initial=0.01, period=10_000)
>>> [schedule(step) for step in (0, 10_000, 20_000, 10**6)]
[0.01, 0.02, 0.04, 1.0]
"""

from keras_sparse.registry import Registry
from keras_sparse.schedules.doubling import Doubling
from keras_sparse.schedules.schedule import Schedule

SCHEDULES = Registry("schedule", [Doubling])


def get(identifier, owner="schedules.get", **arguments):
    """A `Schedule` from its name (built with `arguments`), its saved configuration or itself.

    Raises:
        ValueError: If the name is unknown or an argument out of range.
    """
    return SCHEDULES.resolve(identifier, owner, Schedule, **arguments)


__all__ = ["SCHEDULES", "Doubling", "Schedule", "get"]
