"""Early weights on the connections that training has found."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import compact, mask_in_place, rewind, sparsify
from keras_sparse.callbacks import Prune
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.schedules import OneShot, Polynomial
from tensors import numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = np.tanh(X[:, :3] - X[:, 3:]).astype("float32")
SCHEDULE = Polynomial(0.1, 0.8, begin=2, end=10, frequency=3)
COMPILED = keras.backend.backend() == "jax"
RATE = 0.003


def network(optimizer=None, seed=1, eager=True):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh", name="hidden"),
            layers.BatchNormalization(name="bn"),
            layers.Dense(3, name="out"),
        ]
    )
    # A few steps take less time than their compilation.
    model.compile(optimizer or keras.optimizers.Adam(0.05), "mse", jit_compile=COMPILED, run_eagerly=eager)
    return model


def fit(model, callbacks=(), epochs=4):
    return model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False, callbacks=list(callbacks))


def sparse_of(model):
    return [layer for layer in model.layers if isinstance(layer, SparseKernel)]


class Asked(Prune):
    """Notes the steps at which it cuts."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.steps = []

    def update(self, step):
        self.steps.append(step)
        super().update(step)


def put_away(model, way, folder):
    """The weights of a model as they are now, kept in each way that `rewind` takes."""
    if way == "file":
        model.save(folder / "early.keras")
        return folder / "early.keras"
    if way == "name":
        return str(put_away(model, "file", folder))
    if way == "file of weights":
        model.save_weights(folder / "early.weights.h5")
        return folder / "early.weights.h5"
    if way == "model":
        twin = keras.models.clone_model(model)
        twin.set_weights(model.get_weights())
        return twin
    return model.get_weights()


def kernels_and_others(model):
    """Copies: dense kernels of the layers with one, and all other trained or averaged values."""
    dense = [layer for layer in model.layers if hasattr(layer, "kernel")]
    norm = model.get_layer("bn")
    return [numpy(layer.kernel) for layer in dense], [numpy(v) for v in [*(x.bias for x in dense), *norm.weights]]


@pytest.mark.parametrize("early", ["before masks", "with masks"])
@pytest.mark.parametrize("way", ["weights", "model", "file", "name", "file of weights"])
def test_survivors_are_the_early_weights_bit_for_bit(way, early, tmp_path):
    model = network()
    fit(model, epochs=1)  # so that batch statistics and biases are not those of the start
    if early == "with masks":
        fit(model, [Prune(OneShot(0.3))], epochs=1)
    kernels, others = kernels_and_others(model)
    kept = put_away(model, way, tmp_path)
    fit(model, [Prune(OneShot(0.3) if early == "with masks" else SCHEDULE)], epochs=1)
    for layer in sparse_of(model):  # and a few more by hand, so that cut ones have an early weight
        mask = layer.mask
        mask[:, 0] = False
        layer.set_mask(mask)
    masks = [layer.mask for layer in sparse_of(model)]
    assert len(masks) == 2
    assert all((kernel[~mask] != 0).any() for kernel, mask in zip(kernels, masks, strict=True))
    rewind(model, to=kept)
    for layer, kernel, mask in zip(sparse_of(model), kernels, masks, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        np.testing.assert_array_equal(numpy(layer.kernel)[mask], kernel[mask])
        assert (numpy(layer.kernel)[~mask] == 0).all()
    for now, then in zip(kernels_and_others(model)[1], others, strict=True):
        np.testing.assert_array_equal(now, then)


def test_what_was_cut_then_and_is_connected_now_is_zero():
    """Weights with masks of then: the masks of now count."""
    model = network()
    fit(model, [Prune(OneShot(0.5))], epochs=1)
    early, then = model.get_weights(), sparse_of(model)[0].mask
    sparse_of(model)[0].set_mask(~then)
    fit(model, epochs=1)
    assert (numpy(sparse_of(model)[0].kernel)[~then] != 0).any()
    rewind(model, to=early)
    np.testing.assert_array_equal(sparse_of(model)[0].mask, ~then)
    assert not numpy(sparse_of(model)[0].kernel).any()


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.05, amsgrad=True),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "averages": lambda: keras.optimizers.AdamW(0.05, use_ema=True, ema_momentum=0.9),
    "accumulating": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.05)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_forgets_all_but_the_learning_rate(name):
    model = network(OPTIMIZERS[name]())
    early = model.get_weights()
    fit(model, [Prune(SCHEDULE)], epochs=1)
    model.optimizer.learning_rate = RATE
    variables = list(model.optimizer.variables)
    assert int(numpy(model.optimizer.iterations)) > 0
    rewind(model, to=early)
    assert float(numpy(model.optimizer.learning_rate)) == pytest.approx(RATE)
    assert int(numpy(model.optimizer.iterations)) == 0
    fresh = OPTIMIZERS[name]()
    fresh.build(model.trainable_variables)
    assert [id(v) for v in model.optimizer.variables] == [id(v) for v in variables]
    rate = getattr(model.optimizer, "inner_optimizer", model.optimizer)._learning_rate
    for now, start in zip(variables, fresh.variables, strict=True):
        if now is not rate:
            np.testing.assert_array_equal(numpy(now), numpy(start), err_msg=now.path)


