"""The papers' small networks: counts by pencil, and their sparse twins."""

import itertools
import math

import keras
import numpy as np
import pytest

from keras_sparse.applications import MLP, CifarNet, LeNet5, LeNet_300_100, MNIST_ConvNet, VGG16n
from keras_sparse.applications.sparse_twin import child_seed
from keras_sparse.layers import BatchNormalization, MaskedDense, SparseConv2D
from keras_sparse.topologies import Expander, FromMask, RadixNet

NETS = (CifarNet, LeNet5, LeNet_300_100, MLP, MNIST_ConvNet, VGG16n)
SMALL = {VGG16n: {"width": 0.05, "input_shape": (192, 192, 3)}}


def trained(model):
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def sparse_layers(model):
    return {layer.name: layer for layer in model.layers if isinstance(layer, (MaskedDense, SparseConv2D))}


def connections(model):
    return {name: layer.connections.count for name, layer in sparse_layers(model).items()}


# Dense: kernels and biases; networks with batch normalisation have two values a filter in the place of a bias.
VGG_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 1024)
PENCIL = {
    LeNet_300_100: (784 * 300 + 300) + (300 * 100 + 100) + (100 * 10 + 10),
    LeNet5: (25 * 20 + 20) + (25 * 20 * 50 + 50) + (4 * 4 * 50 * 500 + 500) + (500 * 10 + 10),
    MLP: (784 * 300 + 300) + (300 * 10 + 10),
    CifarNet: (25 * 3 * 64 + 2 * 64) + (25 * 64 * 64 + 2 * 64)
    + (8 * 8 * 64 * 384 + 384) + (384 * 192 + 192) + (192 * 10 + 10),
    MNIST_ConvNet: (25 * 32 + 2 * 32) + (25 * 32 * 64 + 2 * 64) + (49 * 64 * 512 + 2 * 512) + (512 * 10 + 10),
    VGG16n: sum(9 * i * o + 2 * o for i, o in itertools.pairwise(VGG_CHANNELS)) + 1024 * 1000 + 1000,
}  # fmt: skip


@pytest.mark.usefixtures("shapes_only")
@pytest.mark.parametrize("constructor", NETS, ids=lambda c: c.__name__)
def test_parameters_by_pencil(constructor):
    model = constructor()
    assert trained(model) == PENCIL[constructor]
    ours = {type(layer) for layer in model.layers if not type(layer).__module__.startswith("keras.")}
    assert ours <= {BatchNormalization}


@pytest.mark.usefixtures("shapes_only")
def test_published_counts():
    assert PENCIL[LeNet_300_100] == 266_610
    assert PENCIL[LeNet5] == 431_080
    vgg16 = keras.applications.VGG16(weights=None)
    assert vgg16.count_params() == 138_357_544
    assert vgg16.count_params() / PENCIL[VGG16n] == pytest.approx(7, abs=0.5)
    # Where both have a layer, it has the same name and filters.
    ours = {layer.name: layer.filters for layer in VGG16n().layers if isinstance(layer, keras.layers.Conv2D)}
    theirs = {layer.name: layer.filters for layer in vgg16.layers if isinstance(layer, keras.layers.Conv2D)}
    assert ours == {**theirs, "block6_conv1": 1024}


@pytest.mark.parametrize("hidden", [(100,), (300,), (500,), (500, 300)], ids=str)
def test_snn_networks(hidden):
    sizes = (784, *hidden, 10)
    model = MLP(hidden, sparsity=0.8, topology="rotating", seed=0)
    dense = {f"hidden{i + 1}": (sizes[i], sizes[i + 1]) for i in range(len(hidden))} | {"predictions": sizes[-2:]}
    # The last layer of the network with two hidden ones is fully connected.
    expected = {k: n * math.ceil(m / 5) for k, (n, m) in dense.items() if len(hidden) == 1 or k != "predictions"}
    assert connections(model) == expected


