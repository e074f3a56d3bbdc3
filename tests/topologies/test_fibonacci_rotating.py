from fractions import Fraction

import numpy as np
import pytest

from keras_sparse.topologies import FibonacciRotating


def row(degree, fan_out):
    return np.flatnonzero(FibonacciRotating(out_degree=degree)(1, fan_out)[0]).tolist()


def by_the_definition(degree, fan_out):
    """Section 3 of PAPERS, word by word."""
    numbers = [1, 1]
    while len(numbers) < degree:
        numbers.append(numbers[-1] + numbers[-2])
    numbers = numbers[:degree]
    scale = Fraction(fan_out, numbers[-1]) if numbers[-1] >= fan_out else 1
    taken = set()
    for number in [0, *numbers[1:]]:
        place = int(number * scale) % fan_out
        while place in taken:
            place = (place + 1) % fan_out
        taken.add(place)
    return sorted(taken)


@pytest.mark.parametrize(
    ("degree", "fan_out", "ones"),
    [
        (1, 5, [0]),
        (2, 5, [0, 1]),
        (5, 10, [0, 1, 2, 3, 5]),  # 1 1 2 3 5 fit
        (6, 9, [0, 1, 2, 3, 5, 8]),  # the last that fits
        # 1 1 2 3 5 8 times 8 / 8: 8 is outside, so the first free one, 4, is taken.
        (6, 8, [0, 1, 2, 3, 4, 5]),
        # 1 1 2 3 5 8 13 times 10 / 13: 0 0 1 2 3 6 10, where 0 is taken: 0 1 2 3 4 6 and again the first free one.
        (7, 10, [0, 1, 2, 3, 4, 5, 6]),
        # 1 1 2 3 5 8 13 21 34 55 times 30 / 55: 0 0 1 1 2 4 7 11 18 30, so 0 1 2 3 4 5 7 11 18 and the free 6.
        (10, 30, [0, 1, 2, 3, 4, 5, 6, 7, 11, 18]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_by_hand(degree, fan_out, ones):
    assert row(degree, fan_out) == ones


def test_exactly_k_ones_at_the_places_of_the_definition_for_every_k():
    for fan_out in range(1, 45):
        for degree in range(1, fan_out + 1):
            ones = row(degree, fan_out)
            assert len(ones) == degree
            assert ones == by_the_definition(degree, fan_out), (degree, fan_out)


def test_numbers_beyond_any_float():
    assert len(row(2000, 3000)) == 2000


def test_each_next_input_is_rotated_by_one():
    mask = FibonacciRotating(out_degree=5)(25, 10)
    for i in range(25):
        np.testing.assert_array_equal(mask[i], np.roll(mask[0], i))
