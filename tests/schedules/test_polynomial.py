"""A polynomial from one sparsity to another, as PolynomialDecay of tensorflow-model-optimization."""

import pytest

from keras_sparse.schedules import Polynomial


@pytest.mark.parametrize("frequency", [1, 2])
def test_values_of_tensorflow_model_optimization(frequency):
    schedule = Polynomial(0.2, 0.8, 100, 110, 3, frequency)
    assert [schedule(step) for step in (100, 102, 105, 110)] == pytest.approx([0.2, 0.4928, 0.725, 0.8], abs=1e-12)


def test_before_and_after_it_stays():
    schedule = Polynomial(0.2, 0.8, 100, 110)
    assert [schedule(step) for step in (0, 99, 100)] == [0.2] * 3
    assert [schedule(step) for step in (110, 111, 10**9)] == [0.8] * 3  # exactly, not nearly


def test_power():
    line = Polynomial(0.0, 0.9, 0, 9, power=1)
    assert [line(step) for step in range(10)] == pytest.approx([step / 10 for step in range(10)])
    square, root = (Polynomial(0.0, 0.8, 0, 4, power=power) for power in (2, 0.5))
    assert square(2) == pytest.approx(0.8 - 0.8 * 0.25)
    assert root(3) == pytest.approx(0.8 - 0.8 * 0.5)
    assert Polynomial(0.0, 0.8, 0, 4)(2) == pytest.approx(0.8 * 7 / 8)  # 3 if none is given


def test_updates():
    schedule = Polynomial(0.2, 0.8, 100, 200, 3, 10)
    due = [step for step in range(300) if schedule.is_due(step)]
    assert due == list(range(100, 201, 10))
    assert not any(schedule.is_due(step) for step in (90, 99, 109, 111, 201, 210))


def test_the_end_is_due_where_the_frequency_does_not_divide_the_span():
    schedule = Polynomial(0.0, 0.9, 5, 20, frequency=6)
    assert [step for step in range(50) if schedule.is_due(step)] == [5, 11, 17, 20]
    assert [schedule.due(step) for step in (4, 16, 19, 20, 23, 1000)] == [None, 11, 17, 20, 20, 20]
    assert schedule(schedule.due(1000)) == 0.9
    assert Polynomial(0.0, 0.9, 5, 20, frequency=100).due(20) == 20


def test_a_span_of_no_length_is_a_jump():
    schedule = Polynomial(0.1, 0.9, 7, 7)
    assert [schedule(step) for step in (6, 7, 8)] == [0.1, 0.9, 0.9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial": 1.0}, "`initial` of Polynomial must be a number in [0, 1). Received: initial=1.0. It is"),
        ({"final": 90}, "`final` of Polynomial must be a number in [0, 1). Received: final=90."),
        ({"end": None}, "`end` of Polynomial must be an integer >= 0. Received: end=None. The final sparsity must be"),
        ({"final": 1.0}, "For a density that grows to 1 take Cosine or Doubling."),
        ({"power": 0}, "`power` of Polynomial must be a finite number > 0. Received: power=0."),
        ({"power": float("nan")}, "`power` of Polynomial must be a finite number > 0. Received: power=nan."),
        ({"power": "3"}, "`power` of Polynomial must be a finite number > 0. Received: power='3'."),
        ({"frequency": 0}, "`frequency` of Polynomial must be an integer >= 1. Received: frequency=0."),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ValueError) as caught:
        Polynomial(**{"initial": 0.0, "final": 0.9, "begin": 0, "end": 10, **changes})
    assert message in str(caught.value)
