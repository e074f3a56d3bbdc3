"""Fewer filters everywhere: the depth multiplier."""

import functools
import math

import keras

from keras_sparse import checks
from keras_sparse.analysis.channel_graph import channel_graph
from keras_sparse.layers.two_forms import refuse_loops
from keras_sparse.transforms.rebuild import check_model, rebuild
from keras_sparse.transforms.scaled_channels import ScaledChannels
from keras_sparse.transforms.selection import select


def scale_width(model, multiplier, exclude="last", include_dense=None, divisor=None):
    """A new model in which each convolution has `multiplier` times as many filters, in whole ones; weights are fresh.

    The baseline that sparse connections are compared with. All layers stay, and their names. Where channels are read in
    groups (`Conv2D`, `GroupNormalization`), the layers that make them have a multiple of the groups; one group for each
    channel stays that. Models inside start with what arrives at them.

    Args:
        model: Built Keras model; it is left as it is.
        multiplier: Number in (0, 8], the alpha of the paper; parameters change with its square.
        exclude: Layers that keep their width: None, or one or a list of names, patterns, layers, classes of layers,
            "first", "last". What makes the outputs ("last") keeps its width in any case.
        include_dense: Boolean, whether dense layers before the last are scaled too, as they must be where they work
            between convolutions (ConvNeXt, gates); None for only if the model has no convolutions.
        divisor: Integer >= 1 or None. None rounds widths up to whole filters, as the paper writes; an integer rounds
            them down to a multiple of it, at least it. With 8, Inception-V3 has at every multiplier what Table 1 of
            the paper prints.

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
    refuse_loops(model, "scale_width")
    multiplier = checks.number("multiplier", multiplier, "scale_width", 1e-6, 8, hint="0.5 halves the filters.")
    if divisor is not None:
        divisor = checks.integer("divisor", divisor, "scale_width", 1, hint="8 gives multiples of 8; None rounds up.")
    graph = channel_graph(model)
    kept = select("exclude", exclude, model, graph, "scale_width") | _classifiers(model, graph)
    convolutions, dense = (
        [x for x in _outermost(model, name) if not any(id(inner) in kept for inner in x._flatten_layers())]
        for name in ("filters", "units")
    )
    left = [] if include_dense or (include_dense is None and not convolutions) else dense
    scaled = {id(layer): layer for layer in (*convolutions, *(layer for layer in dense if not left))}
    if not scaled:
        raise ValueError(
            f"`model` of scale_width must have layers to scale. Received: the model {model.name!r}, in which all "
            "convolutions are excluded or make the outputs. Exclude less, or pass include_dense=True."
        )
    for layer in scaled.values():
        given = [name for name in ("convolutions", "norms") if layer.get_config().get(name) is not None]
        if given:
            raise ValueError(
                f"`model` of scale_width must have units that make their own layers. Received: the model "
                f"{model.name!r}, in which {layer.name!r} holds others ({', '.join(given)}), whose widths are their "
                "own. Scale first, then sparsify or fold."
            )
    outermost = {id(inner): layer for layer in scaled.values() for inner in layer._flatten_layers()}
    new_width = functools.partial(_scaled, multiplier, divisor)
    channels = ScaledChannels(
        graph,
        lambda layer, width, multiple: new_width(width, multiple) if id(layer) in outermost else width,
    )
    changes = {}
    for layer in scaled.values():
        argument = "filters" if layer in convolutions else "units"
        value = layer.get_config()[argument]
        changes[id(layer)] = layer, {argument: new_width(value, channels.multiple(layer))}
    for layer in _outermost(model, "target_shape"):
        target = layer.get_config()["target_shape"]
        if -1 not in target:
            changes[id(layer)] = layer, {"target_shape": (*target[:-1], -1)}  # the last axis follows what arrives
    for layer, change in channels.followers():
        if outermost.get(id(layer), layer) is layer:
            changes[id(layer)] = layer, change
    replacements = {key: (type(layer), {**layer.get_config(), **change}) for key, (layer, change) in changes.items()}
    try:
        return rebuild(model, replacements, "scale_width", keep_shapes=False)
    except ValueError as error:
        if str(error).startswith("`model` of scale_width"):  # not of Keras
            raise
        cure = "Exclude the layers that belong to it, or take a multiplier that leaves whole numbers of filters."
        if left:
            names = ", ".join(repr(layer.name) for layer in left[:3]) + (", ..." if len(left) > 3 else "")
            cure = (
                f"Dense layers keep their width here ({names}): pass include_dense=True if they work between "
                "convolutions. Else exclude the layers that belong together."
            )
        raise ValueError(
            f"`model` of scale_width must take other widths. Received: the model {model.name!r}, of which Keras says: "
            f"{error} {cure}"
        ) from error


def _classifiers(model, graph):
    """What makes the outputs, if a kernel does."""
    try:
        return select("exclude", "last", model, graph, "scale_width")
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


def _scaled(multiplier, divisor, value, multiple):
    if isinstance(value, (list, tuple)):
        return tuple(_scaled(multiplier, divisor, one, multiple) for one in value)
    rounded, slack = math.ceil, -1e-9  # 0.3 * 10 is 3.0000000000000004 and means 3
    if divisor is not None:
        multiple, rounded, slack = math.lcm(multiple, divisor), math.floor, 1e-9
    return max(1, rounded(multiplier * value / multiple + slack)) * multiple
