"""One update."""

import pytest

from keras_sparse.schedules import OneShot


@pytest.mark.parametrize("step", [0, 7])
def test_by_hand(step):
    schedule = OneShot(0.9, step)
    assert [schedule(s) for s in range(10)] == [0.0] * step + [0.9] * (10 - step)
    assert [s for s in range(1000) if schedule.is_due(s)] == [step]
    assert schedule.due(10**9) == step
