"""Every registered criterion: configuration, scores of the weights' shape, what it needs, helpful errors."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest

from keras_sparse import criteria
from keras_sparse.criteria import Criterion

NAMES = ["grasp", "magnitude", "movement", "random", "saliency", "snip", "synflow"]
NEEDS = {
    "grasp": "hessian",
    "magnitude": None,
    "movement": "movement",
    "random": None,
    "saliency": "loss",
    "snip": "loss",
    "synflow": "flow",
}
WITH_GRADIENTS = [name for name in NAMES if NEEDS[name]]
AT_INITIALIZATION = {"grasp", "snip", "synflow"}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def rng():
    return np.random.default_rng(3)


def test_names_and_what_they_need():
    assert criteria.CRITERIA.names() == NAMES
    members = {name: criteria.get(name) for name in NAMES}
    assert {name: member.gradients for name, member in members.items()} == NEEDS
    assert {name for name, member in members.items() if member.at_initialization} == AT_INITIALIZATION
    assert {name: member.rounds for name, member in members.items() if member.rounds > 1} == {"synflow": 100}


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip(name):
    criterion = criteria.get(name, **({"rounds": 7} if name == "synflow" else {}))
    saved = keras.saving.serialize_keras_object(criterion)
    again = keras.saving.deserialize_keras_object(saved)
    assert again == criterion == criteria.get(saved)
    assert again is not criterion
    assert again.rounds == criterion.rounds
    assert criteria.get(criterion) is criterion


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(5,), (6, 4), (3, 3, 2, 8)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_scores_have_the_shape_of_the_weights(name, shape, dtype):
    weights, gradients = normal(*shape).astype(dtype), normal(*shape, seed=1).astype(dtype)
    before = weights.copy(), gradients.copy()
    scores = criteria.get(name).scores(weights, gradients, rng())
    assert scores.shape == shape
    assert scores.dtype in (np.float32, np.float64)
    assert np.isfinite(scores).all()
    assert not np.shares_memory(scores, gradients)
    np.testing.assert_array_equal(weights, before[0])
    np.testing.assert_array_equal(gradients, before[1])


@pytest.mark.parametrize("name", NAMES)
def test_several_kernels_are_ranked_as_each_is(name):
    kernels = [normal(6, 4), normal(3, 2, seed=1)]
    gradients = [normal(6, 4, seed=2), normal(3, 2, seed=3)]
    together = criteria.get(name).scores_of(kernels, gradients, rng())
    assert [scores.shape for scores in together] == [(6, 4), (3, 2)]
    generator = rng()
    for scores, weights, gradient in zip(together, kernels, gradients, strict=True):
        alone = criteria.get(name).scores(weights, gradient, generator)
        np.testing.assert_array_equal(scores.ravel().argsort(), alone.ravel().argsort())


@pytest.mark.parametrize("name", NAMES)
def test_products_of_small_numbers_do_not_vanish(name):
    """In single precision these would all be zero, and ties."""
    weights = np.array([1e-25, 2e-25, 3e-25], "float32")
    scores = criteria.get(name).scores(weights, weights, rng())
    assert len(set(scores.tolist())) == 3


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradients_that_are_missing_or_of_another_shape(name):
    owner = criteria.CRITERIA.lookup(name, "test").__name__
    with pytest.raises(ValueError) as caught:
        criteria.get(name).scores(normal(4, 3))
    message = str(caught.value)
    assert message.startswith(f"`gradients` of {owner} must be the ")
    assert criteria.criterion.GRADIENTS[NEEDS[name]] in message
    assert "Received: gradients=None. Compute it for this kernel, or use a criterion that needs none" in message
    with pytest.raises(ValueError, match=r"gradients of shape \(3, 4\), weights of shape \(4, 3\)"):
        criteria.get(name).scores(normal(4, 3), normal(3, 4))
    with pytest.raises(ValueError, match="Received: 1 gradients, 2 kernels"):
        criteria.get(name).scores_of([normal(4, 3), normal(2, 2)], [normal(4, 3)])


@pytest.mark.parametrize("name", [name for name in NAMES if not NEEDS[name]])
def test_no_gradients_where_none_are_needed(name):
    assert criteria.get(name).scores(normal(4, 3), rng=rng()).shape == (4, 3)
    assert [scores.shape for scores in criteria.get(name).scores_of([normal(4, 3), normal(2)], rng=rng())] == [
        (4, 3),
        (2,),
    ]


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`criterion` of somebody must be one of .*Did you mean 'magnitude'"):
        criteria.get("magnitud", owner="somebody")


def test_one_method_makes_a_criterion():
    class Positive(Criterion):
        gradients = "loss"

        def compute(self, weights, gradients, rng):
            return weights - gradients

    np.testing.assert_array_equal(Positive().scores(np.array([3.0, 1.0]), np.array([1.0, 2.0])), [2, -1])
    assert Positive().density_after(1, 0.25) == 0.25


@pytest.mark.parametrize("module", ["", *(f".{m.name}" for m in pkgutil.iter_modules(criteria.__path__))])
def test_examples_in_docstrings(module):
    module = importlib.import_module(f"keras_sparse.criteria{module}")
    names = {name: getattr(criteria, name) for name in criteria.__all__}
    assert doctest.testmod(module, extraglobs={"np": np, **names}).failed == 0
