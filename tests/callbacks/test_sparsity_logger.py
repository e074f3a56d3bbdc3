"""How sparse a model is, and how much its connections move, written down."""

import csv

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import mask_in_place
from keras_sparse.callbacks import Prune, Rewire, SparsityLogger
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.schedules import OneShot, Polynomial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6)).astype("float32")
Y = RNG.normal(size=(16, 3)).astype("float32")
PRUNING = Polynomial(0.0, 0.75, begin=2, end=10, frequency=2)
EAGER = keras.backend.backend() != "jax"


def network(optimizer=None):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, activation="tanh", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="out")(hidden))
    model.compile(optimizer or keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=EAGER)
    return model


def fit(model, callbacks, epochs=3, **options):
    """Four steps an epoch."""
    options = {"verbose": 0, "shuffle": False, **options}
    return model.fit(X, Y, batch_size=4, epochs=epochs, callbacks=callbacks, **options)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class Masks(keras.callbacks.Callback):
    """Copies of all masks and kernels: before training, and after each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def look(self):
        found = [x for x in self.model._flatten_layers() if hasattr(x, "mask_step")]
        self.seen.append({x.path: (x.mask, x.dense_kernel()) for x in found})

    def on_train_begin(self, logs=None):
        self.look()

    def on_epoch_end(self, epoch, logs=None):
        self.look()


def expected(before, now):
    """Connections, weights, sparsity, churn and norm by hand, from dictionaries of masks and kernels."""
    masks = [np.concatenate([pair[0].ravel() for pair in one.values()]) for one in (before, now)]
    kernel = np.concatenate([pair[1].ravel() for pair in now.values()]).astype("float64")
    stayed, either = (masks[0] & masks[1]).sum(), (masks[0] | masks[1]).sum()
    return [masks[1].sum(), masks[1].size, 1 - masks[1].mean(), 1 - stayed / either, np.sqrt((kernel**2).sum())]


@pytest.mark.parametrize("moving", ["prune", "rewire"])
def test_csv_holds_what_the_masks_say(tmp_path, moving):
    model = network()
    if moving == "prune":
        callback = Prune(PRUNING)
    else:
        for layer in mask_in_place(model):
            layer.set_mask(RNG.random(layer.mask.shape) < 0.6, trained=False)
        callback = Rewire(0.5, frequency=3)
    masks = Masks()
    logger = SparsityLogger(csv=tmp_path / "new" / "sparsity.csv")
    history = fit(model, [callback, masks, logger]).history
    rows = read(tmp_path / "new" / "sparsity.csv")
    assert list(rows[0]) == ["epoch", "step", "layer", "connections", "weights", "sparsity", "churn", "norm"]
    assert [(row["epoch"], row["step"], row["layer"]) for row in rows] == [
        (str(epoch), str(4 * epoch), name) for epoch in (1, 2, 3) for name in ("hidden", "out", "all")
    ]
    for row in rows:
        epoch = int(row["epoch"])
        before, now = (
            {k: v for k, v in masks.seen[e].items() if row["layer"] in (k, "all")} for e in (epoch - 1, epoch)
        )
        figures = [float(row[name]) for name in ("connections", "weights", "sparsity", "churn", "norm")]
        np.testing.assert_allclose(figures, expected(before, now), rtol=1e-6, atol=1e-12)
    total = [row for row in rows if row["layer"] == "all"]
    assert history["sparsity"] == [float(row["sparsity"]) for row in total]
    assert history["churn"] == [float(row["churn"]) for row in total]
    assert all(churn > 0 for churn in history["churn"])
    if moving == "prune":
        assert history["sparsity"][-1] == pytest.approx((36 + 18) / 72)
    else:
        assert len(set(history["sparsity"])) == 1


def test_churn_by_hand(tmp_path):
    """Of 6 connections 2 go and 1 comes, so that 4 are in both and 7 in either; and 24 stay."""
    model = network()
    hidden, _ = mask_in_place(model)
    mask = np.zeros((6, 8), bool)
    mask.flat[:6] = True
    hidden.set_mask(mask, trained=False)

    class Move(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                _ = self.model  # brings the variables up to date on JAX
                mask.flat[[0, 1]] = False
                mask.flat[40] = True
                hidden.set_mask(mask)

    history = fit(model, [Move(), SparsityLogger(csv=tmp_path / "s.csv")], epochs=2).history
    assert history["churn"] == pytest.approx([3 / 31, 0])
    assert history["sparsity"] == pytest.approx([1 - 29 / 72] * 2)
    rows = read(tmp_path / "s.csv")
    assert [float(row["churn"]) for row in rows] == pytest.approx([3 / 7, 0, 3 / 31, 0, 0, 0])


def test_a_layer_without_connections_has_no_churn(tmp_path):
    model = network()
    out = mask_in_place(model)[1]
    out.set_mask(np.zeros(out.mask.shape, dtype=bool), trained=False)
    fit(model, [SparsityLogger(csv=tmp_path / "s.csv")], epochs=1)
    row = read(tmp_path / "s.csv")[1]
    assert (row["layer"], row["connections"], row["sparsity"], row["norm"]) == (out.path, "0", "1.0", "0.0")
    assert float(row["churn"]) == 0


def test_a_cut_at_step_0_is_churn_of_the_first_epoch():
    history = fit(network(), [Prune(OneShot(0.5)), SparsityLogger()], epochs=2).history
    assert history["sparsity"] == [0.5, 0.5]
    assert history["churn"] == [0.5, 0.0]


def test_churn_of_the_whole_model_is_counted_by_weights_too():
    keras.utils.set_random_seed(1)
    convolution = SparseConv2D(4, 3, sparsity=0.5, topology="random_edge", seed=0)
    model = keras.Sequential(
        [keras.Input((5, 5, 4)), convolution, layers.Flatten(), MaskedDense(3, sparsity=0.5, seed=0)]
    )
    model.compile("sgd", "mse", run_eagerly=EAGER)
    old = convolution.mask
    new = old.copy()
    new.flat[np.flatnonzero(old)[:4]] = False

    class Move(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            _ = self.model  # brings the variables up to date on JAX
            convolution.set_mask(new)

    images = RNG.normal(size=(4, 5, 5, 4)).astype("float32")
    history = model.fit(images, Y[:4], epochs=1, verbose=0, callbacks=[Move(), SparsityLogger()]).history
    dense = model.layers[2].mask.sum()
    both, either = new.sum() * 9 + dense, old.sum() * 9 + dense
    assert history["sparsity"] == [pytest.approx(1 - both / (16 * 9 + 36 * 3))]
    assert history["churn"] == [pytest.approx(1 - both / either)]


def test_progress_bar_shows_the_figures(capsys):
    fit(network(), [Prune(PRUNING), SparsityLogger()], epochs=1, verbose=2)
    printed = capsys.readouterr().out
    assert " - sparsity: " in printed
    assert " - churn: " in printed


def test_append_when_resumed(tmp_path):
    path = tmp_path / "s.csv"
    model = network()
    fit(model, [Prune(PRUNING), SparsityLogger(csv=path, append=True)], epochs=2)  # there is none yet
    model.save(tmp_path / "model.keras")
    first = path.read_text()
    assert first.count("epoch,") == 1
    # What it compares with is in the loaded model.
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    fit(loaded, [Prune(PRUNING), SparsityLogger(csv=path, append=True)], initial_epoch=2)
    assert path.read_text().startswith(first)
    resumed = read(path)
    fit(network(), [Prune(PRUNING), SparsityLogger(csv=tmp_path / "whole.csv")])
    whole = read(tmp_path / "whole.csv")
    for one, other in zip(resumed, whole, strict=True):
        assert {k: v for k, v in one.items() if k != "norm"} == {k: v for k, v in other.items() if k != "norm"}
        assert float(one["norm"]) == pytest.approx(float(other["norm"]), rel=1e-5)
    # Without `append` it begins anew.
    fit(loaded, [SparsityLogger(csv=str(path))], epochs=4, initial_epoch=3)
    assert [row["epoch"] for row in read(path)] == ["4"] * 3


@pytest.mark.parametrize("inside", [False, True], ids=["sequential", "nested"])
def test_layers_are_called_the_same_after_loading(tmp_path, inside):
    part = keras.Sequential([layers.Dense(3, name="one")], name="part") if inside else layers.Dense(3, name="one")
    model = keras.Sequential([keras.Input((6,)), part, layers.Dense(3, name="two")], name="network")
    model.compile("sgd", "mse", run_eagerly=EAGER)
    logger = SparsityLogger(csv=tmp_path / "s.csv", append=True)
    fit(model, [Prune(PRUNING), logger], epochs=1)
    model.save(tmp_path / "model.keras")
    fit(keras.saving.load_model(tmp_path / "model.keras"), [Prune(PRUNING), logger], epochs=2, initial_epoch=1)
    names = [row["layer"] for row in read(tmp_path / "s.csv")]
    assert len(names) == 6
    assert names[:3] == names[3:]


def test_layers_of_equal_names_are_called_the_same_after_loading(tmp_path):
    inputs = keras.Input((6,))
    parts = [keras.Sequential([layers.Dense(3, name="one")], name=name) for name in ("left", "right")]
    model = keras.Model(inputs, layers.Add()([part(inputs) for part in parts]))
    model.compile("sgd", "mse", run_eagerly=EAGER)
    logger = SparsityLogger(csv=tmp_path / "s.csv", append=True)
    fit(model, [Prune(PRUNING), logger], epochs=1)
    model.save(tmp_path / "model.keras")
    fit(keras.saving.load_model(tmp_path / "model.keras"), [Prune(PRUNING), logger], epochs=2, initial_epoch=1)
    names = [row["layer"] for row in read(tmp_path / "s.csv")]
    assert names[:3] == names[3:]
    assert len(set(names)) == 3


def test_one_logger_in_two_fits(tmp_path):
    logger = SparsityLogger(csv=tmp_path / "s.csv", append=True)
    model = network()
    fit(model, [Prune(PRUNING), logger], epochs=1)
    fit(model, [Prune(PRUNING), logger], epochs=2, initial_epoch=1)
    assert [row["epoch"] for row in read(tmp_path / "s.csv")] == ["1"] * 3 + ["2"] * 3


def test_tensorboard_holds_the_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    model = network()
    logger = SparsityLogger(csv=tmp_path / "s.csv", tensorboard=tmp_path / "logs")
    fit(model, [Prune(PRUNING), logger])
    (file,) = (tmp_path / "logs").iterdir()
    events = EventAccumulator(str(file))
    events.Reload()
    tags = [f"{figure}/{name}" for figure in ("sparsity", "churn", "norm") for name in ("hidden", "out", "all")]
    assert sorted(events.Tags()["tensors"]) == sorted(tags)
    rows = read(tmp_path / "s.csv")
    for tag in tags:
        figure, _, name = tag.partition("/")
        written = [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
        wanted = [(int(row["epoch"]), float(row[figure])) for row in rows if row["layer"] == name]
        assert [step for step, _ in written] == [1, 2, 3]
        np.testing.assert_allclose(written, wanted, rtol=1e-6)


def test_nested_and_shared_layers_count_once(tmp_path):
    inputs = keras.Input((6,))
    shared = layers.Dense(6, name="shared")
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="inside")], name="inner")
    x = inner(shared(shared(inputs)))
    model = keras.Model(inputs, layers.Dense(3, name="inside")(layers.Add()([x, inner(inputs)])))
    model.compile("sgd", "mse", run_eagerly=EAGER)
    history = fit(model, [Prune(OneShot(0.5, step=1)), SparsityLogger(csv=tmp_path / "s.csv")], epochs=1).history
    rows = read(tmp_path / "s.csv")
    assert [(row["layer"], row["weights"], row["connections"]) for row in rows] == [
        ("shared", "36", "18"),
        ("inner/inside", "24", "12"),
        ("inside", "12", "6"),
        ("all", "72", "36"),
    ]
    assert history["sparsity"] == [0.5]


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_both_formats(format):
    model = keras.Sequential([keras.Input((6,)), MaskedDense(8, sparsity=0.5, seed=0, format=format), layers.Dense(3)])
    model.compile("sgd", "mse", run_eagerly=EAGER)
    history = fit(model, [Rewire(0.5, frequency=4), SparsityLogger()], epochs=2).history
    assert history["sparsity"] == pytest.approx([24 / (48 + 24)] * 2)
    # Half of 24 move, 12 stay, and so do the 24 of the dense layer: 36 of 60 in both.
    assert history["churn"] == pytest.approx([1 - 36 / 60] * 2)


def test_the_model_is_all_of_its_kernels(tmp_path):
    """Excluded ones and those that cannot be sparse; no biases, whatever their shape."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4, 6))
    x = layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs)  # biases of shape (2, 3)
    x = layers.LayerNormalization(axis=(1, 2))(layers.SeparableConv1D(5, 2)(x))
    model = keras.Model(inputs, layers.Dense(3, name="out")(layers.Flatten()(x)))
    model.compile("sgd", "mse", run_eagerly=EAGER)
    callbacks = [Prune(OneShot(0.5), exclude=["out"]), SparsityLogger(csv=tmp_path / "s.csv")]
    history = model.fit(RNG.normal(size=(4, 4, 6)), Y[:4], epochs=1, verbose=0, callbacks=callbacks).history
    projections, separable, out = 4 * 6 * 6, 2 * 6 + 6 * 5, 15 * 3
    assert history["sparsity"] == [pytest.approx(projections / 2 / (projections + separable + out))]
    *rows, whole = read(tmp_path / "s.csv")
    assert [row["layer"] for row in rows] == ["query", "key", "value", "attention_output"]
    assert int(whole["weights"]) == projections + separable + out
    assert int(whole["connections"]) == projections / 2 + separable + out
    kernels = [v for v in model.trainable_variables if "kernel" in v.name]
    square = sum(np.square(keras.ops.convert_to_numpy(v)).sum() for v in kernels)
    assert float(whole["norm"]) == pytest.approx(np.sqrt(square), rel=1e-5)


