"""Use of outputs against distance, on weights that are known."""

import numpy as np
import pytest

from keras_sparse.studies.feature_reuse import _stage, distance_range, faint, mean_use, slope, title, with_use


def links(weight, readers=5, seed=0):
    """Rows of a stage in which each of the layers reads all before it, by `weight(distance, reader)`."""
    return [
        {
            "network": "densenet", "seed": seed, "stage": "conv2", "source": source, "reader": reader,
            "reader_name": f"unit{reader}", "weight": weight(reader - source, reader),
        }
        for reader in range(1, readers + 1)
        for source in range(reader)
    ]  # fmt: skip


def test_use_is_weight_in_the_largest_of_the_layer():
    rows = with_use(links(lambda distance, reader: reader / distance))
    assert all(row["use"] == pytest.approx(1 / row["distance"]) for row in rows)
    assert mean_use(rows) == pytest.approx(np.mean([1 / d for n in range(1, 6) for d in range(1, n + 1)]))
    assert faint(rows) == 40  # of 15 links the 3 + 2 + 1 beyond distance 2
    assert all(row["use"] == 0 for row in with_use(links(lambda distance, reader: 0)))


def test_slope_is_that_for_a_doubling_whatever_the_level_of_a_layer():
    rows = with_use(links(lambda distance, reader: 1 - 0.1 * np.log2(distance)))
    assert slope(rows) == pytest.approx(-0.1)
    for row in rows:
        row["use"] += row["reader"]
    assert slope(rows) == pytest.approx(-0.1)
    assert slope(with_use(links(lambda distance, reader: reader))) == pytest.approx(0, abs=1e-9)


def test_ranges_of_distance():
    ranges = [distance_range({"distance": distance}) for distance in (1, 2, 3, 4, 5, 8, 9, 13)]
    assert ranges == [(1, 1), (2, 2), (3, 4), (3, 4), (5, 8), (5, 8), (9, 16), (9, 16)]
    assert [title(*one) for one in ranges[:3]] == ["1", "2", "3 to 4"]


def test_the_heat_map_is_the_mean_over_seeds():
    rows = links(lambda distance, reader: 1.0, 2) + links(lambda distance, reader: 3.0 * distance, 2, seed=1)
    stage = _stage(rows)
    np.testing.assert_array_equal(
        stage.weights,
        [
            [2, 3.5],
            [np.nan, 2],
        ],
    )
    assert stage.readers == ("unit1", "unit2")
    assert stage.sources == ("0", "1")
