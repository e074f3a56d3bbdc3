"""Killed, saved, loaded, fitted again: the same masks as in a run that nothing interrupted."""

import math
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import criteria
from keras_sparse.callbacks import Prune
from keras_sparse.schedules import Constant, OneShot, Polynomial
from keras_sparse.transforms.mask_in_place import mask_in_place
from pruned_models import COMPILED, SCHEDULE, Watch, X, Y, cut, fit, functional, model, same, sparse_of
from tensors import numpy


@keras.saving.register_keras_serializable(package="test_prune_resumed")
class Subclassed(keras.Model):
    """Layers in an attribute and in a list, which no configuration shows."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, activation="tanh")
        self.rest = [layers.Dense(3)]

    def call(self, inputs):
        return self.rest[0](self.hidden(inputs))


@keras.saving.register_keras_serializable(package="test_prune_resumed")
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


KINDS = {"functional": functional, "subclassed": Subclassed, "shown": Shown}
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
            network, watch = model(KINDS[kind]), Watch()
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
        fit(model(KINDS[kind]), *callbacks(), Kill(6))
    network = model(KINDS[kind])  # of stock layers
    fit(network, *callbacks())
    same(network, end)


def test_hidden_layers_killed_before_the_first_cut(straight):
    """A file of them holds no step: it is said, or what is assumed is."""
    folder, end = straight("subclassed", "magnitude")
    x, y = (np.tile(array, (3, 1))[8:] for array in (X, Y))
    network = keras.saving.load_model(folder / "after_1_1.keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot know")
        fit(network, Prune(SCHEDULE, counts_from=0), epochs=1, x=x, y=y)
    same(network, end)
    network, watch = keras.saving.load_model(folder / "after_1_1.keras"), Watch()
    with pytest.warns(UserWarning, match="Prune cannot know .* has made 1 updates.*counts_from=0 if it was pruned"):
        fit(network, Prune(SCHEDULE), watch, epochs=1, x=x, y=y)
    assert watch.seen[2] == [0, 0]  # step 1, as if it had just begun
    assert watch.seen[3] == [math.floor(SCHEDULE(2) * n) for n in (48, 24)]


@pytest.mark.parametrize("trained_before", [0, 3])
def test_hidden_layers_and_a_backup_from_before_the_first_cut(trained_before, tmp_path):
    """Where the optimizer stood before the backup came back is where the schedule began."""
    late = Polynomial(0.1, 0.85, begin=6, end=10, frequency=2)

    def begun():
        network = model(Subclassed)
        fit(network, epochs=1, x=X[: 8 * trained_before], y=Y[: 8 * trained_before]) if trained_before else None
        return network

    def callbacks(place):
        return keras.callbacks.BackupAndRestore(tmp_path / place), Prune(late)

    network, watch = begun(), Watch()
    fit(network, Prune(late), watch)
    with pytest.raises(KilledError):
        fit(begun(), *callbacks("backup"), Kill(trained_before + 5))
    again = begun()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot know")
        fit(again, *callbacks("backup"))
    same(again, watch.states[trained_before + 12])


@pytest.mark.parametrize(("first", "second"), [("first", None), (None, "first"), ("last", "first")])
def test_other_layers_are_excluded_when_it_goes_on(first, second, tmp_path):
    keras.utils.set_random_seed(1)
    units = (8, 6, 3)
    network = keras.Sequential([keras.Input((6,)), *(layers.Dense(n) for n in units)])
    network.compile("sgd", "mse", jit_compile=COMPILED, run_eagerly=not COMPILED)
    fit(network, Prune(SCHEDULE, exclude=first), epochs=1)  # four steps
    network.save(tmp_path / "m.keras")
    network = keras.saving.load_model(tmp_path / "m.keras")
    watch = Watch()
    fit(network, Prune(SCHEDULE, exclude=second), watch, epochs=1)
    middle = network.layers[1]
    assert (~middle.mask).sum() == math.floor(SCHEDULE(8) * 48)


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


@pytest.mark.parametrize(
    ("first", "second", "sparsity"),
    [
        ("unstructured", "2:4", 0.5),
        ("2:4", "2:4", 0.5),
        ("unstructured", "block:2x2", 0.55),
        ("unstructured", "block:2x2", 0.3),
        ("block:2x2", "channel", 0.5),
    ],
)
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_another_pattern_on_a_model_that_was_pruned_before(first, second, sparsity, scope):
    """Its step was passed, and as many connections are cut as it wants: other ones."""
    network = model(eager=not COMPILED)
    fit(network, Prune(OneShot(0.45, step=1), pattern=first), epochs=1)
    before = [layer.mask for layer in sparse_of(network)]
    callback = Prune(OneShot(sparsity, step=1), pattern=second, scope=scope)
    fit(network, callback, epochs=1)
    after = [layer.mask for layer in sparse_of(network)]
    assert all((new <= old).all() for new, old in zip(after, before, strict=True))
    assert any((new != old).any() for new, old in zip(after, before, strict=True))
    if second != "channel":  # the outputs of the last layer stay
        groups = [callback.pattern.is_cut(mask) for mask in after]
        wanted = sum(callback.pattern.groups_to_cut(mask.shape, sparsity) for mask in after)
        assert sum(group.sum() for group in groups) >= wanted
    fit(network, Prune(OneShot(sparsity, step=1), pattern=second, scope=scope), epochs=1)  # all is there now
    same(network, [(None, mask) for mask in after], weights=False)


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
