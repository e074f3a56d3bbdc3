"""Fewer and fewer connections, during `fit`."""

import itertools
import math
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import allocation, criteria, patterns, shrink
from keras_sparse.callbacks import Prune, Rewire
from keras_sparse.gradients import flow_gradients, hessian_gradients, loss_gradients
from keras_sparse.layers import MaskedConv2D, MaskedDense, SparseConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.schedules import Constant, OneShot, Polynomial
from keras_sparse.transforms.mask_in_place import mask_in_place

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = np.tanh(X[:, :3] - X[:, 3:]).astype("float32")
IMAGES = RNG.normal(size=(8, 6, 6, 3)).astype("float32")
LABELS = RNG.integers(0, 4, 8)
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SCHEDULE = Polynomial(0.1, 0.85, begin=2, end=10, frequency=3)  # at 2, 5, 8 and 10
COMPILED = keras.backend.backend() == "jax"


def numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


@keras.saving.register_keras_serializable(package="test_prune")
class Subclassed(keras.Model):
    """Layers in an attribute and in a list, which no configuration shows."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, activation="tanh")
        self.rest = [layers.Dense(3)]

    def call(self, inputs):
        return self.rest[0](self.hidden(inputs))


@keras.saving.register_keras_serializable(package="test_prune")
class Shown(keras.Model):
    """Layers that come as arguments, and are in the configuration."""

    def __init__(self, hidden=None, out=None, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden or layers.Dense(8, activation="tanh", name="hidden")
        self.out = out or layers.Dense(3, name="out")

    def call(self, inputs):
        return self.out(self.hidden(inputs))

    def get_config(self):
        saved = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("hidden", "out")}
        return {**super().get_config(), **saved}

    @classmethod
    def from_config(cls, config):
        return cls(**{k: keras.saving.deserialize_keras_object(v) if k != "name" else v for k, v in config.items()})


def functional():
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, activation="tanh", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="out")(hidden))


def model(kind="functional", optimizer=None, eager=False, **options):
    keras.utils.set_random_seed(1)
    network = {"functional": functional, "subclassed": Subclassed, "shown": Shown}[kind]()
    network(X)
    optimizer = optimizer or keras.optimizers.AdamW(0.05, weight_decay=0.01)
    network.compile(optimizer, "mse", **{"jit_compile": COMPILED, "run_eagerly": eager, **options})
    return network


def images_model(first=layers.Conv2D, eager=True, **options):
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            first(8, 3, activation="relu", **options),
            layers.Conv2D(8, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    network.compile(keras.optimizers.SGD(0.05), CROSSENTROPY, jit_compile=COMPILED, run_eagerly=eager and not COMPILED)
    return network


def sparse_of(network):
    return sorted((x for x in network._flatten_layers() if isinstance(x, SparseKernel)), key=lambda x: -x.mask.size)


def fit(network, *callbacks, epochs=3, x=X, y=Y, **options):
    options = {"batch_size": 8, "epochs": epochs, "verbose": 0, "shuffle": False, **options}
    return network.fit(x, y, callbacks=list(callbacks), **options)


def cut(network):
    return [int((~layer.mask).sum()) for layer in sparse_of(network)]


class Watch(keras.callbacks.Callback):
    """Notes step, cut connections, kernels and masks after each batch; to come after Prune."""

    def on_train_begin(self, logs=None):
        self.seen, self.states = {}, {}

    def on_train_batch_end(self, batch, logs=None):
        step = int(numpy(self.model.optimizer.iterations))
        self.seen[step] = cut(self.model)
        self.states[step] = [(numpy(x.trained_kernel), x.mask) for x in sparse_of(self.model)]


def same(network, states, weights=True):
    for layer, (kernel, mask) in zip(sparse_of(network), states, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        if weights:
            np.testing.assert_array_equal(numpy(layer.trained_kernel), kernel)


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


# In what shape


@pytest.mark.parametrize(
    ("pattern", "criterion"),
    [
        ("2:4", "magnitude"),
        ("2:4", "movement"),
        ("block:2x2", "random"),
        ("block:2x2", "grasp"),
        ("channel", "magnitude"),
        ("channel", "saliency"),
        ("channel:sum", "movement"),
    ],
)
def test_patterns_of_an_image_model(pattern, criterion):
    network = images_model()
    fit(network, Prune(OneShot(0.5, step=1), criterion, pattern=pattern, data=(IMAGES, LABELS)), x=IMAGES, y=LABELS)
    first, second, head = (layer for layer in network.layers if isinstance(layer, SparseKernel))
    assert type(second) is MaskedConv2D
    for layer in (first, second, head):
        assert (numpy(layer.trained_kernel)[~layer.mask] == 0).all()
    if pattern == "2:4":
        assert (second.mask.reshape(3, 3, 2, 4, 8).sum(axis=3) == 2).all()
        assert (head.mask.reshape(2, 4, 4).sum(axis=1) == 2).all()
        assert (first.mask.sum(axis=2) == 2).all()  # of a last run of three, two
    elif pattern == "block:2x2":
        blocks = second.mask.reshape(9, 4, 2, 4, 2).sum(axis=(2, 4))
        assert set(blocks.ravel()) == {0, 4}
        assert (blocks == 0).sum() == 9 * 16 // 2
    else:
        inputs = np.ones(3, dtype=bool)
        for layer in (first, second):
            outputs = layer.mask.any(axis=(0, 1, 2))
            assert outputs.sum() == 4
            np.testing.assert_array_equal(layer.mask, np.broadcast_to(np.outer(inputs, outputs), layer.mask.shape))
            inputs = outputs  # nothing reads what was cut
        np.testing.assert_array_equal(head.mask, np.outer(inputs, np.ones(4, dtype=bool)))  # all outputs are needed


def test_two_of_four_gradually():
    network = model()
    fit(network, Prune(Polynomial(0.0, 0.5, begin=0, end=8, frequency=2), pattern="2:4"))
    out = network.get_layer("out").mask
    assert (out.reshape(2, 4, 3).sum(axis=1) == 2).all()
    assert (network.get_layer("hidden").mask[:4].sum(axis=0) == 2).all()


@pytest.mark.parametrize(("scope", "window"), [("layer", 1), ("global", 1), ("layer", 3)])
def test_channels_that_are_summed_go_together_and_shrink_takes_them_out(scope, window):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    for block in "ab":
        y = layers.BatchNormalization()(x)
        y = layers.Conv2D(6, window, padding="same", activation="relu", name=f"{block}1")(y)
        y = layers.Conv2D(8, window, padding="same", name=f"{block}2")(y)
        x = layers.Add()([x, y])
    network = keras.Model(inputs, layers.Dense(4, name="head")(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))
    full = network.count_params()
    network.compile("sgd", CROSSENTROPY, jit_compile=COMPILED, run_eagerly=not COMPILED)
    fit(network, Prune(OneShot(0.5, step=1), pattern="channel", scope=scope), x=IMAGES, y=LABELS, epochs=2)
    kept = {x.name: x.mask.any(axis=(0, 1, 2)) for x in sparse_of(network) if isinstance(x, MaskedConv2D)}
    np.testing.assert_array_equal(kept["stem"], kept["a2"])
    np.testing.assert_array_equal(kept["stem"], kept["b2"])
    if scope == "layer":
        assert {name: int(k.sum()) for name, k in kept.items()} == {"stem": 4, "a1": 3, "a2": 4, "b1": 3, "b2": 4}
    else:
        assert kept["stem"].sum() + kept["a1"].sum() + kept["b1"].sum() == 10  # of 20 groups
    head = network.get_layer("head").mask
    np.testing.assert_array_equal(head.any(axis=1), kept["stem"])  # nothing reads what was cut
    small = shrink(network)
    ours, theirs = (one.predict(IMAGES, verbose=0) for one in (small, network))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert small.count_params() < 0.75 * full
    assert {name: small.get_layer(name).filters for name in kept} == {name: k.sum() for name, k in kept.items()}


def test_channels_of_a_layer_with_fixed_and_free_ones():
    network = model()
    fit(network, Prune(OneShot(0.5, step=2), pattern="channel"))
    kept = network.get_layer("hidden").mask.all(axis=0)
    assert kept.sum() == 4
    assert not network.get_layer("hidden").mask[:, ~kept].any()
    np.testing.assert_array_equal(network.get_layer("out").mask, kept[:, None].repeat(3, axis=1))


# On what


def test_sparse_convolutions_lose_connections_between_channels():
    network = images_model(SparseConv2D, sparsity=0.0, topology="random_edge", seed=1)
    fit(network, Prune(OneShot(0.5, step=1)), x=IMAGES, y=LABELS)
    layer = network.layers[0]
    assert layer.mask.shape == (3, 8)
    assert layer.mask.sum() == 12
    assert (numpy(layer.kernel)[:, :, ~layer.mask] == 0).all()
    assert (numpy(layer.kernel)[:, :, layer.mask] != 0).all()


def test_a_sparse_layer_keeps_what_it_has_cut():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((6,)), MaskedDense(8, sparsity=0.5, seed=0), layers.Dense(3)])
    network.compile("sgd", "mse", jit_compile=COMPILED, run_eagerly=not COMPILED)
    before = network.layers[0].mask
    for sparsity, expected in ((0.3, 24), (0.75, 12)):
        fit(network, Prune(OneShot(sparsity)), epochs=1)
        assert network.layers[0].mask.sum() == expected
        assert (network.layers[0].mask <= before).all()


def test_frozen_layers_are_untouched():
    network = images_model()
    network.layers[1].trainable = False
    network.compile("adam", CROSSENTROPY, jit_compile=COMPILED, run_eagerly=not COMPILED)
    kernel = numpy(network.layers[1].kernel)
    fit(network, Prune(OneShot(0.5), exclude=["first"]), x=IMAGES, y=LABELS, epochs=1)
    assert type(network.layers[0]) is layers.Conv2D
    np.testing.assert_array_equal(numpy(network.layers[1].kernel), kernel)
    assert network.layers[3].mask.sum() == 16


@pytest.mark.parametrize("exclude", ["last", "out", ["o*"], "the layer"])
def test_excluded_layers_are_untouched(exclude):
    network = model(eager=not COMPILED)
    exclude = network.get_layer("out") if exclude == "the layer" else exclude
    fit(network, Prune(OneShot(0.5), exclude=exclude), epochs=1)
    assert type(network.get_layer("out")) is layers.Dense
    assert network.get_layer("hidden").mask.sum() == 24


@pytest.mark.parametrize("exclude", ["last", "few"])
def test_excluded_sparse_layers_are_untouched(exclude):
    network = keras.Sequential([keras.Input((6,)), layers.Dense(8), MaskedDense(3, sparsity=0.5, seed=0, name="few")])
    network.compile("sgd", "mse", jit_compile=COMPILED, run_eagerly=not COMPILED)
    before = network.layers[1].mask
    fit(network, Prune(OneShot(0.75), exclude=exclude), epochs=1)
    assert network.layers[0].mask.sum() == 12
    np.testing.assert_array_equal(network.layers[1].mask, before)


def test_a_model_of_keras_applications():
    network = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=4, classifier_activation=None
    )
    network.compile("adam", CROSSENTROPY, jit_compile=COMPILED, run_eagerly=not COMPILED)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 32, 32, 3)).astype("float32"), rng.integers(0, 4, 4)
    names = [layer.name for layer in network.layers]
    fit(network, Prune(OneShot(0.9, step=1), exclude=["first", "last"]), x=x, y=y, epochs=1, batch_size=4)
    assert [layer.name for layer in network.layers] == names
    convolutions = [layer for layer in network.layers if type(layer) is MaskedConv2D]
    assert len(convolutions) == 34
    for layer in convolutions:
        assert (~layer.mask).sum() == math.floor(0.9 * layer.mask.size)
        assert (numpy(layer.kernel)[~layer.mask] == 0).all()
    assert type(network.layers[1]) is layers.Conv2D
    assert type(network.layers[-1]) is layers.Dense


def test_jit_compiled():
    network, watch = model(jit_compile=True), Watch()
    fit(network, Prune(SCHEDULE), watch)
    assert watch.seen[5] == [math.floor(SCHEDULE(5) * n) for n in (48, 24)]
    assert cut(network) == [40, 20]
    for layer in sparse_of(network):
        assert (numpy(layer.kernel)[~layer.mask] == 0).all()


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    network, watch = model(), Watch()
    fit(network, Prune(SCHEDULE, "saliency", data=(X, Y)), watch)
    assert type(network.optimizer).__name__ == "LossScaleOptimizer"
    assert cut(network) == [40, 20]
    assert watch.seen[5] == [math.floor(SCHEDULE(5) * n) for n in (48, 24)]
    for layer in sparse_of(network):
        assert layer.kernel.dtype == "float32"
        kernel = numpy(layer.kernel)
        assert (kernel[~layer.mask] == 0).all()
        assert (kernel[layer.mask] != 0).all()
    slots = [v for v in network.optimizer.inner_optimizer.variables if tuple(v.shape) == (6, 8)]
    assert len(slots) == 2
    for slot in slots:
        assert (numpy(slot)[~sparse_of(network)[0].mask] == 0).all()


# Killed and resumed

CRITERIA = ["magnitude", "movement", "random", "saliency"]


def pruned_by(criterion):
    return Prune(SCHEDULE, criterion, data=(X, Y), batch_size=16)


class KilledError(Exception):
    pass


class Kill(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(numpy(self.model.optimizer.iterations)) == self.step:
            raise KilledError


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Runs that nothing interrupted: the states after each step, and files saved before and after Prune's turn."""
    runs = {}

    def get(kind, criterion):
        if (kind, criterion) not in runs:
            folder = tmp_path_factory.mktemp(f"{kind}_{criterion}")
            network, watch = model(kind), Watch()
            before, after = (
                keras.callbacks.ModelCheckpoint(folder / f"{when}_{{epoch}}_{{batch}}.keras", save_freq=1)
                for when in ("before", "after")
            )
            fit(network, before, pruned_by(criterion), after, watch)
            runs[kind, criterion] = folder, watch.states[12]
        return runs[kind, criterion]

    return get