def test_connected_counts_of_convolutional_twins():
    """Each filter reads `ceil(0.1 * channels)`; fully connected layers, and a single input channel, stay dense."""
    assert connections(CifarNet(sparsity=0.9)) == {"conv1": 64 * 1, "conv2": 64 * 7}
    assert connections(MNIST_ConvNet(sparsity=0.9)) == {"conv2": 64 * 4, "conv3": 512 * 7}
    assert connections(MNIST_ConvNet(sparsity=0.9, input_shape=(28, 28, 3))).keys() == {"conv1", "conv2", "conv3"}
    assert connections(LeNet5(sparsity=0.9)) == {"conv2": 50 * 2, "hidden1": 500 * 80}
    assert list(connections(VGG16n(sparsity=0.9)).values()) == [
        o * math.ceil(i / 10) for i, o in itertools.pairwise(VGG_CHANNELS)
    ]


def test_radix_nets_of_the_paper():
    small = LeNet_300_100(topology=RadixNet.chain((10, 10), (8, 3, 1)))
    assert connections(small) == {"hidden1": 784 * 30, "hidden2": 300 * 10}
    large = MLP((3000, 100), "relu", topology=RadixNet.chain((10, 10), (8, 30, 1)))
    assert connections(large) == {"hidden1": 784 * 300, "hidden2": 3000 * 10}
    # The inputs that are cut off, 16 of 800, take their own paths with them and nobody else's.
    paths = np.linalg.multi_dot([layer.mask.astype(int) for layer in sparse_layers(small).values()])
    assert np.unique(paths).tolist() == [3]


def test_same_connections_while_neurons_grow():
    dense = {"hidden1": 784 * 300, "hidden2": 300 * 100}
    for width in (2, 10):
        model = LeNet_300_100(width=width, sparsity="same_connections", seed=0)
        assert [layer.units for layer in sparse_layers(model).values()] == [300 * width, 100 * width]
        # In-degrees are whole numbers, rounded up.
        assert connections(model) == {
            name: 100 * width * scale * math.ceil(count / (100 * width * scale))
            for (name, count), scale in zip(dense.items(), (3, 1), strict=True)
        }
        random = connections(LeNet_300_100(width=width, sparsity="same_connections", topology="random_edge", seed=0))
        for name, count in dense.items():
            assert random[name] == pytest.approx(count, abs=4 * math.sqrt(count))
    assert not sparse_layers(LeNet_300_100(sparsity="same_connections"))


def test_lenet5_100_times_larger():
    model = LeNet5(width=100, sparsity="same_connections", format="compact", seed=0)
    assert connections(model) == {"conv2": 5_000, "hidden1": 400_000}
    by_hand = (25 * 2000 + 2000) + (25 * 5_000 + 5000) + (400_000 + 50_000) + (50_000 * 10 + 10)
    assert trained(model) == by_hand
    random = LeNet5(width=100, sparsity="same_connections", topology="random_edge", format="compact", seed=0)
    assert connections(random)["conv2"] == pytest.approx(1_000, abs=130)
    assert connections(random)["hidden1"] == pytest.approx(400_000, abs=2_600)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"sparsity": 0.5}, {"conv2": 0.5, "hidden1": 0.5}),
        ({"sparsity": (0.5, 0.75)}, {"conv2": 0.5, "hidden1": 0.75}),
        ({"sparsity": (0, 0.75)}, {"hidden1": 0.75}),
        ({"sparsity": {"predictions": 0.5, "conv2": 0.75}}, {"conv2": 0.75, "predictions": 0.5}),
        ({"sparsity": 0.5, "sparse_layers": ["predictions"]}, {"predictions": 0.5}),
        ({"sparsity": (0.5, 0.75), "sparse_layers": ("hidden1", "conv2")}, {"conv2": 0.75, "hidden1": 0.5}),
        ({"topology": Expander(0.5, seed=0)}, {"conv2": 0.5, "hidden1": 0.5}),
        ({"topology": ["rotating", Expander(0.5, seed=0)], "sparsity": (0.8, 0)}, {"conv2": 0.8, "hidden1": 0.5}),
        ({"topology": [np.eye(20, 50, dtype=bool), "expander"], "sparsity": (0, 0.5)}, {"conv2": 0.98, "hidden1": 0.5}),
        ({"sparsity": 0.5, "block_size": 10}, {"conv2": 0.5, "hidden1": 0.5}),
    ],
    ids=str,
)
def test_which_layers_are_how_sparse(arguments, expected):
    model = LeNet5(**arguments, seed=1)
    assert {name: layer.connections.sparsity for name, layer in sparse_layers(model).items()} == pytest.approx(expected)
    assert {layer.block_size for layer in sparse_layers(model).values()} == {arguments.get("block_size", 1)}


