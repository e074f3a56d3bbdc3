"""Fewer filters everywhere: the depth multiplier."""

import math

import keras

from keras_sparse import checks
from keras_sparse.analysis.channel_graph import channel_graph
from keras_sparse.transforms.rebuild import check_model, rebuild
from keras_sparse.transforms.selection import select


def scale_width(model, multiplier, exclude="last", include_dense=None):
    """A new model in which each convolution has `ceil(multiplier * filters)` filters; weights are fresh.

    The baseline that sparse connections are compared with. All layers stay, and their names.

    Args:
        model: Built Keras model; it is left as it is.
        multiplier: Number in (0, 8], the alpha of the paper; parameters change with its square.
        exclude: Layers that keep their width: None, or one or a list of names, patterns, layers, "first", "last". What
            makes the outputs ("last") keeps its width in any case.
        include_dense: Boolean, whether dense layers before the last are scaled too; None for only if the model has no
            convolutions.

    Returns:
        A Keras model, not compiled.

    Raises:
        ValueError: If an argument is out of range, nothing is left to scale, or a layer insists on the old widths.

    Reference:
        Howard et al., MobileNets: efficient convolutional neural networks for mobile vision applications, 2017,
        https://arxiv.org/abs/1704.04861
        Changpinyo et al., The power of sparsity in convolutional neural networks, 2017, section 3.1,
        https://arxiv.org/abs/1702.06257

    Example:
        >>> narrow = scale_width(keras.applications.InceptionV3(weights=None), 0.5)
        >>> keras_sparse.analysis.profile(narrow).stored_parameters      # of 23,817,352
        6471608
    """
    check_model(model, "scale_width")
    multiplier = checks.number("multiplier", multiplier, "scale_width", 1e-6, 8, hint="0.5 halves the filters.")
    graph = channel_graph(model)
    kept = select("exclude", exclude, graph, "scale_width") | _classifiers(graph)
    replacements = {}
    for argument in ("filters", "units"):
        if argument == "units" and not (include_dense or (include_dense is None and not replacements)):
            continue
        for layer in _outermost(model, argument):
            if not any(id(inner) in kept for inner in layer._flatten_layers()):
                config = layer.get_config()
                config[argument] = _scaled(config[argument], multiplier, config.get("groups", 1))
                replacements[id(layer)] = (type(layer), config)
    if not replacements:
        raise ValueError(
            f"`model` of scale_width must have layers to scale. Received: the model {model.name!r}, in which all "
            "convolutions are excluded or make the outputs. Exclude less, or pass include_dense=True."
        )
    for layer in _outermost(model, "target_shape"):
        target = layer.get_config()["target_shape"]
        if -1 not in target:
            # The last axis follows what arrives.
            replacements[id(layer)] = (type(layer), {**layer.get_config(), "target_shape": (*target[:-1], -1)})
    try:
        return rebuild(model, replacements, "scale_width", keep_shapes=False)
    except ValueError as error:
        raise ValueError(
            f"`model` of scale_width must take other widths. Received: the model {model.name!r}, of which Keras says: "
            f"{error} Exclude the layers that belong to it."
        ) from error


def _classifiers(graph):
    """What makes the outputs, if a kernel does."""
    try:
        return select("exclude", "last", graph, "scale_width")
    except ValueError:
        return {}


def _outermost(model, argument):
    """Layers with such an argument that are in no other layer with it."""
    found, inside = {}, set()
    for layer in model._flatten_layers(include_self=False):
        value = getattr(layer, argument, None)
        is_list_of_layers = isinstance(value, list) and any(isinstance(one, keras.layers.Layer) for one in value)
        if value is None or is_list_of_layers or id(layer) in inside or argument not in layer.get_config():
            continue
        found[id(layer)] = layer
        inside |= {id(inner) for inner in layer._flatten_layers()}
    return list(found.values())


def _scaled(value, multiplier, groups):
    if isinstance(value, (list, tuple)):
        return tuple(_scaled(one, multiplier, groups) for one in value)
    # 0.3 * 10 is 3.0000000000000004 and means 3.
    return max(1, math.ceil(multiplier * value / groups - 1e-9)) * groups