def test_a_learning_rate_that_is_a_schedule_starts_again():
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5)
    model = network(keras.optimizers.Adam(decay))
    early = model.get_weights()
    fit(model, [Prune(SCHEDULE)], epochs=1)
    rewind(model, to=early)
    assert float(numpy(model.optimizer.learning_rate)) == pytest.approx(0.1)


def test_schedules_restart():
    model = network()
    early = model.get_weights()
    rounds = [Asked(SCHEDULE) for _ in range(3)]
    fit(model, rounds[:1], epochs=3)
    fit(model, rounds[1:2], epochs=1)  # it goes on, and all is cut
    rewind(model, to=early)
    assert all((numpy(layer.mask_step) == [-1, 0]).all() for layer in sparse_of(model))
    fit(model, rounds[2:], epochs=3)
    assert [one.steps for one in rounds] == [[2, 5, 8, 10], [], [2, 5, 8, 10]]


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_trains_on_by_the_same_compiled_function_as_a_new_model(optimizer):
    model = network(OPTIMIZERS[optimizer](), eager=False)
    early = model.get_weights()
    fit(model, [Prune(SCHEDULE)])
    masks, compiled = [layer.mask for layer in sparse_of(model)], model.train_function
    rewind(model, to=early)
    losses = fit(model).history["loss"]
    assert model.train_function is compiled is not None
    new = network(OPTIMIZERS[optimizer](), seed=2)
    new.set_weights(early)
    for layer, mask in zip(mask_in_place(new), masks, strict=True):
        layer.set_mask(mask, trained=False)
    np.testing.assert_allclose(losses, fit(new).history["loss"], rtol=1e-5)
    for one, other, mask in zip(sparse_of(model), sparse_of(new), masks, strict=True):
        np.testing.assert_array_equal(one.mask, mask)
        assert (numpy(one.kernel)[~mask] == 0).all()
        np.testing.assert_allclose(numpy(one.kernel), numpy(other.kernel), rtol=1e-4, atol=1e-6)


