"""Sparse twins of models that exist."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from tensors import numpy


def sparse_layers(model):
    return {layer.name: layer for layer in model._flatten_layers() if isinstance(layer, SparseKernel)}


def perceptron(hidden=(32, 16)):
    keras.utils.clear_session(free_memory=False)
    sizes = [layers.Dense(units, activation="relu", name=f"hidden_{i}") for i, units in enumerate(hidden)]
    return keras.Sequential([keras.Input((20,)), *sizes, layers.Dense(5, name="top")], name="perceptron")


@pytest.mark.parametrize(
    ("constructor", "sparsity"),
    [
        (keras.applications.ResNet50, 0.9),
        (keras.applications.DenseNet121, 0.99),
        (keras.applications.MobileNetV2, 0.997),
    ],
)
def test_keras_applications(constructor, sparsity):
    model = constructor(weights=None, input_shape=(32, 32, 3))
    sparse = ks.sparsify(model, sparsity, exclude="last", seed=0)
    assert [layer.name for layer in sparse._flatten_layers()] == [layer.name for layer in model._flatten_layers()]
    assert ks.analysis.is_path_connected(sparse)
    twins = sparse_layers(sparse)
    convolutions = [layer for layer in model.layers if type(layer) is layers.Conv2D]
    assert set(twins) == {layer.name for layer in convolutions}
    for layer in convolutions:
        twin, kernel = twins[layer.name], numpy(layer.kernel)
        # The rule of the paper, ceil(alpha * n) channels for each filter, to the last connection.
        degree = math.ceil((1 - sparsity) * kernel.shape[2] - 1e-9)
        assert twin.connections.count == degree * layer.filters
        np.testing.assert_array_equal(twin.dense_kernel(), np.where(twin.mask, kernel, 0))
    for old, new in zip(model.get_layer("predictions").get_weights(), sparse.layers[-1].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("alpha", "parameters", "macs"),
    [(0.003, 111_488, 65), (0.1, 2_202_848, 600)],
)
def test_inception_v3_has_the_counts_of_the_rule(alpha, parameters, macs):
    sparse = ks.sparsify(keras.applications.InceptionV3(weights=None), 1 - alpha, exclude="last", seed=1)
    profile = ks.analysis.profile(sparse)
    assert sum(layer.connected_weights for layer in sparse_layers(sparse).values()) == parameters
    assert round(sum(row.macs for row in profile.rows if row.kind == "SparseConv2D") / 1e6) == macs
    assert profile.dense_macs == 5_713_216_096
    assert profile.connected_parameters == parameters + profile.dense_parameters - 21_751_136
    assert ks.analysis.is_path_connected(sparse)


def test_weights_that_stay_connected_are_kept_and_the_model_is_not_touched():
    model = perceptron()
    before = [w.copy() for w in model.get_weights()]
    sparse = ks.sparsify(model, 0.5, seed=3)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for layer in model.layers:
        twin = sparse.get_layer(layer.name)
        assert type(twin) is MaskedDense
        assert twin.activation is layer.activation
        np.testing.assert_array_equal(twin.dense_kernel(), numpy(layer.kernel) * twin.mask)
        np.testing.assert_array_equal(numpy(twin.bias), numpy(layer.bias))


def test_same_seed_same_masks_and_layers_differ():
    model = perceptron((16, 16, 16))
    masks = [[layer.mask for layer in ks.sparsify(model, 0.7, seed=seed).layers] for seed in (1, 1, 2)]
    assert all(np.array_equal(a, b) for a, b in zip(masks[0], masks[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(masks[0], masks[2], strict=True))
    assert not np.array_equal(masks[0][1], masks[0][2])


def test_no_seed_draws_one():
    model = perceptron()
    masks = [ks.sparsify(model, 0.7).layers[0].mask for _ in range(2)]
    assert not np.array_equal(*masks)


@pytest.mark.parametrize("topology", ks.topologies.NAMED)
@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.98])
def test_no_dead_filters_with_any_topology(topology, sparsity):
    model = ks.applications.SparseNet(16, 6, bottleneck=True, input_shape=(16, 16, 3))
    sparse = ks.sparsify(model, sparsity, topology=topology, exclude="last", seed=2)
    assert ks.analysis.is_path_connected(sparse)
    assert np.isfinite(numpy(sparse(np.ones((1, 16, 16, 3), "float32")))).all()


def test_a_topology_object_brings_its_degree():
    sparse = ks.sparsify(perceptron(), None, topology=ks.topologies.RandomFanIn(in_degree=3, seed=9), seed=1)
    assert [layer.mask.sum(axis=0).tolist() for layer in sparse.layers[:1]] == [[3] * 32]
    assert len({layer.seed for layer in sparse.layers}) == 3


def test_first_layer_that_stays_dense_is_read_whole():
    # 40 units stay dense, and 12 readers of one input each cannot read them all: some must read more.
    model = perceptron((40, 12))
    sparse = ks.sparsify(model, 0.97, exclude="first", seed=0)
    assert type(sparse.layers[0]) is layers.Dense
    assert ks.analysis.is_path_connected(sparse)
    assert sparse.layers[1].mask.any(axis=1).all()


def test_connections_of_unread_filters_move_to_others():
    # 10 filters of one input each read 10 of 64 units: the 64 * 2 connections before crowd into these.
    model = perceptron((64, 10))
    sparse = ks.sparsify(model, None, allocation={"hidden_0": 0.9, "hidden_1": 0.99}, seed=0)
    first, second = sparse.layers[0].mask, sparse.layers[1].mask
    assert second.sum() == 10
    assert first.sum() == 64 * 2
    assert np.array_equal(first.any(axis=0), second.any(axis=1))


def test_blocks():
    model = perceptron((32, 16))
    sparse = ks.sparsify(model, 0.75, block_size=4, exclude=["top"], seed=0)
    assert ks.analysis.is_path_connected(sparse)
    for layer in sparse.layers[:2]:
        blocks = layer.mask.reshape(layer.mask.shape[0] // 4, 4, -1, 4)
        assert np.array_equal(blocks.any(axis=(1, 3)), blocks.all(axis=(1, 3)))


def test_compact_at_once():
    sparse = ks.sparsify(perceptron(), 0.8, format="compact", seed=4)
    masked = ks.sparsify(perceptron(), 0.8, seed=4)
    for one, other in zip(sparse.layers, masked.layers, strict=True):
        assert one.format == "compact"
        np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize(
    ("exclude", "dense"),
    [
        (None, []),
        ("first", ["hidden_0"]),
        ("last", ["top"]),
        (["first", "last"], ["hidden_0", "top"]),
        ("hidden_*", ["hidden_0", "hidden_1"]),
        (["hidden_1", "top"], ["hidden_1", "top"]),
        ([layers.InputLayer, "top"], ["top"]),
    ],
    ids=str,
)
def test_exclude(exclude, dense):
    sparse = ks.sparsify(perceptron(), 0.5, exclude=exclude)
    assert [layer.name for layer in sparse.layers if type(layer) is layers.Dense] == dense


def test_exclude_a_layer_itself():
    model = perceptron()
    assert type(ks.sparsify(model, 0.5, exclude=model.layers[1]).layers[1]) is layers.Dense


def test_allocations():
    model = perceptron((64, 32))
    shapes = [layer.kernel.shape for layer in model.layers]
    for name in ks.allocation.ALLOCATIONS:
        wanted = ks.allocation.get(name)(shapes, 0.8)
        sparse = ks.sparsify(model, 0.8, allocation=name, topology="random_edge", seed=0)
        got = [1 - layer.mask.mean() if isinstance(layer, SparseKernel) else 0 for layer in sparse.layers]
        np.testing.assert_allclose(got, wanted, atol=0.08)
    by_pattern = ks.sparsify(model, 0.5, allocation={"hidden_0": 0.9, "hidden_*": 0.75})
    assert [layer.sparsity for layer in by_pattern.layers] == [0.9, 0.75, 0.5]
    only = ks.sparsify(model, None, allocation={"hidden_1": 0.75})
    assert [type(layer).__name__ for layer in only.layers] == ["Dense", "MaskedDense", "Dense"]


class Pair(keras.Model):
    """Subclassed, with a configuration that does not show its layers."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(units, activation="relu")
        self.rest = [layers.Dense(units), layers.Dense(3)]
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def call(self, x):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return x


