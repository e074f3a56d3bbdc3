import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.layers import FractalBlock, PathSampler
from tensors import numpy


def test_columns_have_1_2_4_convolutions_and_join_where_they_end_together():
    block = FractalBlock(4, columns=3)
    assert len(block.convolutions) == 1 + 2 + 4
    assert [block.ending(step) for step in (1, 2, 3, 4)] == [[2], [1, 2], [2], [0, 1, 2]]


def test_is_the_recursive_rule_of_the_paper():
    """f_{C+1} = (f_C after f_C) joined with conv, by recursion instead of by columns."""
    block = FractalBlock(3, columns=3, drop_path=0.0)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    result = numpy(block(x))
    places = [(step, column) for step in range(1, 5) for column in block.ending(step)]
    at = {place: (c, n) for place, c, n in zip(places, block.convolutions, block.norms, strict=True)}

    def convolve(place, z):
        convolution, norm = at[place]
        return ops.relu(norm(convolution(z)))

    def branches(columns, first, z):
        """The results of all columns of f_C on z, whose first depth is `first`."""
        end, column = first + 2 ** (columns - 1) - 1, 3 - columns
        own = convolve((end, column), z)
        if columns == 1:
            return [own]
        half = 2 ** (columns - 2)
        middle = join(branches(columns - 1, first, z))
        return [own, *branches(columns - 1, first + half, middle)]

    def join(results):
        return sum(results) / len(results)

    np.testing.assert_allclose(result, numpy(join(branches(3, 1, x))), rtol=1e-4, atol=1e-5)


def test_local_drop_path_keeps_at_least_one_input_and_weights_add_up_to_one():
    block = FractalBlock(2, columns=3, drop_path=0.9, seed=1)
    weights = numpy(block._join_weights(2000, [0, 1, 2], None))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    kept = (weights > 0).sum(axis=1)
    assert kept.min() == 1
    # Kept: 3 x 0.1 on average, and one where none would be (0.9^3 of the rows).
    assert kept.mean() == pytest.approx(3 * 0.1 + 0.9**3, abs=0.05)


def test_an_example_with_a_chosen_column_runs_that_column_alone():
    block = FractalBlock(3, columns=2, drop_path=0.5, seed=1)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    paths = np.array([[1, 0], [1, 0]], "float32")
    result = numpy(block([x, paths], training=True))
    # Places in order: (1, column 2), (2, column 1), (2, column 2).
    block.norms[1].set_weights([np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)])
    alone = numpy(ops.relu(block.norms[1](block.convolutions[1](x), training=True)))
    np.testing.assert_allclose(result, alone, rtol=1e-4, atol=1e-5)


def test_inference_ignores_paths():
    block = FractalBlock(3, columns=2)
    x = ops.ones((2, 6, 6, 3))
    np.testing.assert_array_equal(numpy(block([x, ops.ones((2, 2))])), numpy(block(x)))


def test_path_sampler_chooses_one_column_for_half_of_the_examples():
    rows = numpy(PathSampler(3, seed=0)(ops.ones((3000, 1)), training=True))
    assert set(rows.sum(axis=1)) == {0.0, 1.0}
    assert rows.sum(axis=1).mean() == pytest.approx(0.5, abs=0.04)
    np.testing.assert_allclose(rows.mean(axis=0), 0.5 / 3, atol=0.03)
    assert not numpy(PathSampler(3, seed=0)(ops.ones((10, 1)))).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"columns": 0}, "`columns`"), ({"drop_path": 1.0}, r"in \[0, 1\)"), ({"filters": -1}, "`filters`")],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        FractalBlock(**{"filters": 4, **arguments})


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    x = ops.ones((2, 8, 8, 3))
    paths = PathSampler(2, seed=0)(x, training=True)
    y = FractalBlock(4, columns=2)([x, paths], training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