def test_a_model_that_is_not_compiled_and_was_sparse_from_the_start():
    dense = network()
    model = sparsify(dense, 0.5, seed=0)
    masks = [layer.mask for layer in sparse_of(model)]
    model.set_weights([w if w.dtype != "float32" else w + 1 for w in model.get_weights()])
    rewind(model, to=dense)
    for layer, mask in zip(sparse_of(model), masks, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        np.testing.assert_array_equal(numpy(layer.kernel), np.where(mask, numpy(dense.get_layer(layer.name).kernel), 0))


def test_layers_inside_others_and_shared_ones():
    inputs = keras.Input((6,))
    shared = layers.Dense(6, name="shared")
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="inside")], name="inner")
    model = keras.Model(inputs, layers.Dense(3)(inner(shared(shared(inputs)))))
    model.compile("adam", "mse", jit_compile=COMPILED, run_eagerly=True)
    mask_in_place(model)
    early = model.get_weights()
    kernels = [numpy(layer.kernel) for layer in (shared, inner.layers[0])]
    fit(model, [Prune(OneShot(0.5, step=3))], epochs=1)
    rewind(model, to=early)
    for layer, kernel in zip((shared, inner.layers[0]), kernels, strict=True):
        assert 0.4 < layer.mask.mean() < 0.6
        np.testing.assert_array_equal(numpy(layer.kernel), np.where(layer.mask, kernel, 0))


def test_early_weights_from_before_a_movement_was_watched():
    model = network()
    mask_in_place(model)
    early = model.get_weights()
    kernel = numpy(model.layers[0].kernel)
    fit(model, [Prune(OneShot(0.5, step=3), criterion="movement")], epochs=1)
    rewind(model, to=early)
    mask = model.layers[0].mask
    assert mask.mean() == 0.5
    np.testing.assert_array_equal(numpy(model.layers[0].kernel), np.where(mask, kernel, 0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda m: m.get_weights()[:-1], "`to` of rewind must be the 8 weights of 'sequential'"),
        (
            lambda m: [np.zeros(3), *m.get_weights()[1:]],
            "without or with masks ((6, 8)). Received: 8 arrays, sequential/hidden/kernel of shape (3,)",
        ),
        (lambda m: [], "Received: 0 arrays"),
        (lambda m: keras.Sequential([keras.Input((6,)), layers.Dense(9)]), "2 arrays"),
    ],
)
def test_weights_of_another_model_are_refused_and_change_nothing(wrong, message):
    model = network()
    fit(model, [Prune(SCHEDULE)], epochs=1)
    dense = network()
    before, step = model.get_weights(), int(numpy(model.optimizer.iterations))
    model.name = "sequential"
    with pytest.raises(ValueError) as caught:
        rewind(model, to=wrong(dense))
    assert message in str(caught.value)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(numpy(model.optimizer.iterations)) == step


def test_other_errors(tmp_path):
    model = sparsify(network(), 0.5, seed=0)
    small = compact(model)
    with pytest.raises(ValueError, match=r"`model` of rewind must be one whose sparse layers are in the masked format"):
        rewind(small, to=small.get_weights())
    with pytest.raises(ValueError, match=r"`model` of rewind must be a Keras model"):
        rewind(model.layers[0], to=model.get_weights())
    with pytest.raises(ValueError, match=r"nowhere\.keras"):
        rewind(model, to=tmp_path / "nowhere.keras")
    with pytest.raises(
        ValueError, match=r"`to` of rewind must be weights.*nowhere\.weights\.h5.*There is no such file"
    ):
        rewind(model, to=tmp_path / "nowhere.weights.h5")
    keras.Sequential([keras.Input((6,)), layers.Dense(9)]).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError) as caught:
        rewind(model, to=str(tmp_path / "other.weights.h5"))
    assert "`to` of rewind must be weights that were saved from 'sequential" in str(caught.value)
    assert "Load them into a model that they fit, and pass that model." in str(caught.value)


def test_weights_that_keras_would_skip_are_refused(tmp_path, monkeypatch):
    model = network()
    fit(model, [Prune(SCHEDULE)], epochs=1)
    before = model.get_weights()
    model.save_weights(tmp_path / "m.weights.h5")
    skipped = "Skipping nested container at 'rest': no matching group"
    monkeypatch.setattr(keras.Model, "load_weights", lambda self, path: warnings.warn(skipped, stacklevel=1))
    with pytest.raises(ValueError, match=f"`to` of rewind must be weights .* Keras says: {skipped}"):
        rewind(model, to=tmp_path / "m.weights.h5")
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
