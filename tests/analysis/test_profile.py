import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse.analysis import profile
from keras_sparse.applications import DenseNet121, ResNet, SparseNet


def sequential(shape, *stack):
    return keras.Sequential([keras.Input(shape), *stack])


@pytest.mark.parametrize(
    ("shape", "layer", "macs"),
    [
        ((5,), layers.Dense(7), 5 * 7),
        ((3, 5), layers.Dense(7), 3 * 5 * 7),
        ((8, 8, 3), layers.Conv2D(4, 3), 6 * 6 * 27 * 4),
        ((8, 8, 4), layers.Conv2D(6, 3, strides=2, padding="same", groups=2), 4 * 4 * 18 * 6),
        ((8, 8, 4), layers.Conv2D(6, 3, dilation_rate=2), 4 * 4 * 36 * 6),
        ((8, 8, 4), layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 6 * 9 * 4 * 2),
        ((8, 8, 4), layers.SeparableConv2D(5, 3), 6 * 6 * (9 * 4 + 4 * 5)),
        ((8, 8, 4), layers.Conv2DTranspose(5, 3, strides=2), 8 * 8 * 9 * 4 * 5),
        ((10, 4), layers.Conv1D(3, 5, padding="causal"), 10 * 5 * 4 * 3),
        ((4, 4, 4, 2), layers.Conv3D(3, 2), 27 * 8 * 2 * 3),
        ((6, 5), layers.EinsumDense("abc,cd->abd", output_shape=(None, 7)), 6 * 5 * 7),
        ((6, 5), layers.EinsumDense("...c,cd->...d", output_shape=(7,)), 6 * 5 * 7),
        ((6, 8), layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4)), 6 * 8 * 2 * 4),
        ((6, 5), layers.SimpleRNN(4), 6 * (5 * 4 + 4 * 4)),
        ((6, 5), layers.LSTM(4), 6 * 4 * (5 * 4 + 4 * 4)),
        ((6, 5), layers.GRU(4), 6 * 3 * (5 * 4 + 4 * 4)),
        ((6, 5), layers.Bidirectional(layers.LSTM(4)), 2 * 6 * 4 * (5 * 4 + 4 * 4)),
        ((6, 5), layers.TimeDistributed(layers.Dense(3)), 6 * 5 * 3),
        ((8, 8, 3), layers.MaxPooling2D(2), 0),
        ((8, 8, 3), layers.BatchNormalization(), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_multiply_adds_by_pencil(shape, layer, macs):
    model = sequential(shape, layer)
    counted = profile(model)
    assert counted.macs == counted.dense_macs == macs
    assert counted.uncounted == []
    assert counted.stored_parameters == sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_attention():
    queries, values = keras.Input((6, 8)), keras.Input((10, 8))
    attention = layers.MultiHeadAttention(num_heads=2, key_dim=4)
    model = keras.Model([queries, values], attention(queries, values))
    width = 2 * 4
    projections = 8 * width * (6 + 10 + 10) + width * 8 * 6
    assert profile(model).macs == projections + 2 * 6 * 10 * width
    assert profile(model).stored_parameters == model.count_params()


def test_other_attentions():
    queries, values = keras.Input((6, 8)), keras.Input((10, 8))
    plain = keras.Model([queries, values], layers.Attention()([queries, values]))
    assert profile(plain).macs == 6 * 10 * (8 + 8)
    grouped = layers.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)
    counted = profile(keras.Model([queries, values], grouped(queries, values)))
    assert counted.macs == 8 * 16 * 6 + 2 * (8 * 8 * 10) + 16 * 8 * 6 + 2 * 6 * 10 * 16
    assert counted.uncounted == []


def test_several_inputs_and_their_shapes():
    inputs = {"a": keras.Input((None, 8)), "b": keras.Input((3,))}
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(layers.Dense(4)(inputs["a"])), inputs["b"]])
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert profile(model, {"a": (5, 8), "b": (3,)}).macs == 5 * 8 * 4 + 7 * 2
    with pytest.raises(ValueError, match="a list or dictionary of shapes"):
        profile(model)


def test_a_weight_that_two_layers_hold_counts_once_and_one_that_none_uses_counts_too():
    wrapped = sequential((5,), layers.SpectralNormalization(layers.Dense(2)))
    assert profile(wrapped).stored_parameters == 12

    class Forgetful(Subclassed):
        def __init__(self):
            super().__init__()
            self.unused = layers.Dense(3)
            self.unused.build((None, 7))

    model = Forgetful()
    model(np.ones((1, 3), "float32"))
    counted = profile(model)  # the shape that it was called with is known
    assert counted.stored_parameters == model.count_params()
    assert any("(not called)" in row.name for row in counted.rows)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: "model.keras", "`model` of profile must be a Keras model"),
        (lambda: keras.Sequential([layers.Dense(3)]), "`model` of profile must be built"),
    ],
)
def test_errors(model, message):
    with pytest.raises(ValueError, match=message):
        profile(model())


