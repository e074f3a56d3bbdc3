"""Early weights on the connections that training has found."""

import os

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.transforms.fresh_start import forget_training
from keras_sparse.transforms.rebuild import check_model


def rewind(model, to):
    """Puts the weights of a model back to where they once were; cut connections stay cut.

    The lottery ticket: train, prune, rewind, train again. Everything that is trained or averaged goes back (kernels,
    biases, batch statistics), the masks do not. The optimizer forgets what it has seen, and schedules start at step 0.

    Args:
        model: Built Keras model with sparse layers; it is changed.
        to: The weights: what `model.get_weights()` gave once, before its layers had masks or since; the file of a
            model that was saved then (`.keras`); or such a model.

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
    if isinstance(to, (str, os.PathLike)):
        to = keras.saving.load_model(to, compile=False)
    compact = [layer.name for layer in sparse_layers(model) if layer.format == "compact"]
    if compact:
        raise checks.error(
            "model", "rewind", "one whose sparse layers are in the masked format", ", ".join(compact),
            "Rewind the masked model, and use `compact` afterwards.",
        )  # fmt: skip
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


def _trained(model):
    """The weights of a model but for those that say which of them are connected."""
    frozen = {id(variable) for layer in sparse_layers(model) for variable in layer._frozen().values()}
    return [variable for variable in model.weights if id(variable) not in frozen]