def resumed(folder, when, step, criterion):
    epoch, batch = divmod(step - 1, 4)
    network = keras.saving.load_model(folder / f"{when}_{epoch + 1}_{batch + 1}.keras")
    assert int(numpy(network.optimizer.iterations)) == step
    x, y = (np.tile(array, (3, 1))[step * 8 :] for array in (X, Y))
    fit(network, pruned_by(criterion), epochs=1, x=x, y=y)
    return network


@pytest.mark.parametrize(
    ("kind", "criterion", "step", "when"),
    [
        *(("functional", "magnitude", step, when) for step in (1, 4, 5) for when in ("before", "after")),
        *(("functional", "movement", step, when) for step in (5, 7) for when in ("before", "after")),
        ("functional", "magnitude", 10, "before"),
        ("functional", "random", 5, "before"),
        ("functional", "saliency", 5, "before"),
        ("shown", "magnitude", 5, "before"),
        ("subclassed", "magnitude", 5, "before"),
        ("subclassed", "random", 7, "after"),
    ],
)
def test_a_saved_model_goes_on_as_if_nothing_had_happened(kind, criterion, step, when, straight):
    folder, end = straight(kind, criterion)
    network = resumed(folder, when, step, criterion)
    same(network, end)


@pytest.mark.parametrize(
    ("kind", "criterion", "first"),
    [
        *(("functional", criterion, "backup") for criterion in CRITERIA),
        ("functional", "movement", "prune"),
        ("shown", "movement", "backup"),
        ("subclassed", "magnitude", "backup"),
        ("subclassed", "random", "prune"),
        ("subclassed", "saliency", "backup"),
    ],
)
def test_backup_and_restore(kind, criterion, first, straight, tmp_path):
    _, end = straight(kind, criterion)

    def callbacks():
        pair = [keras.callbacks.BackupAndRestore(tmp_path), pruned_by(criterion)]
        return pair if first == "backup" else pair[::-1]

    with pytest.raises(KilledError):
        fit(model(kind), *callbacks(), Kill(6))
    network = model(kind)  # of stock layers
    fit(network, *callbacks())
    same(network, end)


