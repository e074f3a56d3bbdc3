"""In what shape connections are cut: two of four, blocks, channels."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import criteria, patterns, shrink
from keras_sparse.callbacks import Prune
from keras_sparse.layers import MaskedConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.schedules import OneShot, Polynomial
from pruned_models import COMPILED, CROSSENTROPY, IMAGES, LABELS, fit, images_model, model, sparse_of
from tensors import numpy


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


def test_what_is_cut_counts_where_scores_are_negative():
    """A sum of nothing is higher than a negative one: channels must not go beyond the schedule for that."""
    network, seen = model(optimizer=keras.optimizers.SGD(0.3), eager=not COMPILED), []

    def note(batch, logs):
        seen.append(int((~network.get_layer("hidden").mask.any(axis=0)).sum()))

    schedule = Polynomial(0.2, 0.5, begin=1, end=10, power=1, frequency=3)
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    fit(network, Prune(schedule, "movement", pattern="channel:sum"), watch)
    assert seen == [math.floor(8 * schedule(schedule.due(step))) for step in range(1, 13)]


def test_rounds_on_a_model_that_is_sparser_than_wanted():
    network = model(eager=not COMPILED)
    fit(network, Prune(OneShot(0.8, step=0)), epochs=1)
    fit(network, Prune(OneShot(0.3, step=5), criteria.Synflow(rounds=5), pattern="block:2x2"), epochs=1)
    hidden = network.get_layer("hidden").mask
    assert patterns.Block(2, 2).is_cut(hidden).sum() < 6  # of 12, of which 4 go if they are not gone already