def test_the_step_is_that_of_the_schedule(tmp_path):
    model = network()
    fit(model, [])  # twelve steps that no schedule saw
    callbacks = [Prune(PRUNING, exclude="hidden"), Prune(PRUNING, exclude="out")]
    fit(model, [*callbacks, SparsityLogger(csv=tmp_path / "s.csv")], epochs=2)
    assert [row["step"] for row in read(tmp_path / "s.csv")] == ["4"] * 3 + ["8"] * 3
    model.save(tmp_path / "m.keras")
    fit(keras.saving.load_model(tmp_path / "m.keras"), [SparsityLogger(csv=tmp_path / "s.csv")], epochs=1)
    assert {row["step"] for row in read(tmp_path / "s.csv")} == {"12"}
    model.compile("sgd", "mse", run_eagerly=EAGER)  # counts anew, and nobody keeps the clock
    fit(model, [SparsityLogger(csv=tmp_path / "s.csv")], epochs=1)
    assert {row["step"] for row in read(tmp_path / "s.csv")} == {"4"}


def test_a_model_without_sparse_layers():
    with pytest.raises(ValueError) as caught:
        fit(network(), [SparsityLogger()])
    assert "`model` of SparsityLogger must have sparse layers. Received: the model" in str(caught.value)
    assert "Put the logger after Prune, or make the model sparse with `sparsify` first." in str(caught.value)
