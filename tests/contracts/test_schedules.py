"""Every registered schedule: configuration, a plain function of the step, when updates are due, helpful errors."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest

from keras_sparse import schedules
from keras_sparse.schedules import Schedule

EXAMPLES = {
    "constant": {"sparsity": 0.5, "begin": 3, "end": 41, "frequency": 7},
    "cosine": {"initial": 0.3, "end": 40, "begin": 2, "frequency": 5, "final": 0.1},
    "doubling": {"initial": 0.02, "period": 7},
    "one_shot": {"sparsity": 0.9, "step": 12},
    "periodic": {"sparsity": 0.4, "frequency": 6, "begin": 5, "end": 33},
    "polynomial": {"initial": 0.1, "final": 0.7, "begin": 4, "end": 35, "power": 2, "frequency": 8},
}
# The steps below 50 at which an update is due, written down by hand.
DUE = {
    "constant": [3, 10, 17, 24, 31, 38],
    "cosine": [2, 7, 12, 17, 22, 27, 32, 37],
    "doubling": [0, 7, 14, 21, 28, 35, 42, 49],
    "one_shot": [12],
    "periodic": [5, 11, 17, 23, 29],
    "polynomial": [4, 12, 20, 28, 35],
}


def test_every_schedule_has_an_example():
    assert sorted(EXAMPLES) == sorted(DUE) == schedules.SCHEDULES.names()


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_config_round_trip(name):
    schedule = schedules.get(name, **EXAMPLES[name])
    assert schedule.get_config().items() >= EXAMPLES[name].items()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again == schedule
    assert [again(step) for step in range(50)] == [schedule(step) for step in range(50)]
    assert [again.due(step) for step in range(50)] == [schedule.due(step) for step in range(50)]
    assert schedules.get(keras.saving.serialize_keras_object(schedule)) == schedule


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_updates_are_due_at_these_steps(name):
    schedule = schedules.get(name, **EXAMPLES[name])
    assert [step for step in range(50) if schedule.is_due(step)] == DUE[name]
    last = None
    for step in range(50):
        last = step if step in DUE[name] else last
        assert schedule.due(step) == last
    if schedule.end is not None:
        assert schedule.due(10**9) == DUE[name][-1]


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("ask", ["__call__", "due", "is_due"])
@pytest.mark.parametrize("step", [-1, 1.5, "now", True])
def test_a_step_is_a_count(name, ask, step):
    with pytest.raises(ValueError, match=r"`step` of .* must be an integer >= 0"):
        getattr(schedules.get(name, **EXAMPLES[name]), ask)(step)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_a_step_may_come_from_numpy(name):
    schedule = schedules.get(name, **EXAMPLES[name])
    assert schedule(np.int64(20)) == schedule(20)
    assert schedule.due(np.int64(20)) == schedule.due(20)


# Each name with each argument that it has.
ARGUMENTS = [(name, argument) for name, arguments in EXAMPLES.items() for argument in arguments]


@pytest.mark.parametrize(("name", "argument"), [a for a in ARGUMENTS if a[1] in ("begin", "end", "frequency", "step")])
@pytest.mark.parametrize("value", [-1, 2.5, "soon"])
def test_steps_are_integers(name, argument, value):
    owner = schedules.SCHEDULES.lookup(name, "test").__name__
    with pytest.raises(ValueError, match=rf"`{argument}` of {owner} must be an integer .*{argument}={value!r}"):
        schedules.get(name, **{**EXAMPLES[name], argument: value})


@pytest.mark.parametrize("name", [name for name, argument in ARGUMENTS if argument == "end"])
def test_the_end_is_not_before_the_beginning(name):
    with pytest.raises(ValueError, match=r"`end` of .* must be an integer >= 10. .*end=9\. .*not lie before `begin`"):
        schedules.get(name, **{**EXAMPLES[name], "begin": 10, "end": 9})
    schedule = schedules.get(name, **{**EXAMPLES[name], "begin": 10, "end": 10})
    assert [step for step in range(50) if schedule.is_due(step)] == [10]
    assert all(np.isfinite(schedule(step)) for step in (9, 10, 11))


@pytest.mark.parametrize("name", ["constant", "one_shot", "periodic"])
@pytest.mark.parametrize("value", [1, 1.0, 90, -0.1, "0.5"])
def test_a_sparsity_is_a_fraction_below_one(name, value):
    with pytest.raises(ValueError, match=r"`sparsity` of .* must be a number in \[0, 1\)\. .*the fraction of zeros"):
        schedules.get(name, **{**EXAMPLES[name], "sparsity": value})


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_the_target_is_where_it_stays(name):
    schedule = schedules.get(name, **EXAMPLES[name])
    assert schedule.target == schedule(10**9) > 0
    assert schedules.get(lambda step: 0.5).target is None


@pytest.mark.parametrize("value", [0.9, 90, None, [0.5]])
def test_what_is_no_schedule(value):
    with pytest.raises(
        ValueError, match=r"must be a Schedule .*a function from the step to a number.* OneShot\(0\.9\)"
    ):
        schedules.get(value)


def test_unknown_name():
    with pytest.raises(ValueError, match="Did you mean 'doubling'"):
        schedules.get("dubling")


def test_one_method_makes_a_schedule():
    class Linear(Schedule):
        def value(self, step):
            return step / 100

    assert Linear()(50) == 0.5
    assert Linear().due(50) == 50
    assert Linear(begin=7, end=60, frequency=10).due(50) == 47

    class WithoutGates(Schedule):
        def __init__(self):
            pass

        def value(self, step):
            return 0.5

    assert WithoutGates().is_due(3)


@pytest.mark.parametrize("module", ["", *(f".{m.name}" for m in pkgutil.iter_modules(schedules.__path__))])
def test_examples_in_docstrings(module):
    module = importlib.import_module(f"keras_sparse.schedules{module}")
    names = {name: getattr(schedules, name) for name in schedules.__all__}
    assert doctest.testmod(module, extraglobs=names).failed == 0
