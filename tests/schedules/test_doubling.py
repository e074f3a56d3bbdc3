"""A density that doubles."""

import pytest

from keras_sparse.schedules import Doubling


def test_by_hand():
    schedule = Doubling(initial=0.01, period=10_000)
    assert [schedule(s) for s in (0, 9_999, 10_000, 20_000, 60_000, 69_999)] == [0.01, 0.01, 0.02, 0.04, 0.64, 0.64]
    assert schedule(70_000) == 1.0  # 1.28 is more than all
    assert schedule(10**12) == 1.0


def test_stops_at_its_final_value():
    assert [Doubling(initial=0.1, period=1, final=0.5)(step) for step in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_due_at_every_doubling():
    schedule = Doubling(initial=0.1, period=5)
    assert [step for step in range(17) if schedule.is_due(step)] == [0, 5, 10, 15]
    assert schedule.due(10**6 + 4) == 10**6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initial": 0}, "`initial` of Doubling must be a number in [1e-09, 1]"),
        ({"period": 0}, "`period` of Doubling must be an integer >= 1. Received: period=0"),
        ({"initial": 0.5, "final": 0.1}, "`final` of Doubling must be a number in [0.5, 1]"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as caught:
        Doubling(**arguments)
    assert message in str(caught.value)