def test_subclassed():
    model = Pair(16)
    x = np.random.default_rng(0).normal(size=(4, 10)).astype("float32")
    model(x)
    sparse = ks.sparsify(model, 0.6, seed=0)
    assert type(sparse) is Pair
    assert [type(layer).__name__ for layer in (sparse.first, *sparse.rest)] == ["MaskedDense"] * 3
    assert ks.analysis.is_path_connected(sparse)
    expected = np.maximum(x @ (numpy(model.first.kernel) * sparse.first.mask), 0)
    for old, new in zip(model.rest, sparse.rest, strict=True):
        expected = expected @ (numpy(old.kernel) * new.mask)
    np.testing.assert_allclose(numpy(sparse(x)), expected, rtol=1e-4, atol=1e-5)
    assert [layer.name for layer in sparse._flatten_layers()][1:] == [x.name for x in model._flatten_layers()][1:]


class Forgetful(Pair):
    def get_config(self):
        return {"name": self.name}


def test_subclassed_with_half_a_configuration():
    model = Forgetful(16)
    model(np.ones((2, 10)))
    with pytest.raises(ValueError, match=r"which came back different in .* Give its class a `get_config`"):
        ks.sparsify(model, 0.6, exclude="first")


def test_subclassed_weights_go_into_a_model_sparsified_alike(tmp_path):
    model = Pair(16)
    x = np.ones((2, 10), "float32")
    model(x)
    one, other = ks.sparsify(model, 0.6, seed=0), ks.sparsify(model, 0.6, seed=1)
    one.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(numpy(one(x)), numpy(other(x)))


