"""From one step on, again and again."""

from keras_sparse.schedules import Periodic


def test_by_hand():
    schedule = Periodic(0.6, frequency=4, begin=2, end=9)
    assert [schedule(step) for step in (0, 1, 2, 3, 9, 10, 1000)] == [0.0, 0.0, 0.6, 0.6, 0.6, 0.6, 0.6]
    assert [schedule.due(step) for step in range(12)] == [None, None, 2, 2, 2, 2, 6, 6, 6, 6, 6, 6]


def test_without_an_end_it_goes_on_for_ever():
    assert Periodic(0.6, frequency=4).due(10**9 + 3) == 10**9
