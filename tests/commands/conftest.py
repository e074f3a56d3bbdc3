"""A file that several commands read."""

import keras
import pytest

from keras_sparse.datasets import load


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """File of a model of stock layers that has learnt a little, and its accuracy on the test images."""
    keras.utils.set_random_seed(1)
    dataset = load("digits")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(dataset.image_shape),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(24, activation="relu", name="hidden"),
            layers.Dense(10, name="out"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    model.fit(
        dataset.train.training_batches(32, 2),
        steps_per_epoch=dataset.train.steps(32),
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    path = tmp_path_factory.mktemp("dense") / "dense.keras"
    model.save(path)
    return path, model.evaluate(dataset.test.batches(256), verbose=0)[1]