@pytest.mark.parametrize("topology", ["random_fan_in", Expander(sparsity=0.5, seed=3)], ids=str)
def test_each_layer_has_a_seed_of_its_own(topology):
    arguments = {"hidden": (64, 64, 64), "sparsity": 0.5 if isinstance(topology, str) else 0.0, "topology": topology}
    one, again, other = (MLP(**arguments, input_shape=(64,), seed=seed) for seed in (1, 1, 2))
    masks = [[layer.mask for layer in sparse_layers(model).values()] for model in (one, again, other)]
    assert all(np.array_equal(*pair) for pair in zip(masks[0], masks[1], strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(masks[0], masks[2], strict=True))
    assert not np.array_equal(masks[0][0], masks[0][1])
    # Which layers are sparse does not change the seed of any.
    some = MLP(**arguments, input_shape=(64,), seed=1, sparse_layers=["hidden3"])
    assert np.array_equal(sparse_layers(some)["hidden3"].mask, masks[0][2])


def test_child_seeds_are_fixed():
    assert [child_seed(0, i) for i in range(3)] == [3757552657, 673228719, 3241444873]
    assert child_seed(None, 0) is None


def test_a_single_topology_keeps_its_own_seed_for_the_network():
    seeds = [layer.seed for layer in sparse_layers(LeNet5(topology=Expander(sparsity=0.5, seed=3))).values()]
    assert seeds == [child_seed(3, 1), child_seed(3, 2)]


def test_masks_are_taken_as_they_are():
    mask = np.random.default_rng(0).random((20, 50)) < 0.5
    model = LeNet5(topology=mask, sparse_layers=["conv2"])
    assert np.array_equal(sparse_layers(model)["conv2"].mask, mask)
    assert sparse_layers(model)["conv2"].topology == FromMask(mask, seed=sparse_layers(model)["conv2"].seed)


@pytest.mark.parametrize("format", ["masked", "compact"])
@pytest.mark.parametrize("constructor", NETS, ids=lambda c: c.__name__)
def test_one_training_step_of_the_sparse_twin(constructor, format):
    arguments = {**SMALL.get(constructor, {"width": 0.2}), "sparsity": 0.5, "format": format, "seed": 0}
    model = constructor(**arguments, classes=4)
    masks = {name: layer.mask for name, layer in sparse_layers(model).items()}
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype("float32")
    assert np.isfinite(model.train_on_batch(x, np.arange(4)))
    assert all(
        not np.array_equal(variable, old) for variable, old in zip(model.trainable_variables, before, strict=True)
    )
    for name, layer in sparse_layers(model).items():
        assert layer.format == format
        assert np.array_equal(layer.mask, masks[name])
        assert not layer.dense_kernel()[..., ~masks[name]].any()


@pytest.mark.parametrize("constructor", NETS, ids=lambda c: c.__name__)
def test_masked_and_compact_twins_are_the_same_function(constructor):
    arguments = {**SMALL.get(constructor, {"width": 0.2}), "sparsity": 0.5, "seed": 0}
    masked, compact = (constructor(**arguments, format=format, classes=4) for format in ("masked", "compact"))
    for one, other in zip(masked.layers, compact.layers, strict=True):
        if one.name in sparse_layers(masked):
            other.set_dense_kernel(one.dense_kernel())
            if one.use_bias:
                other.bias.assign(one.bias)
        else:
            other.set_weights(one.get_weights())
    x = np.random.default_rng(0).normal(size=(2, *masked.input_shape[1:])).astype("float32")
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(m(x)) for m in (masked, compact)), rtol=1e-4, atol=1e-6)


def test_a_sparse_twin_is_saved_with_its_connections(tmp_path):
    model = LeNet5(sparsity=0.9, topology="random_edge")
    model.save(tmp_path / "twin.keras")
    again = keras.saving.load_model(tmp_path / "twin.keras")
    for name, layer in sparse_layers(model).items():
        assert np.array_equal(sparse_layers(again)[name].mask, layer.mask)


