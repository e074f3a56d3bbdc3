"""The drop fraction of RigL."""

import math

import pytest

from keras_sparse.schedules import Cosine


def test_by_hand():
    schedule = Cosine(0.3, end=1000)
    expected = [0.3, 0.15 + 0.15 * math.sqrt(0.5), 0.225, 0.15, 0.075, 0.0]
    assert [schedule(step) for step in (0, 250, 1000 // 3 + 1, 500, 667, 1000)] == pytest.approx(expected, abs=4e-4)
    assert schedule(250) == pytest.approx(expected[1], abs=1e-12)
    assert schedule(500) == pytest.approx(0.15, abs=1e-12)


def test_between_begin_and_end():
    schedule = Cosine(0.5, end=30, begin=10, frequency=8, final=0.1)
    assert [schedule(step) for step in (0, 10, 30, 31, 10**9)] == [0.5, 0.5, 0.1, 0.1, 0.1]
    assert schedule(20) == pytest.approx(0.3)
    assert schedule(15) == pytest.approx(0.1 + 0.2 * (1 + math.sqrt(0.5)))
    assert [step for step in range(60) if schedule.is_due(step)] == [10, 18, 26]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial": 1.5}, "`initial` of Cosine must be a number in [0, 1]. Received: initial=1.5. It is the"),
        ({"final": -1}, "`final` of Cosine must be a number in [0, 1]. Received: final=-1."),
        ({"end": None}, "`end` of Cosine must be an integer >= 0. Received: end=None. RigL stops after"),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ValueError) as caught:
        Cosine(**{"initial": 0.3, "end": 10, **changes})
    assert message in str(caught.value)
