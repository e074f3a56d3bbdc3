"""The examples on which gradients are taken."""

import keras
import numpy as np
import pytest

from keras_sparse.callbacks.gradient_batch import GradientBatch

X = np.arange(40).reshape(20, 2)
Y = np.arange(20)
W = np.arange(20) / 20


def batches(data, batch_size=6, seed=0):
    return GradientBatch(data, batch_size, seed, "somebody", "The test")


def test_arrays_are_drawn_from_without_replacement_row_by_row():
    x, y, weight = batches((X, Y, W)).at(0)
    assert x.shape == (6, 2)
    assert len(set(y)) == 6
    np.testing.assert_array_equal(x, X[y])
    np.testing.assert_array_equal(weight, W[y])


def test_the_same_step_has_the_same_batch_and_another_has_another():
    one, other = batches((X, Y)), batches((X, Y))
    np.testing.assert_array_equal(one.at(7)[1], other.at(7)[1])
    assert not np.array_equal(one.at(7)[1], one.at(8)[1])
    assert not np.array_equal(one.at(7)[1], batches((X, Y), seed=1).at(7)[1])
    np.testing.assert_array_equal(one.at(7)[1], other.at(7)[1])  # whatever was asked for in between


def test_all_of_them_if_there_are_few():
    assert sorted(batches((X, Y), batch_size=256).at(3)[1]) == list(range(20))


def test_structures_of_arrays():
    x, y = batches(({"a": X, "b": Y}, [Y, W])).at(2)
    np.testing.assert_array_equal(x["a"], X[x["b"]])
    np.testing.assert_array_equal(y[0], x["b"])
    np.testing.assert_array_equal(y[1], W[x["b"]])


def test_a_function_of_the_step():
    data = batches(lambda step: (X[step : step + 2], Y[step : step + 2]))
    assert data.at(5)[1].tolist() == [5, 6]


class Indexed(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return X[index * 5 :][:5], Y[index * 5 :][:5]

    def __call__(self, step):
        raise AssertionError("it is a data set")


@pytest.mark.parametrize("kind", ["list", "lists", "indexed", "tf.data"])
def test_data_sets_give_their_first_batch(kind):
    if kind == "tf.data":
        tf = pytest.importorskip("tensorflow")
        data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    else:
        data = {
            "list": [(X[:5], Y[:5]), (X[5:], Y[5:])],
            "lists": [[X[:5], Y[:5]], [X[5:], Y[5:]]],
            "indexed": Indexed(),
        }[kind]
    given = batches(data)
    for step in (0, 9):
        batch = given.at(step)
        assert isinstance(batch, tuple)
        np.testing.assert_array_equal(np.asarray(batch[1]), Y[:5])


def test_a_batch_without_targets():
    (x,) = batches([(X[:5],), (X[5:10],)]).at(0)
    np.testing.assert_array_equal(x, X[:5])


@pytest.mark.parametrize("data", [None, 3, "digits"])
def test_missing_data(data):
    with pytest.raises(ValueError) as caught:
        batches(data)
    assert str(caught.value) == (
        "`data` of somebody must be arrays (x, y) or (x, y, sample_weight), a data set of batches, or a function from "
        f"the step to a batch. Received: data={data!r}. The test takes gradients on it: pass the training data, "
        "data=(x, y)."
    )


@pytest.mark.parametrize(
    ("data", "received", "hint"),
    [
        (X, "array of shape (20, 2)", "data=(x, y)"),  # it could be gone through row by row, and that is never meant
        ([X, Y], "[array of shape (20, 2), array of shape (20,)]", "A list is one of batches. The test takes"),
        ((X,), "(array of shape (20, 2))", "data=(x, y)"),
        ((X, Y, W, W), "(array of shape", "data=(x, y)"),
        ((X, Y[:10]), "(array of shape (20, 2), array of shape (10,)", "They must have as many examples each."),
        (([1, 2], [3, 4]), "(list, list)", "data=(x, y)"),
        ({"x": X}, "dict", "data=(x, y)"),
        (iter([(X, Y)]), "list_iterator", "Each batch comes once from it: pass what it goes through, or a function"),
        ((pair for pair in [(X, Y)]), "generator", "Each batch comes once"),
    ],
    ids=["array", "list", "x alone", "four", "lengths", "numbers", "dictionary", "iterator", "generator"],
)
def test_what_is_no_data(data, received, hint):
    with pytest.raises(ValueError, match="`data` of somebody must be") as caught:
        batches(data)
    assert f"Received: data={received}" in str(caught.value)
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("batch_size", [0, 1.5, True])
def test_batch_size(batch_size):
    with pytest.raises(ValueError, match="`batch_size` of somebody must be an integer >= 1"):
        batches((X, Y), batch_size)