def test_vectors_and_images_of_any_size():
    assert MLP(input_shape=(20,)).get_layer("hidden1").kernel.shape == (20, 300)
    assert LeNet_300_100(input_shape=(32, 32, 3)).get_layer("hidden1").kernel.shape == (3072, 300)
    assert MLP((7, 5), include_top=False).output.shape == (None, 5)
    assert LeNet5(input_shape=(32, 32, 3)).get_layer("hidden1").kernel.shape == (5 * 5 * 50, 500)
    assert MNIST_ConvNet(input_shape=(16, 16, 1)).get_layer("conv3").kernel.shape == (4, 4, 64, 512)
    assert LeNet5(input_shape=(None, None, 1), include_top=False, pooling="avg").output.shape == (None, 50)


def test_dropout():
    def dropouts(model):
        return {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)}

    assert not dropouts(MLP())
    model = MLP((500,), input_dropout=0.2, dropout=0.5, seed=0)
    assert {name: layer.rate for name, layer in dropouts(model).items()} == {
        "input_dropout": 0.2,
        "hidden1_dropout": 0.5,
    }
    assert len({layer.seed for layer in dropouts(model).values()}) == 2
    assert [layer.rate for layer in dropouts(CifarNet()).values()] == [0.5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1}, "`sparsity` of LeNet5 must be a number in [0, 1)"),
        ({"sparsity": "same"}, "`sparsity` of LeNet5 must be a number in [0, 1)"),
        ({"sparsity": (0.5,)}, "`sparsity` of LeNet5 must be one, or one for each sparse layer (conv2, hidden1)"),
        ({"sparsity": {"conv9": 0.5}}, "`sparsity` of LeNet5 must be of layer names among conv1, conv2, hidden1"),
        ({"sparsity": {"conv1": 0.5}, "sparse_layers": ["conv1"]}, "`sparse_layers` of LeNet5 must be None"),
        ({"sparse_layers": "conv1"}, "`sparse_layers` of LeNet5 must be of layer names among"),
        ({"sparsity": 0.5, "topology": ["rotating"] * 3}, "`topology` of LeNet5 must be one, or one for each"),
        ({"sparsity": 0.5, "topology": "fibonaci"}, "`topology` of MaskedDense"),
        ({"sparsity": 0.5, "topology": Expander(0.9, seed=0)}, "`sparsity` of SparseConv2D"),
        ({"topology": 3}, "`topology` of LeNet5 must be a name"),
        ({"width": 0}, "`width` of LeNet5 must be a number in [0.001, 1e+06]. Received: width=0"),
        ({"width": 0.5, "sparsity": "same_connections"}, "`width` of LeNet5 must be a number >= 1 with sparsity="),
        ({"format": "csr"}, "`format` of LeNet5 must be one of 'masked', 'compact'"),
        ({"block_size": 0}, "`block_size` of LeNet5 must be an integer >= 1"),
        ({"seed": -1}, "`seed` of LeNet5 must be an integer >= 0"),
        ({"input_shape": (None, None, 1)}, "`input_shape` of LeNet5 must be three numbers"),
        ({"input_shape": (15, 15, 1)}, "with height and width >= 16"),
    ],
    ids=str,
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as caught:
        LeNet5(**{"sparse_layers": ["hidden1"], **arguments} if "fibonaci" in str(arguments) else arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": ()}, "`hidden` of MLP must be a non-empty tuple"),
        ({"hidden": (3, 0)}, "`hidden` of MLP must be an integer >= 1. Received: hidden=0"),
        ({"input_dropout": 1}, "`input_dropout` of MLP must be a number in [0, 1)"),
        ({"dropout": -0.1}, "`dropout` of MLP must be a number in [0, 1)"),
        ({"include_top": False, "pooling": "avg"}, "`pooling` of MLP must be None, for a network without a feature"),
        ({"input_shape": (None, 4)}, "`input_shape` of MLP must be three numbers (height, width, channels)"),
        ({"input_shape": (None,)}, "or one number. Received: input_shape=(None,)"),
    ],
    ids=str,
)
def test_errors_of_flat_networks(arguments, message):
    with pytest.raises(ValueError) as caught:
        MLP(**arguments)
    assert message in str(caught.value)
