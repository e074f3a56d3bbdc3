"""Costs of blocks against pencil arithmetic, and laws against costs that follow them."""

import numpy as np
import pytest

from keras_sparse.studies.complexity import ARCHITECTURES, LAWS, counts, fit, fitted_law


def test_costs_by_pencil():
    # Each unit: normalisation of what it reads, and 3x3 to 12 filters; y_0 has 24 channels.
    assert counts("plain", 4) == {"links": 4, "parameters": (2 + 108) * (24 + 3 * 12), "path": 4}
    assert counts("densenet", 4) == {"links": 10, "parameters": (2 + 108) * (4 * 24 + 6 * 12), "path": 1}
    assert counts("sparsenet", 4) == {"links": 1 + 2 + 2 + 3, "parameters": 110 * (24 * 3 + 5 * 12), "path": 2}
    # Columns of 1, 2 and 4 convolutions; 4 back to 0 by one, 3 back to 0 by two.
    assert counts("fractalnet", 4)["links"] == 7
    assert counts("fractalnet", 4)["parameters"] == 3 * 108 * 24 + 4 * 108 * 12 + 7 * 2 * 12


@pytest.mark.parametrize("law", LAWS)
def test_law_is_recognised(law):
    depths = np.array([8, 16, 32, 64])
    noise = 1 + (law != "1") * 0.01 * np.array([1, -1, -1, 1])
    found, error = fitted_law(depths, (7 * LAWS[law](depths) + 3) * noise)
    assert found == law
    assert error < 0.02


def test_a_law_is_fitted_by_factor_and_constant():
    depths = np.array([8, 16, 32, 64, 128])
    values, error = fit("log N", depths, 7 * np.log(depths) + 3)
    np.testing.assert_allclose(values, 7 * np.log(depths) + 3)
    assert error == pytest.approx(0, abs=1e-12)
    assert fit("N", depths, np.log(depths))[1] > 0.05


def test_claims_at_larger_depths():
    depths = (8, 16, 32, 64, 128, 256)
    for architecture in ("sparsenet", "sparsenet base 3", "densenet"):
        pattern = [counts_of(architecture, depth) for depth in depths]
        for index, claimed in enumerate(ARCHITECTURES[architecture][2][::2]):
            assert fitted_law(depths, [row[index] for row in pattern])[0] == claimed


def counts_of(architecture, depth):
    """Links and path alone, without a block."""
    from keras_sparse.aggregation import get_pattern

    name, _, base = ARCHITECTURES[architecture][0].partition("/")
    pattern = get_pattern(name, base=int(base or 2))
    return pattern.links(depth), pattern.longest_gradient_path(depth)
