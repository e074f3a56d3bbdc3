import numpy as np
import pytest

from keras_sparse.topologies import LongShortRotating


@pytest.mark.parametrize(
    ("degree", "row"),
    [
        # Half of the ones, then one in the middle of each share of the rest.
        (4, "1100100010"),
        (2, "1000010000"),
        (5, "1110100010"),
        (6, "1110101010"),
        (1, "1000000000"),
        (10, "1111111111"),
    ],
)
def test_by_hand(degree, row):
    mask = LongShortRotating(out_degree=degree)(10, 10)
    assert "".join(map(str, mask[0].astype(int))) == row
    for i in range(10):
        np.testing.assert_array_equal(mask[i], np.roll(mask[0], i))


def test_the_far_connections_are_spread_evenly():
    for fan_out in (17, 40, 101):
        for degree in range(2, fan_out // 2):
            ones = np.flatnonzero(LongShortRotating(out_degree=degree)(1, fan_out)[0])
            short = (degree + 1) // 2
            np.testing.assert_array_equal(ones[:short], np.arange(short))
            if degree - short > 1:
                gaps = np.diff(ones[short:])
                assert gaps.max() - gaps.min() <= 1