def nested():
    shared = layers.Dense(8, activation="relu", name="shared")
    inner_inputs = keras.Input((8,))
    inner = keras.Model(inner_inputs, layers.Dense(8, name="inner_dense")(inner_inputs), name="inner")
    stack = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="stacked"), layers.BatchNormalization()])
    inputs = keras.Input((8,))
    x = layers.Add()([inner(shared(shared(inputs))), stack(inputs)])
    return keras.Model(inputs, layers.Dense(4, name="top")(x))


def test_nested_models_and_shared_layers():
    model = nested()
    sparse = ks.sparsify(model, 0.7, seed=0)
    assert set(sparse_layers(sparse)) == {"shared", "inner_dense", "stacked", "top"}
    assert len(sparse.trainable_variables) == len(model.trainable_variables)
    assert len(sparse.get_layer("shared")._inbound_nodes) == 2
    assert ks.analysis.is_path_connected(sparse)
    full = ks.sparsify(model, None, allocation={"top": 0.01, "shared": 0.01}, topology="rotating", seed=0)
    x = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    np.testing.assert_allclose(numpy(full(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)  # ceil keeps all of 8


def shared_between_models():
    shared, inner_inputs, inputs = layers.Dense(8, name="shared"), keras.Input((8,)), keras.Input((8,))
    inner = keras.Model(inner_inputs, shared(inner_inputs), name="inner")
    return keras.Model(inputs, inner(shared(inputs)), name="outer")


def test_save_and_load_and_train(tmp_path):
    sparse = ks.sparsify(ks.applications.ResNet(20, 4, input_shape=(16, 16, 3)), 0.8, exclude="last", seed=0)
    sparse.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32")
    sparse.fit(x, np.arange(8), verbose=0)
    sparse.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(numpy(again(x)), numpy(sparse(x)))
    for name, layer in sparse_layers(sparse).items():
        np.testing.assert_array_equal(sparse_layers(again)[name].mask, layer.mask)
        assert (layer.dense_kernel()[..., ~layer.mask] == 0).all()


def test_what_is_left_alone():
    inputs = keras.Input((8, 8, 4))
    x = layers.DepthwiseConv2D(3)(inputs)
    x = layers.Conv2D(8, 1, groups=2, name="grouped")(x)
    x = layers.Conv2D(8, 1, name="plain", kernel_regularizer="l2", dtype="float32")(x)
    sparse = ks.sparsify(keras.Model(inputs, x), 0.5)
    assert type(sparse.get_layer("grouped")) is layers.Conv2D
    assert type(sparse.get_layer("plain")) is SparseConv2D
    assert sparse.get_layer("plain").kernel_regularizer.get_config() == {"l2": pytest.approx(0.01)}


def unbuilt():
    return keras.Sequential([layers.Dense(3)])


def lora():
    model = perceptron()
    model.layers[0].enable_lora(2)
    return model


class Opaque(layers.Layer):
    """Cannot be followed on symbolic tensors."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, input_shape):
        if not self.inner.built:
            self.inner.build(input_shape)

    def call(self, x):
        return 1 / 0 if isinstance(x, keras.KerasTensor) else self.inner(x)

    def compute_output_spec(self, x):
        return self.inner.compute_output_spec(x)

    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


def opaque():
    return keras.Sequential([keras.Input((4,)), Opaque(layers.Dense(3, name="unseen")), layers.Dense(2, name="seen")])


def test_layers_out_of_sight_are_named_and_may_be_excluded():
    with pytest.raises(ValueError, match="Received: the layers unseen, which are never called, or inside"):
        ks.sparsify(opaque(), 0.5)
    sparse = ks.sparsify(opaque(), 0.5, exclude="unseen")
    assert set(sparse_layers(sparse)) == {"seen"}


def test_time_distributed():
    model = keras.Sequential(
        [keras.Input((7, 6)), layers.TimeDistributed(layers.Dense(5, name="each")), layers.LSTM(3)]
    )
    sparse = ks.sparsify(model, 0.5, seed=0)
    assert set(sparse_layers(sparse)) == {"each"}
    assert ks.analysis.is_path_connected(sparse)
    assert sparse(np.ones((2, 7, 6))).shape == (2, 3)


class Hiding(layers.Layer):
    """Makes a Dense layer that its configuration does not show."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(4, name="hidden")

    def build(self, input_shape):
        self.hidden.build(input_shape)

    def call(self, x):
        return self.hidden(x)


def hiding():
    return keras.Sequential([keras.Input((4,)), Hiding(), layers.Dense(2)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ks.sparsify(layers.Dense(3), 0.5), "`model` of sparsify must be a Keras model"),
        (lambda: ks.sparsify(unbuilt(), 0.5), "`model` of sparsify must be built"),
        (lambda: ks.sparsify(perceptron(), 1.0), "`sparsity` of sparsify must be a number in [0, 1)"),
        (lambda: ks.sparsify(perceptron(), 90), "Received: sparsity=90. It is the fraction of zeros"),
        (lambda: ks.sparsify(perceptron(), 0.5, topology="expandr"), "Did you mean 'expander'"),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation="erdos"), "`allocation` of sparsify must be one of"),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation={"conv": 0.5}), "These match no layer that can be sparse"),
        (lambda: ks.sparsify(perceptron(), 0.5, exclude="hiden_0"), "Did you mean 'hidden_0'?"),
        (lambda: ks.sparsify(perceptron(), 0.5, exclude="*"), "must have a Dense or Conv2D layer"),
        (lambda: ks.sparsify(perceptron(), 0.0), "must have a Dense or Conv2D layer"),
        (lambda: ks.sparsify(perceptron(), 0.5, seed=-1), "`seed` of sparsify must be an integer >= 0"),
        (lambda: ks.sparsify(perceptron(), 0.5, block_size=8), "a divisor of both fan_in=20 and fan_out=32"),
        (lambda: ks.sparsify(perceptron(), 0.5, topology=ks.topologies.Rotating(0.5)), "brings its own"),
        (lambda: ks.sparsify(shared_between_models(), 0.5), "Received: the layer 'shared' in inner, outer"),
        (lambda: ks.sparsify(lora(), 0.5), "must have no LoRA"),
        (lambda: ks.sparsify(perceptron(), 0.5, topology="from_masks"), "'random_rotating', 'rotating'. Received"),
        (lambda: ks.sparsify(perceptron(), 0.1, topology="radix_net"), 'or leave the layer dense. (layer "hidden_0")'),
        (
            lambda: ks.sparsify(perceptron(), 0.5, allocation={"top": 1.5}),
            "`allocation` of sparsify must be sparsities, numbers in [0, 1). Received: allocation={'top': 1.5}. "
            "The layer 'top' would have 1.5",
        ),
        (
            lambda: ks.sparsify(perceptron(), 0.5, allocation=lambda shapes, sparsity: [0.5, 0.5]),
            "must be a function that gives a list of 3 sparsities. Received: allocation=[0.5, 0.5]. One for each of "
            "the layers hidden_0, hidden_1, top",
        ),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation=lambda *_: None), "a list of 3 sparsities. Received"),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation=lambda *_: [0.5, -1, 0.5]), "'hidden_1' would have -1"),
        (
            lambda: ks.sparsify(perceptron(), None, topology=ks.topologies.Rotating(0.5), allocation={"top": 0.9}),
            "`allocation` of sparsify must be left out with a topology that is given",
        ),
        (lambda: ks.sparsify(perceptron(), 0.5, topology=[[1, 0], [0, 1]]), "None with a topology that is given"),
        (
            lambda: ks.sparsify(perceptron(), None, topology=[[1, 0], [0, 1]]),
            'a mask of that shape. (layer "hidden_0")',
        ),
        (lambda: ks.sparsify(partly_sparse(), 0.5, allocation={"hidden_0": 0.9}), "Sparse already: hidden_0; `strip`"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_no_message_offers_what_no_name_makes():
    with pytest.raises(ValueError, match="must be one of") as caught:
        ks.sparsify(perceptron(), 0.5, topology="random")
    assert "from_mask" not in str(caught.value)


def test_a_mask_brings_its_sparsity():
    mask = np.arange(20 * 32).reshape(20, 32) % 3 == 0
    sparse = ks.sparsify(perceptron(), None, topology=mask, exclude=["hidden_1", "top"], seed=0)
    np.testing.assert_array_equal(sparse.layers[0].mask, mask)


def partly_sparse():
    return ks.sparsify(perceptron(), None, allocation={"hidden_0": 0.9}, seed=0)


def test_what_is_sparse_stays_as_it_is():
    before = partly_sparse()
    after = ks.sparsify(before, 0.5, seed=1)
    np.testing.assert_array_equal(after.layers[0].mask, before.layers[0].mask)
    assert [layer.sparsity for layer in after.layers] == [0.9, 0.5, 0.5]


def test_a_hidden_layer_may_be_excluded():
    assert type(ks.sparsify(hiding(), 0.5, exclude="hidden").layers[-1]) is MaskedDense


def sequential(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])


