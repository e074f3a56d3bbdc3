"""The same sparsity at every step, as ConstantSparsity of tensorflow-model-optimization."""

import pytest

from keras_sparse.schedules import Constant


def test_the_value_is_the_same_at_every_step():
    schedule = Constant(0.5, 100, 200, 10)
    assert [schedule(step) for step in (0, 99, 100, 105, 200, 10**9)] == [0.5] * 6


def test_updates_from_begin_to_end():
    # tensorflow-model-optimization, testPrunesOnlyInBeginEndStepRange and testOnlyPrunesAtValidFrequencySteps.
    every = Constant(0.5, 100, 200, 1)
    assert all(every.is_due(step) for step in (100, 110, 200))
    assert not any(every.is_due(step) for step in (90, 99, 201, 210))
    tenth = Constant(0.5, 100, 200, 10)
    assert [tenth.is_due(s) for s in (100, 109, 110, 111, 200, 210)] == [True, False, True, False, True, False]


def test_without_an_end_it_goes_on_for_ever():
    schedule = Constant(0.5)
    assert schedule.end is None
    assert schedule.frequency == 100
    assert schedule.is_due(10**8)
    assert schedule.due(10**8 + 99) == 10**8


def test_the_for_ever_of_tfmot_is_answered_with_ours():
    with pytest.raises(ValueError, match=r"`end` of Constant .* Received: end=-1\. None means for ever\."):
        Constant(0.5, 0, -1, 10)


def test_an_end_that_the_frequency_does_not_meet_is_not_due():
    assert Constant(0.5, 0, 15, 10).due(100) == 10
