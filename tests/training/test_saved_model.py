"""Runs that begin with a model from a file."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse.training import Recipe, run
from keras_sparse.training.saved_model import gives_probabilities, is_file, load_saved


def classifier(shape=(16, 16, 1), classes=10, activation="softmax"):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input(shape), layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(classes, activation)]
    )


@pytest.mark.parametrize(
    ("activation", "expected"), [("softmax", True), (None, False), ("sigmoid", False), ("relu", False)]
)
def test_probabilities_are_told_from_logits(activation, expected):
    assert gives_probabilities(classifier(activation=activation), (16, 16, 1)) is expected


def test_probabilities_in_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    assert gives_probabilities(classifier(), (16, 16, 1))


@pytest.mark.parametrize("activation", ["softmax", None])
def test_a_model_for_images_of_any_size(tmp_path, activation):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation),
        ]
    )
    model.save(tmp_path / "any.keras")
    recipe = Recipe(str(tmp_path / "any.keras"), epochs=1, examples=60, learning_rate=0.01)
    assert run(recipe, tmp_path / "run", verbose="none").parameters == model.count_params()


@pytest.mark.parametrize("activation", ["softmax", None])
def test_the_loss_is_that_of_the_model(tmp_path, activation):
    """A learning rate of zero: the run's loss is the saved model's cross-entropy."""
    from keras_sparse.datasets import load

    model = classifier(activation=activation)
    model.save(tmp_path / "model.keras")
    recipe = Recipe(
        str(tmp_path / "model.keras"), epochs=1, examples=60, learning_rate=0.0, weight_decay=0.0,
        prune={"sparsity": 0.0, "begin": 1, "once": True},
    )  # fmt: skip
    result = run(recipe, tmp_path / "run", verbose="none")
    outputs, losses = [], []
    for images, labels in load("digits", examples=60).test.batches(400):
        logits = np.asarray(model(images))
        shares = logits if activation else np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        outputs.append((shares.argmax(axis=1) == np.asarray(labels)).mean())
        losses.append(-np.log(shares[np.arange(len(shares)), np.asarray(labels)]).mean())
    assert result.test_loss == pytest.approx(losses[0], rel=1e-4)
    assert result.test_accuracy == pytest.approx(outputs[0])
    last = keras.saving.load_model(tmp_path / "run" / "last.keras")
    assert last.loss.from_logits is (activation is None)
    for one, other in zip(last.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_counts_as_a_file():
    assert is_file("model.keras")
    assert is_file("runs/first/best.keras")
    assert not is_file("mlp")
    assert not is_file("model.h5")


def test_wrong_files(tmp_path):
    with pytest.raises(ValueError, match=r"`model` of prune must be a saved Keras model.*nowhere\.keras.*no such file"):
        load_saved(tmp_path / "nowhere.keras", "prune")
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match=r"`model` of prune must be a saved Keras model.*text\.keras"):
        load_saved(tmp_path / "text.keras", "prune")
    whole = classifier()
    whole.save(tmp_path / "cut.keras")
    (tmp_path / "cut.keras").write_bytes((tmp_path / "cut.keras").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"`model` of prune must be a saved Keras model.*cut\.keras"):
        load_saved(tmp_path / "cut.keras", "prune")
    # A folder that is called like a file.
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ValueError, match=r"`model` of prune must be a saved Keras model.*folder\.keras"):
        load_saved(tmp_path / "folder.keras", "prune")


class Unknown(layers.Layer):
    def call(self, inputs):
        return inputs


def test_a_layer_that_is_not_registered_is_named(tmp_path):
    keras.Sequential([keras.Input((16, 16, 1)), Unknown(), layers.Flatten(), layers.Dense(10)]).save(
        tmp_path / "unknown.keras"
    )
    with pytest.raises(ValueError, match="whose layers are known") as caught:
        load_saved(tmp_path / "unknown.keras", "prune")
    assert "Unknown" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: classifier((28, 28, 1)), "It takes (28, 28, 1) and gives (10,)"),
        (lambda: classifier((16, 16, 3)), "It takes (16, 16, 3) and gives (10,)"),
        (lambda: classifier(classes=7), "It takes (16, 16, 1) and gives (7,)"),
        (lambda: keras.Sequential([keras.Input((256,)), layers.Dense(10)]), "It takes (256,) and gives (10,)"),
        (lambda: keras.Sequential([keras.Input((16, 16, 1)), layers.Dense(10)]), "gives (16, 16, 10)"),
    ],
)
def test_models_for_other_data(tmp_path, make, message):
    make().save(tmp_path / "model.keras")
    with pytest.raises(ValueError) as caught:
        load_saved(tmp_path / "model.keras", "Recipe", (16, 16, 1), 10)
    assert "`model` of Recipe must be one from images (16, 16, 1) to 10 classes" in str(caught.value)
    assert message in str(caught.value)
    assert "choose the data set that it was made for" in str(caught.value)


def test_several_inputs(tmp_path):
    inputs = [keras.Input((16, 16, 1)) for _ in range(2)]
    keras.Model(inputs, layers.Dense(10)(layers.Flatten()(layers.Add()(inputs)))).save(tmp_path / "two.keras")
    with pytest.raises(ValueError, match=r"must be one from images \(16, 16, 1\) to 10 classes"):
        load_saved(tmp_path / "two.keras", "Recipe", (16, 16, 1), 10)


@keras.saving.register_keras_serializable(package="test_saved_model")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.out = layers.Flatten(), layers.Dense(10, activation="softmax")

    def call(self, inputs):
        return self.out(self.flatten(inputs))


def test_a_subclassed_model(tmp_path):
    model = Subclassed()
    model(np.zeros((1, 16, 16, 1), "float32"))
    model.save(tmp_path / "subclassed.keras")
    recipe = Recipe(str(tmp_path / "subclassed.keras"), epochs=1, examples=60, prune={"sparsity": 0.5})
    result = run(recipe, tmp_path / "run", verbose="none")
    assert result.history[-1]["sparsity"] == 0.5
