"""Early weights on the connections that training has found."""

import os
import warnings
from pathlib import Path

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.transforms.fresh_start import forget_training
from keras_sparse.transforms.rebuild import check_model, rebuild
from keras_sparse.transforms.strip import strip

WEIGHTS = ".weights.h5"


def rewind(model, to):
    """Puts the weights of a model back to where they once were; cut connections stay cut.

    The lottery ticket: train, prune, rewind, train again. Everything that is trained or averaged goes back (kernels,
    biases, batch statistics), the masks do not. The optimizer forgets what it has seen, and schedules start at step 0.

    Args:
        model: Built Keras model with sparse layers; it is changed.
        to: The weights: what `model.get_weights()` gave once, before its layers had masks or since; a file that was
            saved then (`.keras`, or `.weights.h5` if the model can be made again from its configuration); or such a
            model.

    Raises:
        ValueError: If these are not the weights of such a model.

    Reference:
        Frankle and Carbin, The lottery ticket hypothesis: finding sparse, trainable neural networks, 2019,
        https://arxiv.org/abs/1803.03635

    Example:
        >>> early = model.get_weights()
        >>> model.fit(images, labels, epochs=10, callbacks=[Prune(schedule)])
        >>> rewind(model, to=early)
        >>> model.fit(images, labels, epochs=10)
    """
    check_model(model, "rewind")
    compact = [layer.name for layer in sparse_layers(model) if layer.format == "compact"]
    if compact:
        raise checks.error(
            "model", "rewind", "one whose sparse layers are in the masked format", ", ".join(compact),
            "Rewind the masked model, and use `compact` afterwards.",
        )  # fmt: skip
    if isinstance(to, (str, os.PathLike)):
        is_weights = str(to).endswith(WEIGHTS)
        to = _model_with_weights(model, to) if is_weights else keras.saving.load_model(to, compile=False)
    targets = _trained(model)
    values = [keras.ops.convert_to_numpy(v) for v in _trained(to)] if isinstance(to, keras.Model) else list(to)
    trained = {id(variable) for variable in targets}
    before_watching = [v for v in model.weights if v.name != "movement"]  # which Prune may have added since
    for given in (model.weights, before_watching):
        if len(values) == len(given) != len(targets):
            values = [value for value, v in zip(values, given, strict=True) if id(v) in trained]
    shapes, wanted = [tuple(np.shape(v)) for v in values], [tuple(v.shape) for v in targets]
    if shapes != wanted:
        differing = [i for i, pair in enumerate(zip(shapes, wanted, strict=False)) if pair[0] != pair[1]]
        where = f", {targets[differing[0]].path} of shape {shapes[differing[0]]}" if differing else ""
        needed = f" ({wanted[differing[0]]})" if differing else ""
        raise ValueError(
            f"`to` of rewind must be the {len(targets)} weights of {model.name!r}, without or with masks{needed}. "
            f"Received: {len(values)} arrays{where}. Take them by model.get_weights() from this model."
        )
    for variable, value in zip(targets, values, strict=True):
        variable.assign(value)
    for layer in sparse_layers(model):
        layer.set_dense_kernel(layer.dense_kernel())  # without what is cut
    forget_training(model)


def _model_with_weights(model, path):
    """A model like this one that a file of weights fits: with its masks, or of stock layers, as it was before."""
    if not Path(path).expanduser().is_file():
        raise checks.error("to", "rewind", "weights, a model, or the file of one", str(path), "There is no such file.")
    for make in (lambda: rebuild(model, {}, "rewind"), lambda: strip(model)):
        twin = make()
        try:
            with warnings.catch_warnings():
                # Of layers in lists inside of lists Keras only says that they keep the weights of a new model.
                warnings.filterwarnings("error", message="Skipping nested container")
                twin.load_weights(path)
        except (ValueError, KeyError, UserWarning) as error:
            reason = next((line for line in str(error).splitlines()[1:] if line.strip()), str(error))
        else:
            return twin
    raise checks.error(
        "to", "rewind", f"weights that were saved from {model.name!r}, with all its masks or before it had any",
        str(path), f"Keras says: {reason} Load them into a model that they fit, and pass that model.",
    )  # fmt: skip


def _trained(model):
    """The weights of a model but for those that say which of them are connected."""
    frozen = {id(variable) for layer in sparse_layers(model) for variable in layer._frozen().values()}
    return [variable for variable in model.weights if id(variable) not in frozen]
