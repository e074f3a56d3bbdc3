"""TensorFlow only: SavedModel, LiteRT and ONNX, read by the means of those who get them."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_sparse as ks
from keras_sparse.exports import ExportError, Litert, SavedModel

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes these files")
FORMATS = ["saved_model", "litert", "litert_sparse"]
HAS_ONNX = all(map(importlib.util.find_spec, ("onnx", "tf2onnx", "onnxruntime")))
X = np.random.default_rng(3).normal(size=(5, 8, 8, 2)).astype("float32")


def sparse_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2), name="image"),
            ks.layers.SparseConv2D(8, 3, sparsity=0.5, activation="relu", seed=0),
            layers.BatchNormalization(),
            layers.Flatten(),
            ks.layers.MaskedDense(60, sparsity=0.95, seed=1, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.layers[1].moving_mean.assign(np.linspace(-1, 1, 8))
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """`(model, report)`, of one export for all tests that only read."""
    model = sparse_model()
    formats = [*FORMATS, "onnx"] if HAS_ONNX else FORMATS
    return model, ks.export(model, tmp_path_factory.mktemp("exported"), formats)


def file_of(report, name):
    return next(file for file in report.files if file.format == name)


def test_all_files_are_equal_and_measured(exported):
    _, report = exported
    for file in report.files:
        assert file.is_equal
        assert file.difference < 1e-5
        assert file.size.bytes > 1.2 * file.size.zipped_bytes


def test_saved_model_predicts_the_same_and_holds_each_weight_once(exported):
    model, report = exported
    file = file_of(report, "saved_model")
    loaded = tf.saved_model.load(file.path)
    np.testing.assert_allclose(loaded.serve(X), model(X), rtol=1e-5, atol=1e-6)
    assert list(loaded.signatures["serving_default"].structured_input_signature[1]) == ["image"]
    shapes = tf.train.load_checkpoint(f"{file.path}/variables/variables").get_variable_to_shape_map()
    assert (
        sum(int(np.prod(shape)) for name, shape in shapes.items() if name[0] != "_" or shape)
        == ks.strip(model).count_params()
    )


@pytest.mark.filterwarnings("ignore:[\\s\\S]*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("name", ["litert", "litert_sparse"])
def test_litert_predicts_the_same(exported, name):
    model, report = exported
    runner = tf.lite.Interpreter(file_of(report, name).path).get_signature_runner("serving_default")
    np.testing.assert_allclose(runner(image=X)["output_0"], model(X), rtol=1e-5, atol=1e-6)


def test_litert_keeps_sparse_kernels_small_by_itself(exported):
    _, report = exported
    dense, sparse = (file_of(report, name).size.bytes for name in ("litert", "litert_sparse"))
    kernel = max(report.kernels, key=lambda kernel: kernel.dense_bytes)
    assert dense - sparse > 0.8 * (kernel.dense_bytes - kernel.bytes)


def test_onnx_predicts_the_same(exported):
    if not HAS_ONNX:
        pytest.skip("onnx, tf2onnx and onnxruntime are optional")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, report = exported
    session = onnxruntime.InferenceSession(file_of(report, "onnx").path)
    np.testing.assert_allclose(session.run(None, {"image": X})[0], model(X), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_several_inputs_and_outputs_of_any_name(tmp_path):
    a, b = keras.Input((3,), name="a b"), keras.Input((3,), name="a.b")
    outputs = {f"o{i}": layers.Dense(2)(layers.Subtract()([a, b])) for i in range(3)}
    model = keras.Model({"second": b, "first": a}, outputs)
    report = ks.export(model, tmp_path, ["saved_model", "litert"])
    assert all(file.is_equal for file in report.files)
    many = keras.Model([a, b], [layers.Dense(1)(layers.Subtract()([a, b])) for _ in range(12)])
    assert ks.export(many, tmp_path, "litert").files[0].is_equal  # output_10 comes after output_9


def test_images_of_any_size(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, None, 2)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    report = ks.export(model, tmp_path, ["saved_model", "litert"], batch=X)
    larger = np.ones((1, 20, 11, 2), "float32")
    loaded = tf.saved_model.load(report.files[0].path)
    np.testing.assert_allclose(loaded.serve(larger), model(larger), atol=1e-5)


def test_a_subclassed_model(tmp_path):
    class Twin(keras.Model):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.dense = layers.Dense(2)

        def call(self, inputs):
            return self.dense(inputs["u"]) - self.dense(inputs["v"])

    model = Twin()
    batch = {"u": X[:, 0, 0], "v": X[:, 1, 0]}
    model(batch)
    report = ks.export(model, tmp_path, ["keras", "saved_model", "litert"], batch)
    assert all(file.is_equal for file in report.files)


def test_tables_of_words_are_in_the_saved_model(tmp_path):
    model = keras.Sequential(
        [keras.Input((1,), dtype="int32"), layers.IntegerLookup(vocabulary=[1, 2, 5]), layers.Embedding(4, 3)]
    )
    ks.export(model, tmp_path, "saved_model", batch=np.array([[5], [1], [7]]))
    # In LiteRT they need an interpreter that is not at hand: not equal means not exported.
    with pytest.raises(ExportError, match="litert FAILED"):
        ks.export(model, tmp_path, "litert")
    assert not (tmp_path / "model.tflite").exists()


@pytest.mark.parametrize("kind", [SavedModel, Litert])
def test_a_wrong_file_is_caught(kind, tmp_path, monkeypatch):
    write = kind.write

    def wrong(self, model, path, batch):
        model.layers[-1].kernel.assign(model.layers[-1].kernel * 1.01)
        write(self, model, path, batch)

    monkeypatch.setattr(kind, "write", wrong)
    (name,) = [name for name in FORMATS if ks.exports.FORMATS.lookup(name, "test") is kind]
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ExportError, match=f"Received: {name} WRONG"):
        ks.export(model, tmp_path, name)
    assert [path.name for path in tmp_path.iterdir()] == [f"{kind.file_name}.wrong"]
    monkeypatch.undo()
    ks.export(model, tmp_path, name)
    assert [path.name for path in tmp_path.iterdir()] == [kind.file_name]


@pytest.mark.parametrize("sparsity", [0.9, 0.95])
def test_zipped_files_are_near_the_sparse_encoding(sparsity, tmp_path):
    """A pruned LeNet-300-100, zipped: within 10% of its connections x 4 bytes + index."""
    sparse_layers = ["hidden1", "hidden2", "predictions"]
    model = ks.applications.LeNet_300_100(sparsity=sparsity, topology="random_edge", sparse_layers=sparse_layers)
    report = ks.export(model, tmp_path, ["keras", "litert", "litert_sparse"])
    index_of_two_bytes = 4 * report.connections + 2 * report.connections + 2 * 410 + report.other_bytes
    for file in report.files:
        assert file.size.zipped_bytes < 1.1 * index_of_two_bytes
        assert file.size.zipped_bytes < 1.2 * report.encoded_bytes  # which takes one byte
    assert file_of(report, "litert_sparse").size.zipped_bytes < 1.1 * report.encoded_bytes
    assert file_of(report, "litert").size.bytes > 4 * file_of(report, "litert_sparse").size.bytes
