"""Fewer and fewer connections, during `fit`: how many, and which."""

import itertools
import math
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import allocation, criteria, patterns
from keras_sparse.callbacks import Prune, Rewire
from keras_sparse.gradients import flow_gradients, hessian_gradients, loss_gradients
from keras_sparse.layers import MaskedDense
from keras_sparse.schedules import Constant, OneShot, Polynomial
from keras_sparse.transforms.mask_in_place import mask_in_place
from pruned_models import COMPILED, RNG, SCHEDULE, Watch, X, Y, cut, fit, functional, model, same, sparse_of
from tensors import numpy

# How many


@pytest.mark.parametrize("allocation_name", ["uniform", "erdos_renyi"])
def test_exact_counts_at_each_due_step_and_none_between(allocation_name):
    network, watch = model(), Watch()
    kernel = network.layers[1]
    fit(network, Prune(SCHEDULE, allocation=allocation_name), watch)
    assert network.layers[1] is kernel
    shares = {step: allocation.get(allocation_name)([(6, 8), (8, 3)], SCHEDULE(step)) for step in (2, 5, 8, 10)}
    expected = {
        step: [math.floor(n * s) for n, s in zip((48, 24), share, strict=True)] for step, share in shares.items()
    }
    due = {1: [0, 0], **{step: expected[max(d for d in expected if d <= step)] for step in range(2, 13)}}
    assert watch.seen == due
    assert due[12] == [40, 20] or allocation_name != "uniform"
    for before, after in itertools.pairwise(watch.states.values()):
        assert all((new <= old).all() for (_, old), (_, new) in zip(before, after, strict=True))  # never comes back


@pytest.mark.parametrize(
    ("schedule", "name"),
    [(SCHEDULE, "out"), (SCHEDULE, "o*"), (OneShot(0.85, step=5), "out"), (Constant(0.85, begin=5), "out")],
)
def test_layers_of_a_dictionary_end_at_their_own_sparsity(schedule, name):
    network, watch = model(), Watch()
    fit(network, Prune(schedule, allocation={name: 0.5}), watch)
    assert watch.seen[5] == [math.floor(schedule(5) * 48), math.floor(schedule(5) / 0.85 * 0.5 * 24)]
    assert cut(network) == [40, 12]


def test_one_ranking_over_all_layers():
    network, watch = model(optimizer=keras.optimizers.SGD(0.0)), Watch()
    out = network.get_layer("out")
    out.kernel.assign(2 * numpy(out.kernel))
    kernels = [numpy(network.get_layer(name).kernel) for name in ("hidden", "out")]
    fit(network, Prune(SCHEDULE, scope="global"), watch)
    assert {step: sum(seen) for step, seen in watch.seen.items()}[12] == math.floor(0.85 * 72)
    for step in (2, 5, 8, 10):
        assert sum(watch.seen[step]) == math.floor(SCHEDULE(step) * 72)
    order = np.sort(np.abs(np.concatenate([kernel.ravel() for kernel in kernels])))
    threshold = order[math.floor(0.85 * 72)]
    for kernel, layer in zip(kernels, sparse_of(network), strict=True):
        np.testing.assert_array_equal(layer.mask, np.abs(kernel) >= threshold)
    assert cut(network)[0] > 40 > cut(network)[1] * 2


def test_of_equal_scores_the_last_go():
    network = model(optimizer=keras.optimizers.SGD(0.0), eager=True)
    network.get_layer("hidden").kernel.assign(np.ones((6, 8)))
    fit(network, Prune(OneShot(0.29)), epochs=1)
    np.testing.assert_array_equal(network.get_layer("hidden").mask.ravel(), np.arange(48) < 48 - 13)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"steps_per_execution": 2}, [2, 4, 6, 8, 10, 12]),
        ({"steps_per_execution": 5}, [5, 10, 12]),
        ({"optimizer": "accumulate"}, [0, 1, 2, 3, 4, 5, 6]),
    ],
    ids=["2 at once", "5 at once", "accumulated"],
)
def test_time_is_counted_in_updates(options, steps):
    if "optimizer" in options:
        options = {"optimizer": keras.optimizers.Adam(0.05, gradient_accumulation_steps=2)}
    network, watch = model(**options), Watch()
    fit(network, Prune(SCHEDULE), watch, epochs=1, x=np.tile(X, (3, 1)), y=np.tile(Y, (3, 1)))
    assert list(watch.seen) == steps
    for step, seen in watch.seen.items():
        due = SCHEDULE.due(step)
        assert seen == ([0, 0] if due is None else [math.floor(SCHEDULE(due) * n) for n in (48, 24)])
    assert list(numpy(sparse_of(network)[0].mask_step)) == [steps[-1]] * 2
    for layer in sparse_of(network):
        assert (numpy(layer.trained_kernel)[~layer.mask] == 0).all()


