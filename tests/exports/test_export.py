"""Files that predict what the model predicts, and an error where they do not."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.exports import FORMATS, Batch, ExportError, Keras, KerasZipped
from keras_sparse.exports.written_file import check_place
from tensors import numpy

X = np.random.default_rng(3).normal(size=(5, 8, 8, 2)).astype("float32")


def sparse_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2), name="image"),
            ks.layers.SparseConv2D(8, 3, sparsity=0.5, activation="relu", seed=0),
            layers.BatchNormalization(),
            layers.Flatten(),
            ks.layers.MaskedDense(40, sparsity=0.95, seed=1),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.layers[1].moving_mean.assign(np.linspace(-1, 1, 8))
    return model


def test_keras_files_of_any_backend(tmp_path):
    model = sparse_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, np.arange(5) % 3, verbose=0)
    masks = [layer.mask for layer in model.layers if hasattr(layer, "mask")]
    report = ks.export(model, tmp_path, ["keras", "keras_zipped"])
    stored, zipped = report.files
    for file in report.files:
        again = keras.saving.load_model(file.path)
        assert {type(layer) for layer in again.layers} <= {
            layers.Conv2D, layers.BatchNormalization, layers.Flatten, layers.Dense,
        }  # fmt: skip
        assert not again.compiled
        np.testing.assert_allclose(numpy(again(X)), numpy(model(X)), rtol=1e-5, atol=1e-6)
        assert file.is_equal
    assert stored.size.bytes == (tmp_path / "model.keras").stat().st_size
    assert zipped.size.bytes < 1.05 * stored.size.zipped_bytes < 0.8 * stored.size.bytes
    assert report.given.bytes > 2 * stored.size.bytes  # two slots for each weight, and masks
    assert report.given_name == "as given, with optimizer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras", "model_zipped.keras"]
    # The model is as it was.
    assert model.optimizer.built
    for mask, layer in zip(masks, (layer for layer in model.layers if hasattr(layer, "mask")), strict=True):
        np.testing.assert_array_equal(mask, layer.mask)


def test_the_table_and_its_figures(tmp_path):
    model = sparse_model()
    report = ks.export(model, tmp_path, "keras")
    connected = sum(np.count_nonzero(layer.dense_kernel()) for layer in model.layers if hasattr(layer, "mask"))
    assert report.connections == connected + 40 * 3
    assert report.dense_bytes == 4 * ks.strip(model).count_params()
    others = 4 * (8 + 4 * 8 + 40 + 3)  # biases, and four vectors of BatchNormalization
    assert report.other_bytes == others
    assert report.encoded_bytes == others + sum(kernel.bytes for kernel in report.kernels) < report.dense_bytes
    text = str(report)
    assert max(map(len, text.splitlines())) <= 100
    for words in ("as given", "model.keras", "weights, sparse encoding", f"{report.encoded_bytes:,}", "equal (",
                  "Zeros are stored like other numbers", "no prediction differs by more than 0.0001"):  # fmt: skip
        assert words in text
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["encoded_bytes"] == report.encoded_bytes
    assert plain["files"][0]["size"]["zipped_bytes"] == report.files[0].size.zipped_bytes


def test_channels_that_nothing_reads_show_in_the_shrunk_size(tmp_path):
    model = keras.Sequential([keras.Input((30,)), layers.Dense(200), layers.Dense(4)])
    assert ks.export(model, tmp_path, "keras").shrunk is None
    kernel = numpy(model.layers[1].kernel)
    kernel[20:] = 0
    model.layers[1].kernel.assign(kernel)
    report = ks.export(model, tmp_path, "keras")
    assert report.shrunk.bytes < 0.5 * report.files[0].size.bytes
    assert "shrunk.keras (not written)" in str(report)


@pytest.mark.parametrize("damage", ["other weight", "NaN", "not a file", "raises"])
def test_a_wrong_file_is_reported_and_renamed(damage, tmp_path, monkeypatch):
    def write(self, model, path, batch):
        if damage == "raises":
            raise RuntimeError("no such operation")
        if damage == "not a file":
            with open(path, "w") as file:
                file.write("nothing")
            return
        value = numpy(model.layers[-1].kernel).copy()
        value[0, 0] = np.nan if damage == "NaN" else value[0, 0] + 0.1
        right = value.copy()
        model.layers[-1].kernel.assign(value)
        model.save(path)
        model.layers[-1].kernel.assign(right)

    model = sparse_model()
    ks.export(model, tmp_path, "keras_zipped")
    monkeypatch.setattr(KerasZipped, "write", write)
    with pytest.raises(ExportError) as caught:
        ks.export(model, tmp_path, ["keras", "keras_zipped"])
    verdict = "WRONG" if damage in ("other weight", "NaN") else "FAILED"
    assert f"Received: keras_zipped {verdict}" in str(caught.value)
    right, wrong = caught.value.report.files
    assert right.is_equal
    assert not wrong.is_equal
    assert "Zeros are stored" in str(caught.value)  # the table all the same
    if damage == "raises":
        assert "no such operation" in wrong.failure
    names = {"model.keras"} | ({"model_zipped.keras.wrong"} if damage != "raises" else set())
    assert {path.name for path in tmp_path.iterdir()} == names  # and nothing is left of the earlier export
    monkeypatch.undo()
    ks.export(model, tmp_path, "keras_zipped")
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "model_zipped.keras"}


def test_predictions_that_hardly_vary_say_little(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="relu")])
    assert "says little" not in str(ks.export(model, tmp_path, "keras"))
    model.layers[0].set_weights([np.zeros((3, 2)), np.ones(2)])
    assert "says little" in str(ks.export(model, tmp_path, "keras"))


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_batches_are_drawn_by_type_and_the_same_each_time():
    a, b = keras.Input((3,), name="a b"), keras.Input((4,), dtype="int32", name="a.b")
    joined = layers.Concatenate()([a, layers.Flatten()(layers.Embedding(2, 2)(b))])
    model = keras.Model({"x": a, "y": b}, layers.Dense(2)(joined))
    one, other = Batch.of(model), Batch.of(model)
    np.testing.assert_array_equal(one.values["x"], other.values["x"])
    assert one.values["x"].shape == (16, 3)
    assert set(one.values["y"].ravel()) == {0, 1}
    assert [(name, value.dtype) for name, value in one.named.items()] == [("input_0", "float32"), ("input_1", "int32")]
    given = Batch.of(model, {"x": np.array([[1, 2, 3]]), "y": np.ones((1, 4))})
    assert [value.dtype for value in given.named.values()] == ["float32", "int32"]
    fixed = keras.Sequential([keras.Input((6,), batch_size=2), layers.Dense(2)])
    assert Batch.of(fixed).values.shape == (2, 6)


def test_own_classes_are_named(tmp_path):
    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), Twice()])
    assert "Files of Keras load only where these classes are imported: Twice" in str(
        ks.export(model, tmp_path, "keras")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": "savedmodel"}, "`formats` of export must be one of 'keras', 'keras_zipped', "),
        ({"formats": "savedmodel"}, "Received: formats='savedmodel'. Did you mean 'saved_model'"),
        ({"formats": ()}, "one or more names, each once"),
        ({"formats": ("keras", "keras")}, "one or more names, each once"),
        ({"batch": {"a": X, "b": X}}, "in the structure of the model's inputs"),
        ({"batch": X[:0]}, "at least one example"),
        ({"batch": X * np.nan}, "must give finite predictions"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=r"of export must") as caught:
        ks.export(sparse_model(), tmp_path / "out", **{"formats": "keras", **arguments})
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_sizes_that_are_not_known_need_a_batch(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), layers.GlobalAveragePooling1D(), layers.Dense(2)])
    with pytest.raises(ValueError, match="`batch` of export must be given"):
        ks.export(model, tmp_path, "keras")
    assert ks.export(model, tmp_path, "keras", batch=np.ones((2, 5, 3))).files[0].is_equal


def test_folders_of_others_are_left_alone(tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="no export has written"):
        check_place(tmp_path / "saved_model", FORMATS.lookup("saved_model", "test")())
    assert (tmp_path / "saved_model" / "thesis.tex").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="It is a file"):
        ks.export(sparse_model(), tmp_path / "file", "keras")


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("keras")])
def test_other_backends_say_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="must be 'keras' or 'keras_zipped' on the backend 'jax'") as caught:
        ks.export(sparse_model(), tmp_path / "out", ["keras", name])
    assert f"KERAS_BACKEND=tensorflow keras-sparse export model.keras --formats {name}" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_packages_that_are_missing_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(Keras, "packages", ("keras", "no_such_package"))
    with pytest.raises(ImportError, match="pip install keras no_such_package") as caught:
        ks.export(sparse_model(), tmp_path / "out", "keras")
    assert "where no_such_package cannot be imported" in str(caught.value)
