"""When, and how much: from the optimizer's step to a number, and whether it is applied there.

>>> schedule = Polynomial(0.0, 0.9, begin=1000, end=10_000, frequency=200)
>>> [round(schedule(step), 3) for step in (0, 1000, 3000, 10_000)]
[0.0, 0.0, 0.477, 0.9]
>>> schedule.is_due(1200), schedule.is_due(1201), schedule.due(1399)
(True, False, 1200)
>>> [Doubling(initial=0.01, period=10_000)(step) for step in (0, 10_000, 20_000, 10**6)]
[0.01, 0.02, 0.04, 1.0]
"""

from keras_sparse import checks
from keras_sparse.registry import Registry
from keras_sparse.schedules.constant import Constant
from keras_sparse.schedules.cosine import Cosine
from keras_sparse.schedules.doubling import Doubling
from keras_sparse.schedules.from_function import FromFunction
from keras_sparse.schedules.one_shot import OneShot
from keras_sparse.schedules.periodic import Periodic
from keras_sparse.schedules.polynomial import Polynomial
from keras_sparse.schedules.schedule import Schedule

SCHEDULES = Registry("schedule", [Constant, Cosine, Doubling, OneShot, Periodic, Polynomial])


def get(identifier, owner="schedules.get", **arguments):
    """A `Schedule` from its name (built with `arguments`), its saved configuration, a function of the step, or itself.

    Raises:
        ValueError: If the name is unknown or an argument out of range.

    Example:
        >>> get("one_shot", sparsity=0.9, step=500)
        OneShot(sparsity=0.9, step=500)
    """
    if callable(identifier) and not isinstance(identifier, (Schedule, type)):
        return FromFunction(identifier)
    if not isinstance(identifier, (Schedule, str, dict)):
        raise checks.error(
            "schedule", owner, f"a Schedule ({', '.join(SCHEDULES)}), the name of one, or a function from the step to "
            "a number", identifier, "For one number: OneShot(0.9), which is applied once, or lambda step: 0.9.",
        )  # fmt: skip
    return SCHEDULES.resolve(identifier, owner, Schedule, **arguments)


__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Doubling",
    "FromFunction",
    "OneShot",
    "Periodic",
    "Polynomial",
    "Schedule",
    "get",
]