def test_several_steps_at_once_change_nothing_where_they_end_on_due_steps():
    states = []
    for options in ({}, {"steps_per_execution": 4}):
        network = model(**options)
        fit(network, Prune(Polynomial(0.1, 0.8, begin=4, end=8, frequency=4)))
        states.append([(numpy(layer.trained_kernel), layer.mask) for layer in sparse_of(network)])
    for (kernel, mask), (other, other_mask) in zip(*states, strict=True):
        np.testing.assert_array_equal(mask, other_mask)
        np.testing.assert_allclose(kernel, other, rtol=1e-5, atol=1e-6)


def test_what_is_cut_stays_exactly_zero_and_the_rest_trains():
    network = model()
    fit(network, Prune(OneShot(0.7, step=3)))
    before = [(numpy(layer.trained_kernel), layer.mask) for layer in sparse_of(network)]
    fit(network)  # without the callback
    for (kernel, mask), layer in zip(before, sparse_of(network), strict=True):
        now = numpy(layer.trained_kernel)
        np.testing.assert_array_equal(layer.mask, mask)
        assert (now[~mask] == 0).all()
        assert (now[mask] != kernel[mask]).all()
    slots = [v for v in network.optimizer.variables if tuple(v.shape) == (6, 8)]
    assert len(slots) == 2
    for slot in slots:
        assert (numpy(slot)[~before[0][1]] == 0).all()
        assert (numpy(slot)[before[0][1]] != 0).any()


