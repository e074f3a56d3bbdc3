"""Verbs of a recipe as callbacks."""

import keras
import numpy as np
import pytest

from keras_sparse.callbacks import Densify, Prune, Rewire, SparsityLogger
from keras_sparse.datasets import load
from keras_sparse.layers import MaskedDense
from keras_sparse.schedules import Constant, Cosine, Doubling, OneShot, Polynomial
from keras_sparse.training import Recipe, run
from keras_sparse.training.run_folder import RunFolder
from keras_sparse.training.sparse_training import callbacks_of, check_times, moving_callbacks, says_times


def made(steps=1000, seed=3, batch=lambda step: None, **verbs):
    return moving_callbacks(verbs, steps, batch, seed)


def test_nothing_moves_without_a_verb(tmp_path):
    assert made() == []
    assert made(prune=None, rewire=None, densify=None, sparsify={"sparsity": 0.9}) == []
    dataset = load("digits", examples=60)
    assert callbacks_of(Recipe("mlp", sparsify={"sparsity": 0.9}), dataset, RunFolder(tmp_path), []) == []


@pytest.mark.parametrize(
    ("steps", "arguments", "schedule"),
    [
        # Until three quarters of the run, twenty times or every 200 steps.
        (1000, {}, Polynomial(0.0, 0.9, begin=0, end=750, frequency=50)),
        (100_000, {}, Polynomial(0.0, 0.9, begin=0, end=75_000, frequency=200)),
        (8, {}, Polynomial(0.0, 0.9, begin=0, end=6, frequency=1)),
        (1, {}, Polynomial(0.0, 0.9, begin=0, end=1, frequency=1)),
        (1000, {"begin": 900}, Polynomial(0.0, 0.9, begin=900, end=901, frequency=50)),
        (1000, {"begin": 5, "end": 40, "frequency": 7}, Polynomial(0.0, 0.9, begin=5, end=40, frequency=7)),
        (1000, {"once": True}, OneShot(0.9, step=0)),
        (1000, {"once": True, "begin": 12}, OneShot(0.9, step=12)),
        (1000, {"once": False}, Polynomial(0.0, 0.9, begin=0, end=750, frequency=50)),
    ],
)
def test_times_of_pruning(steps, arguments, schedule):
    (prune,) = made(steps, prune={"sparsity": 0.9, **arguments})
    assert type(prune.schedule) is type(schedule)
    assert prune.schedule.get_config() == schedule.get_config()


def test_pruning_is_done_within_the_run():
    for steps in (1, 2, 5, 41, 164, 1000):
        (prune,) = made(steps, prune={"sparsity": 0.9})
        assert prune.schedule(steps) == 0.9
        assert prune.schedule.due(steps) == prune.schedule.end <= steps


def test_other_arguments_arrive():
    batch = object()
    prune, rewire, densify = made(
        batch=lambda step: batch,
        prune={"sparsity": 0.9, "criterion": "saliency", "scope": "global", "pattern": "block:2x2", "exclude": "last"},
        rewire={"drop": 0.2, "grow": "gradient", "criterion": "saliency", "exclude": ["first"]},
        densify={"initial": 0.2, "period": 30, "final": 0.8, "new": "initializer"},
    )
    assert isinstance(prune, Prune)
    assert (prune.scope, prune.exclude, prune.seed) == ("global", "last", 3)
    assert (type(prune.criterion).__name__, type(prune.pattern).__name__) == ("Saliency", "Block")
    assert prune.batches.at(0) is batch
    assert isinstance(rewire, Rewire)
    assert (rewire.grow, rewire.exclude, rewire.seed) == ("gradient", ["first"], 3)
    assert rewire.batches.at(0) is batch
    assert isinstance(densify, Densify)
    assert densify.new == "initializer"
    assert densify.schedule.get_config() == Doubling(0.2, 30, 0.8).get_config()


@pytest.mark.parametrize(
    ("steps", "arguments", "schedule"),
    [
        (1000, {}, Cosine(0.3, 750, begin=50, frequency=50)),
        (100_000, {"drop": 0.1}, Cosine(0.1, 75_000, begin=200, frequency=200)),
        (1000, {"frequency": 10, "until": 35}, Cosine(0.3, 35, begin=10, frequency=10)),
        (2, {}, Cosine(0.3, 2, begin=1, frequency=1)),
    ],
)
def test_times_of_rewiring(steps, arguments, schedule):
    (rewire,) = made(steps, rewire={**arguments, "grow": "random"})
    assert not isinstance(rewire.schedule, Constant)
    assert rewire.schedule.get_config() == schedule.get_config()