@pytest.mark.parametrize(
    "make",
    [
        lambda: sequential((28, 28, 1), layers.Flatten(), layers.Dense(32), layers.Dense(3)),
        lambda: sequential((6, 8), layers.Permute((2, 1)), layers.Dense(12), layers.Dense(3)),
        lambda: sequential((5, 8), layers.Dense(8), layers.Flatten(), layers.Dense(3)),
        lambda: ks.applications.LeNet_300_100(),
        lambda: ks.applications.LeNet5(),
    ],
    ids=["one channel", "permuted", "positions", "lenet_300_100", "lenet5"],
)
def test_inputs_of_many_shapes(make):
    sparse = ks.sparsify(make(), 0.8, exclude="last", seed=0)
    assert ks.analysis.is_path_connected(sparse)
    assert all(layer.mask.any(axis=0).all() for layer in sparse_layers(sparse).values())


def test_channels_first_of_a_layer_alone():
    convolution = layers.Conv2D(8, 3, data_format="channels_first", name="conv")
    # Built, but never run: not every CPU convolves with channels first.
    inputs = keras.Input((3, 8, 8))
    pooled = layers.GlobalAveragePooling2D(data_format="channels_first")(convolution(inputs))
    sparse = ks.sparsify(keras.Model(inputs, layers.Dense(4)(pooled)), 0.5, seed=0)
    assert sparse.get_layer("conv").mask.shape == (3, 8)
    assert ks.analysis.is_path_connected(sparse)


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_a_topology_of_blocks_keeps_its_blocks(format):
    model = sequential((16,), layers.Dense(16), layers.Dense(32), layers.Dense(8))
    topology = ks.topologies.RandomFanIn(sparsity=0.75, block_size=4)
    for layer in ks.sparsify(model, None, topology=topology, format=format, seed=0).layers:
        blocks = layer.mask.reshape(layer.mask.shape[0] // 4, 4, -1, 4)
        assert np.array_equal(blocks.any(axis=(1, 3)), blocks.all(axis=(1, 3)))