def test_the_same_as_by_hand():
    """Prune once, with the optimizer's slots, is `set_mask` at that step."""
    network = model()
    fit(network, Prune(OneShot(0.5, step=4)), epochs=2)
    by_hand = model()
    mask_in_place(by_hand)
    fit(by_hand, epochs=1)
    for layer in sparse_of(by_hand):
        kernel = np.abs(numpy(layer.kernel))
        layer.set_mask(kernel > np.sort(kernel.ravel())[kernel.size // 2 - 1])
    assert [layer.mask.sum() for layer in sparse_of(by_hand)] == [24, 12]
    for variable in by_hand.optimizer.variables:
        for layer in sparse_of(by_hand):
            if tuple(variable.shape) == layer.mask.shape:
                variable.assign(numpy(variable) * layer.mask)
    fit(by_hand, epochs=1)
    same(network, [(numpy(layer.kernel), layer.mask) for layer in sparse_of(by_hand)])


@pytest.mark.parametrize("verb", [Prune, Rewire])
def test_training_that_ends_before_the_first_update_says_so(verb):
    network = model(eager=not COMPILED)
    mask_in_place(network)[0].set_mask(RNG.random((6, 8)) < 0.5, trained=False)
    callback = Prune(OneShot(0.5, step=8)) if verb is Prune else Rewire(frequency=8)
    with pytest.warns(UserWarning, match=rf"{verb.__name__} has done nothing: training ended at step 4, and no update"):
        fit(network, callback, epochs=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*has done nothing")
        fit(network, callback, epochs=1)  # the last step
        fit(network, verb(callback.schedule), epochs=1)  # behind its end
        fit(network, Prune(OneShot(0.5, step=800)), epochs=0)


# By what


def gradients_of(kind, network):
    masked = sparse_of(network)
    functions = {
        "loss": lambda: loss_gradients(network, masked, (X, Y)),
        "hessian": lambda: hessian_gradients(network, masked, (X, Y)),
        "flow": lambda: flow_gradients(network, masked),
    }
    return functions.get(kind, lambda: None)()


@pytest.mark.parametrize("name", ["magnitude", "saliency", "snip", "grasp"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_criteria(name, scope):
    network = model(optimizer=keras.optimizers.SGD(0.0), eager=not COMPILED)
    mask_in_place(network)
    kernels = [numpy(layer.kernel) for layer in sparse_of(network)]
    criterion = criteria.get(name)
    scores = criterion.scores_of(kernels, gradients_of(criterion.gradients, network))
    fit(network, Prune(OneShot(0.5, step=1), name, scope, data=lambda step: (X, Y)), epochs=1)
    if scope == "layer":
        expected = [patterns.get("unstructured").mask(score, 0.5) for score in scores]
    else:
        expected = patterns.get("unstructured").masks(scores, 0.5)
    for mask, layer in zip(expected, sparse_of(network), strict=True):
        np.testing.assert_array_equal(layer.mask, mask)


def test_movement_is_what_the_optimizer_did():
    network = model(optimizer=keras.optimizers.SGD(0.2, momentum=0.5))
    fit(network, Prune(OneShot(0.5, step=10), "movement"))
    uncut, watch = model(optimizer=keras.optimizers.SGD(0.2, momentum=0.5)), Watch()
    mask_in_place(uncut)
    start = [numpy(layer.kernel) for layer in sparse_of(uncut)]
    fit(uncut, watch)
    for index, layer in enumerate(sparse_of(network)):
        path = [start[index], *(watch.states[step][index][0] for step in range(1, 11))]
        movement = sum(before * (after - before) for before, after in itertools.pairwise(path))
        np.testing.assert_array_equal(layer.mask, patterns.get("unstructured").mask(movement, 0.5))
        assert (layer.mask != patterns.get("unstructured").mask(np.abs(path[-1]), 0.5)).any()


def test_random_follows_from_seed_and_step():
    masks = {}
    for key, (seed, step) in {"a": (0, 1), "again": (0, 1), "seed": (1, 1), "step": (0, 2)}.items():
        network = model(eager=not COMPILED)
        fit(network, Prune(OneShot(0.5, step=step), "random", seed=seed), epochs=1)
        masks[key] = sparse_of(network)[0].mask
        assert masks[key].sum() == 24
    np.testing.assert_array_equal(masks["a"], masks["again"])
    assert (masks["a"] != masks["seed"]).any()
    assert (masks["a"] != masks["step"]).any()


def test_synflow_in_rounds_leaves_no_layer_without_connections():
    network = model(eager=not COMPILED)
    network.get_layer("out").kernel.assign(1e-3 * numpy(network.get_layer("out").kernel))
    fit(network, Prune(OneShot(0.9), criteria.Synflow(rounds=20), scope="global"), epochs=1)
    assert sum(cut(network)) == math.floor(0.9 * 72)
    hidden, out = (network.get_layer(name).mask for name in ("hidden", "out"))
    assert (hidden.any(axis=0) & out.any(axis=1)).any()
    by_size = model(eager=not COMPILED)
    by_size.get_layer("out").kernel.assign(1e-3 * numpy(by_size.get_layer("out").kernel))
    with pytest.warns(UserWarning, match="Prune has cut all connections of out at step 0: nothing gets through"):
        fit(by_size, Prune(OneShot(0.9), scope="global"), epochs=1)
    assert not by_size.get_layer("out").mask.any()


@pytest.mark.parametrize("name", ["snip", "synflow"])
def test_a_criterion_for_untrained_models_warns_of_a_trained_one(name, recwarn):
    network = model(eager=not COMPILED)
    fit(network, Prune(OneShot(0.5), name, data=(X, Y)), epochs=1)
    fit(network, Prune(OneShot(0.5), name, data=(X, Y)), epochs=1)  # goes on, and has nothing to do
    assert not [w for w in recwarn if "not trained yet" in str(w.message)]
    network = model(eager=not COMPILED)
    fit(network, epochs=1)
    with pytest.warns(
        UserWarning, match="models that were not trained yet, and the optimizer has made 4 updates. Prune"
    ):
        fit(network, Prune(OneShot(0.5), name, data=(X, Y)), epochs=1)


# Errors


def compact():
    network = keras.Sequential([keras.Input((6,)), MaskedDense(6, sparsity=0.5, format="compact", name="few")])
    network.compile("sgd", "mse", run_eagerly=not COMPILED)
    return network


def frozen():
    network = functional()
    network.name, network.trainable = "frozen", False
    network.compile("sgd", "mse", run_eagerly=not COMPILED)
    return network


def without_kernels():
    network = keras.Sequential([keras.Input((6,)), layers.BatchNormalization()], name="normal")
    network.compile("sgd", "mse", run_eagerly=not COMPILED)
    return network


def two_outputs():
    """On JAX the gradient of what the loss does not depend on is zero, and no error."""
    if keras.backend.backend() == "jax":
        raise ValueError("`model` of Prune must have")
    inputs = keras.Input((6,))
    network = keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(3)(inputs)])
    network.compile("sgd", ["mse", None], run_eagerly=True)
    return network


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Prune("polinomial"), "'polynomial'. Received: schedule='polinomial'. Did you mean 'polynomial'"),
        (lambda: Prune("one_shot"), "schedule='one_shot', which needs sparsity. Pass OneShot(sparsity=...)."),
        (lambda: Prune(0.9), "`schedule` of Prune must be a Schedule"),
        (
            lambda: Prune(SCHEDULE, allocation={"out": 1.5}),
            "`allocation` of Prune must be sparsities, numbers in [0, 1)",
        ),
        (lambda: Prune(OneShot(0.5), pattern="2:4", allocation={"out": 0.9}), "numbers in [0, 0.5]. Received"),
        (lambda: Prune(lambda step: 0.5, allocation={"out": 0.9}), "does not say where it ends"),
        (lambda: Prune(SCHEDULE, scope="global", allocation={"out": 0.9}), "left out with scope='global'"),
        (lambda: fit(model(eager=True), Prune(SCHEDULE, allocation={"owt": 0.9})), "match no layer that can be sparse"),
        (
            lambda: fit(two_outputs(), Prune(OneShot(0.5), "snip", data=(X, [Y, Y])), y=[Y, Y]),
            "`model` of Prune must have",
        ),
        (lambda: Prune(SCHEDULE, "magnitud"), "`criterion` of Prune must be one of"),
        (lambda: Prune(SCHEDULE, scope="model"), "`scope` of Prune must be one of 'layer', 'global'"),
        (lambda: Prune(SCHEDULE, pattern="blocks"), "`pattern` of Prune must be one of"),
        (lambda: Prune(SCHEDULE, pattern="4:2"), "`n` of NofM must be"),
        (lambda: Prune(SCHEDULE, allocation="even"), "`allocation` of Prune must be one of"),
        (lambda: Prune(SCHEDULE, scope="global", allocation="erdos_renyi"), "left out with scope='global'"),
        (lambda: Prune(SCHEDULE, "saliency"), "`data` of Prune must be arrays (x, y)"),
        (lambda: Prune(SCHEDULE, "grasp"), "The criterion Grasp() takes gradients on it: pass the training data"),
        (lambda: Prune(SCHEDULE, "saliency", data=(X, Y), batch_size=0), "`batch_size` of Prune must be"),
        (lambda: Prune(SCHEDULE, seed=-1), "`seed` of Prune must be an integer >= 0"),
        (lambda: Prune(OneShot(1.0)), "must be a number in [0, 1)"),
        (lambda: fit(model(eager=True), Prune(lambda step: 1.5), epochs=1), "must be a number in [0, 1)"),
        (
            lambda: fit(compact(), Prune(OneShot(0.5)), y=X),
            "in the masked format. Received: the model 'sequential' with few in the compact one",
        ),
        (lambda: fit(without_kernels(), Prune(OneShot(0.5)), y=X), "must have layers with a kernel"),
        (lambda: fit(without_kernels(), Prune(OneShot(0.5)), y=X), "the model 'normal' with none left"),
        (lambda: fit(model(eager=True), Prune(OneShot(0.5), exclude="*"), epochs=1), "Exclude fewer"),
        (
            lambda: fit(model(eager=True), Prune(OneShot(0.5), exclude="hiden")),
            "Received: exclude='hiden', which matches none. Did you mean 'hidden'",
        ),
        (lambda: fit(model(eager=True), Prune(OneShot(0.9), pattern="2:4"), epochs=1), "2 of 4 are kept"),
        (lambda: Prune(OneShot(0.5, 2), "movement", pattern="channel"), "takes negative scores with the criterion Mov"),
        (lambda: Prune(OneShot(0.5), "grasp", pattern="channel:l1", data=(X, Y)), "would lose it: take 'channel:sum'"),
        (lambda: fit(model(eager=True), Prune(lambda step: 0.6, pattern="2:4")), "2 of 4 are kept"),
        (
            lambda: fit(model(eager=True), Prune(OneShot(0.5, 900), pattern="2:4", allocation="erdos_renyi")),
            "by erdos_renyi, where all together have 0.5. Lower the sparsity, exclude the layer, or",
        ),
        (lambda: fit(model(eager=True), Prune(OneShot(0.5), allocation=lambda *_: [0.5])), "a list of 2 sparsities"),
        (lambda: fit(model(eager=True), Prune(OneShot(0.5), allocation=lambda *_: [0.5, 1.2])), "'out' would have 1.2"),
        (lambda: Prune(SCHEDULE, counts_from=-1), "`counts_from` of Prune must be an integer >= 0"),
        (lambda: fit(model(eager=True), Prune(SCHEDULE, counts_from=1)), "`counts_from` of Prune must be at most 0"),
        (
            lambda: fit(frozen(), Prune(SCHEDULE)),
            "a layer whose kernel is trained. Received: the model 'frozen', in which these are frozen: hidden, out.",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