def test_a_verb_with_all_defaults():
    assert [type(callback) for callback in made(rewire={}, densify={})] == [Rewire, Densify]


def test_gradients_are_taken_on_a_batch_that_follows_from_the_step(tmp_path):
    recipe = Recipe("mlp", examples=300, seed=4, prune={"sparsity": 0.5, "criterion": "saliency"})
    dataset = load("digits", examples=300)
    batches = [callbacks_of(recipe, dataset, RunFolder(tmp_path), [])[0].batches for _ in range(2)]
    first, again, other = (np.asarray(b.at(step)[1]) for b, step in zip((*batches, batches[0]), (7, 7, 8), strict=True))
    assert len(first) == 256
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_logger_writes_into_the_folder_and_goes_on_with_a_resumed_run(tmp_path):
    recipe = Recipe("mlp", prune={"sparsity": 0.5})
    dataset, folder = load("digits", examples=60), RunFolder(tmp_path)
    _, logger = callbacks_of(recipe, dataset, folder, [])
    assert isinstance(logger, SparsityLogger)
    assert (logger.csv, logger.append) == (tmp_path / "sparsity.csv", False)
    assert callbacks_of(recipe, dataset, folder, [{"epoch": 1}])[-1].append


def test_densify_gets_done_within_the_run():
    (densify,) = made(1000, densify={"initial": 0.1})
    assert densify.schedule(1000) == 1.0


@pytest.mark.parametrize(
    "verbs",
    [
        {"prune": {"sparsity": 0.9, "once": True, "begin": 5000}},
        {"prune": {"sparsity": 0.9, "end": 5000}},
        {"rewire": {"drop": 0.3, "frequency": 5000}},
    ],
    ids=str,
)
def test_times_after_the_end_of_the_run_are_refused(verbs, tmp_path):
    recipe = Recipe("mlp", epochs=10, batch_size=32, examples=320, validation_fraction=0, **verbs)
    assert says_times(recipe)
    with pytest.raises(ValueError, match=r"must be at most 100, the updates of the whole run\. Received: .*=5000"):
        check_times(recipe, load("digits", examples=320, validation_fraction=0))
    with pytest.raises(ValueError, match="at most 100"):
        run(recipe, tmp_path / "run", verbose="none")
    assert not (tmp_path / "run").exists()


def test_times_within_the_run_are_not():
    recipe = Recipe("mlp", epochs=1, examples=60, prune={"sparsity": 0.5, "once": True, "begin": 2})
    check_times(recipe, load("digits", examples=60))
    check_times(Recipe("mlp"), load("digits", examples=60))
    assert not says_times(Recipe("mlp", prune={"sparsity": 0.5}))


@pytest.mark.parametrize("extra", [{"end": 50}, {"frequency": 5}], ids=str)
def test_times_that_once_has_no_use_for_are_refused(extra):
    with pytest.raises(ValueError, match="once"):
        Recipe("mlp", prune={"sparsity": 0.9, "once": True, **extra})


def test_a_sparsity_that_the_pattern_cannot_have_is_refused_at_once():
    with pytest.raises(ValueError, match=r"0\.5"):
        Recipe("mlp", prune={"sparsity": 0.9, "pattern": "2:4"})


def test_movement_at_once_at_the_start_is_refused():
    with pytest.raises(ValueError, match="movement"):
        Recipe("mlp", prune={"sparsity": 0.9, "once": True, "criterion": "movement"})


def test_what_densify_draws_is_the_same_after_loading(tmp_path):
    model = keras.Sequential([keras.Input((6,)), MaskedDense(8, sparsity=0.9, seed=0)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.save(tmp_path / "model.keras")
    kernels = []
    for one in [keras.saving.load_model(tmp_path / "model.keras") for _ in range(2)]:
        (densify,) = made(densify={"initial": 0.9, "new": "initializer"})
        one.fit(np.ones((4, 6)), np.ones((4, 8)), verbose=0, callbacks=[densify])
        kernels.append(one.layers[0].dense_kernel())
    assert (kernels[0] != 0).mean() > 0.8
    np.testing.assert_array_equal(*kernels)
