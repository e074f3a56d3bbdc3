"""Every registered schedule: configuration, a plain function of the step, helpful errors."""

import keras
import pytest

from keras_sparse import schedules

EXAMPLES = {"doubling": {"initial": 0.02, "period": 7}}


def test_every_schedule_has_an_example():
    assert sorted(EXAMPLES) == schedules.SCHEDULES.names()


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_config_round_trip(name):
    schedule = schedules.get(name, **EXAMPLES[name])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again == schedule
    assert [again(step) for step in range(50)] == [schedule(step) for step in range(50)]
    assert schedules.get(keras.saving.serialize_keras_object(schedule)) == schedule


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("step", [-1, 1.5, "now"])
def test_a_step_is_a_count(name, step):
    with pytest.raises(ValueError, match=r"`step` of .* must be an integer >= 0"):
        schedules.get(name, **EXAMPLES[name])(step)


def test_unknown_name():
    with pytest.raises(ValueError, match="Did you mean 'doubling'"):
        schedules.get("dubling")
