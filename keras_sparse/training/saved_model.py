"""A run that begins with a model from a file."""

import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_sparse import checks

SUFFIX = ".keras"


def is_file(model):
    """Whether the model of a recipe is a file, instead of a registered name."""
    return str(model).endswith(SUFFIX)


def load_saved(path, owner, image_shape=None, classes=None):
    """A saved model, not compiled.

    Raises:
        ValueError: If there is no such file, its layers are unknown, or it does not read images of `image_shape` and
            tell apart `classes` of them.
    """
    if not Path(path).is_file():
        raise checks.error("model", owner, "a saved Keras model", str(path), "There is no such file.")
    try:
        model = keras.saving.load_model(path, compile=False)
    except (TypeError, KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # Keras begins with what it was about to do, and tells further down which class it does not know.
        reason = next((line.strip() for line in lines if "Could not locate" in line), lines[0])
        raise ValueError(
            f"`model` of {owner} must be a saved Keras model whose layers are known. Received: {path}: {reason}"
        ) from error
    if image_shape is not None:
        try:
            output = model.compute_output_spec(keras.KerasTensor((None, *image_shape)))
            found = (getattr(model, "input_shape", (None, *image_shape))[1:], tuple(output.shape)[1:])
        except (ValueError, TypeError, AttributeError):  # it takes something else
            found = tuple(tuple(getattr(model, name, None) or ())[1:] for name in ("input_shape", "output_shape"))
        fits = len(found[0]) == 3 and all(a in (None, b) for a, b in zip(found[0], image_shape, strict=True))
        if not fits or found[1] != (classes,):
            raise checks.error(
                "model", owner, f"one from images {tuple(image_shape)} to {classes} classes", str(path),
                f"It takes {found[0]} and gives {found[1]}: choose the data set that it was made for.",
            )  # fmt: skip
    return model


def gives_probabilities(model, image_shape=None):
    """Whether the outputs of a classifier are probabilities, or logits that may be anything.

    Args:
        model: Built Keras model.
        image_shape: Tuple, for a model that takes several sizes, or does not say which.
    """
    image_shape = model.input_shape[1:] if image_shape is None else image_shape
    images = np.random.default_rng(0).normal(size=(4, *image_shape)).astype("float32")
    outputs = keras.ops.convert_to_numpy(model(images, training=False)).astype("float32")
    return bool((outputs >= 0).all() and np.abs(outputs.sum(axis=-1) - 1).max() < 1e-2)