@pytest.mark.parametrize("with_optimizer", [True, False])
def test_a_file_of_weights(with_optimizer, straight, tmp_path):
    folder, end = straight("functional", "magnitude")
    saved = keras.saving.load_model(folder / "after_2_3.keras", compile=with_optimizer)
    saved.save_weights(tmp_path / "m.weights.h5")
    network = model()
    mask_in_place(network)
    network.optimizer.build(network.trainable_variables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is nothing for the optimizer
        network.load_weights(tmp_path / "m.weights.h5")
    x, y = (np.tile(array, (3, 1))[7 * 8 :] for array in (X, Y))
    watch = Watch()
    fit(network, pruned_by("magnitude"), watch, epochs=1, x=x, y=y)
    assert list(numpy(sparse_of(network)[0].mask_step)) == [12, 12 if with_optimizer else 5]
    if with_optimizer:
        same(network, end)
    else:
        offset = 7
        assert watch.seen[8 - offset] == [math.floor(SCHEDULE(8) * n) for n in (48, 24)]
        assert watch.seen[9 - offset] == watch.seen[8 - offset]
        assert watch.seen[10 - offset] == [40, 20]


@pytest.mark.parametrize("fresh_callback", [True, False])
def test_a_second_fit_goes_on_where_the_first_ended(fresh_callback, straight):
    _, end = straight("functional", "movement")
    network, callback = model(), pruned_by("movement")
    fit(network, callback, epochs=1)
    fit(network, pruned_by("movement") if fresh_callback else callback, epochs=2)
    same(network, end)


def test_another_schedule_on_a_model_that_was_pruned_before():
    network = model(eager=not COMPILED)
    fit(network, Prune(OneShot(0.5, step=1)), epochs=1)
    assert cut(network) == [24, 12]
    masks = [layer.mask for layer in sparse_of(network)]
    fit(network, Prune(OneShot(0.25, step=2)), epochs=1)  # lower: nothing comes back
    same(network, [(None, mask) for mask in masks], weights=False)
    fit(network, Prune(OneShot(0.75, step=2)), epochs=1)  # its step was passed before it began
    assert cut(network) == [36, 18]
    fit(network, Prune(Polynomial(0.0, 0.9, begin=12, end=14)), epochs=1)
    assert cut(network) == [43, 21]


def test_nothing_is_due_twice():
    """A ranking that is made again at each resume would cut what was not to be cut yet."""
    calls = []

    class Counting(criteria.Magnitude):
        def scores_of(self, *arguments):
            calls.append(1)
            return super().scores_of(*arguments)

    network = model(eager=not COMPILED)
    for _ in range(3):
        fit(network, Prune(Constant(0.5, begin=2, frequency=6), Counting()), epochs=1)
    assert len(calls) == 2  # at 2 and 8


@pytest.mark.parametrize("verb", [Prune, Rewire])
def test_training_that_ends_before_the_first_update_says_so(verb, recwarn):
    network = model(eager=not COMPILED)
    mask_in_place(network)[0].set_mask(RNG.random((6, 8)) < 0.5, trained=False)
    callback = Prune(OneShot(0.5, step=9)) if verb is Prune else Rewire(frequency=9)
    with pytest.warns(UserWarning, match=rf"{verb.__name__} has moved nothing: training ended at step 8 .* Train long"):
        fit(network, callback, epochs=2)
    recwarn.clear()
    fit(network, callback, epochs=1)
    fit(network, verb(callback.schedule), epochs=1)  # behind its end
    assert not [w for w in recwarn if "moved nothing" in str(w.message)]


# Errors


def compact():
    network = keras.Sequential([keras.Input((6,)), MaskedDense(6, sparsity=0.5, format="compact", name="few")])
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
        (lambda: Prune("polinomial"), "`schedule` of Prune must be one of"),
        (lambda: Prune("polinomial"), "Did you mean 'polynomial'"),
        (lambda: Prune("one_shot"), "schedule='one_shot', which needs sparsity. Pass OneShot(sparsity=...)."),
        (lambda: Prune(0.9), "`schedule` of Prune must be a Schedule"),
        (
            lambda: Prune(SCHEDULE, allocation={"out": 1.5}),
            "`allocation` of Prune must be sparsities, numbers in [0, 1)",
        ),
        (lambda: Prune(OneShot(0.5), pattern="2:4", allocation={"out": 0.9}), "2 of 4 are kept"),
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
        (lambda: fit(compact(), Prune(OneShot(0.5)), y=X), "sparse layers in the masked format"),
        (lambda: fit(compact(), Prune(OneShot(0.5)), y=X), "'sequential' with few in the compact one"),
        (lambda: fit(without_kernels(), Prune(OneShot(0.5)), y=X), "must have layers with a kernel"),
        (lambda: fit(without_kernels(), Prune(OneShot(0.5)), y=X), "the model 'normal' with none left"),
        (lambda: fit(model(eager=True), Prune(OneShot(0.5), exclude="*"), epochs=1), "Exclude fewer"),
        (lambda: fit(model(eager=True), Prune(OneShot(0.5), exclude="hiden")), "Received: exclude='hiden', which"),
        (lambda: fit(model(eager=True), Prune(OneShot(0.5), exclude="hiden")), "Did you mean 'hidden'"),
        (lambda: fit(model(eager=True), Prune(OneShot(0.9), pattern="2:4"), epochs=1), "2 of 4 are kept"),
        (
            lambda: fit(model(eager=True), Prune(OneShot(0.5, 2), "movement", pattern="channel"), epochs=1),
            "Take Channel('sum') for a criterion whose scores may be negative",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