@pytest.mark.usefixtures("shapes_only")
def test_activation_memory_is_that_of_the_same_network_in_keras_applications():
    """Joins and activations inside our blocks count like the layers that they are there."""
    options = {"weights": None, "input_shape": (64, 64, 3)}
    ours = profile(DenseNet121(**options)).activation_bytes
    assert ours == profile(keras.applications.DenseNet121(**options)).activation_bytes


def test_a_layer_called_twice_computes_twice_and_stores_once():
    x = keras.Input((5,))
    shared = layers.Dense(5)
    counted = profile(keras.Model(x, shared(shared(x))))
    assert counted.macs == 2 * 25
    assert counted.stored_parameters == 30


def test_freezing_changes_nothing():
    model = sequential((8, 8, 3), layers.Conv2D(4, 3), layers.BatchNormalization())
    before = profile(model)
    model.trainable = False
    assert profile(model) == before
    assert (before.stored_parameters, before.statistics) == (27 * 4 + 4 + 8, 8)


def test_nested_models_and_names():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="deep")], name="inner")
    model = keras.Sequential([keras.Input((2,)), layers.Dense(4, name="first"), inner], name="outer")
    rows = {row.name: row for row in profile(model).rows}
    assert rows["inner/deep"].stored_parameters == 15
    assert rows["first"].output_shape == (4,)
    assert sum(row.stored_parameters for row in rows.values()) == model.count_params()


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(4)
        self.scale = self.add_weight(shape=(), name="scale")
        self.out = layers.Dense(2)

    def call(self, inputs):
        return self.out(self.scale * ops.relu(self.hidden(inputs)))


def test_subclassed_model():
    model = Subclassed()
    model(np.ones((1, 3), "float32"))
    counted = profile(model, input_shape=(3,))
    assert counted.macs == 3 * 4 + 4 * 2
    assert counted.stored_parameters == model.count_params()


class Mystery(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel)


def test_what_has_no_rule_is_said_to_be_uncounted():
    counted = profile(sequential((5,), Mystery(), layers.Dense(2)))
    assert counted.uncounted == ["Mystery"]
    assert counted.macs == 6
    assert "MACs not counted for: Mystery" in str(counted)


def test_unknown_sizes_need_an_input_shape():
    model = sequential((None, None, 3), layers.Conv2D(4, 3, padding="same"))
    with pytest.raises(ValueError, match=r"`input_shape` of profile.*\(None, None, 3\) in the model"):
        profile(model)
    assert profile(model, (8, 8, 3)).macs == 64 * 27 * 4


@pytest.mark.usefixtures("shapes_only")
@pytest.mark.parametrize(
    ("name", "shape", "parameters", "gmacs"),
    [
        # Parameters without statistics as Keras counts them; multiply-adds as the papers of the networks give them.
        ("MobileNetV2", (224, 224, 3), 3_504_872, 0.300),
        ("InceptionV3", (299, 299, 3), 23_817_352, 5.71),
        ("VGG16", (224, 224, 3), 138_357_544, 15.47),
        ("ResNet50V2", (224, 224, 3), 25_568_360, 3.49),
        ("EfficientNetB0", (224, 224, 3), 5_288_548, 0.39),
        ("NASNetMobile", (224, 224, 3), 5_289_978, 0.564),
        ("ConvNeXtTiny", (224, 224, 3), 28_589_128, 4.46),
    ],
)
def test_keras_applications(name, shape, parameters, gmacs):
    if name == "VGG16":  # its classifier alone takes half a gigabyte
        model = keras.applications.VGG16(weights=None, include_top=False, input_shape=shape)
        parameters, gmacs = 14_714_688, 15.35
    else:
        model = getattr(keras.applications, name)(weights=None, input_shape=shape)
    counted = profile(model)
    assert counted.stored_parameters == parameters
    assert counted.macs / 1e9 == pytest.approx(gmacs, rel=0.02)
    assert counted.uncounted == []


@pytest.mark.usefixtures("shapes_only")
def test_table_fits_100_columns_and_ends_in_the_totals():
    counted = profile(SparseNet(40, 12, bottleneck=True))
    lines = str(counted).splitlines()
    assert max(map(len, lines)) <= 100
    renamed = SparseNet(16, 4, name="n" * 150)
    assert max(map(len, str(profile(renamed)).splitlines())) <= 100
    assert any("conv3_block2_1_conv" in line for line in lines)
    assert f"parameters stored            {counted.stored_parameters:>16,}" in lines
    assert len([line for line in lines if "_conv " in line]) >= 18 * 2


@pytest.mark.usefixtures("shapes_only")
def test_profiling_leaves_no_trace():
    model = ResNet(20, 4)
    before = {id(layer): set(vars(layer)) for layer in model._flatten_layers()}
    profile(model)
    assert before == {id(layer): set(vars(layer)) for layer in model._flatten_layers()}


def test_activation_memory_follows_the_precision():
    def bytes_of(policy):
        return profile(sequential((8, 8, 3), layers.Conv2D(4, 3, dtype=policy))).activation_bytes

    assert bytes_of("float32") == 6 * 6 * 4 * 4
    assert bytes_of("mixed_float16") == 6 * 6 * 4 * 2
