"""Which layers of a model are meant: by name, by pattern, by place."""

import difflib
import fnmatch

import keras
import numpy as np

from keras_sparse.analysis.channel_graph import Link, Merge

PLACES = ("first", "last")


def select(argument, chosen, model, graph, owner, others=()):
    """The layers that `chosen` names among those with a kernel.

    Args:
        argument: String, name of the argument, for an error.
        chosen: None, or one of these, or a list of them: the name of a layer, a pattern (`conv2_*`), "first" (what
            reads the model's inputs), "last" (what makes its outputs); a layer or a class of layers, which stand for
            whatever has a kernel in them, be it nothing.
        model: Built Keras model.
        graph: `ChannelGraph` of the model; None if neither "first" nor "last" is among them.
        owner: String, the function that an error names.
        others: List of layers beside those of the graph.

    Returns:
        Dictionary from `id` to layer.

    Raises:
        ValueError: If something matches no layer.
    """
    chosen = [] if chosen is None else chosen if isinstance(chosen, (list, tuple, set)) else [chosen]
    linked = [] if graph is None else [link.layer for link in graph.links]
    layers = {id(layer): layer for layer in (*linked, *others)}
    selected = {}
    for one in chosen:
        if isinstance(one, (keras.layers.Layer, type)):
            holders = [x for x in model._flatten_layers(include_self=False) if x is one or _is_of(x, one)]
            inside = {id(layer) for holder in holders for layer in holder._flatten_layers()}
            matching = {key: layer for key, layer in layers.items() if key in inside}
            is_there = bool(holders)
        elif one in PLACES:
            matching = _at(graph, one)
            is_there = bool(matching)
        else:
            matching = {key: layer for key, layer in layers.items() if fnmatch.fnmatchcase(layer.name, str(one))}
            is_there = bool(matching)
        if not is_there:
            names = sorted({layer.name for layer in layers.values()})
            near = difflib.get_close_matches(str(one), names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"They are: {', '.join(names)}."
            raise ValueError(
                f"`{argument}` of {owner} must name layers with a kernel: by name, pattern, 'first' or 'last', class, "
                f"or the layer itself. Received: {argument}={one!r}, which matches none. {hint}"
            )
        selected.update(matching)
    return selected


def _is_of(layer, kind):
    return isinstance(kind, type) and isinstance(layer, kind)


def _at(graph, place):
    """Layers with no other kernel between them and the model's inputs ("first") or outputs ("last")."""
    touched = np.zeros(graph.nodes, dtype=bool)
    touched[graph.inputs if place == "first" else graph.outputs] = True
    for step in graph.steps if place == "first" else reversed(graph.steps):
        if isinstance(step, Merge):
            ends = (step.sources, step.targets) if place == "first" else (step.targets, step.sources)
            touched[ends[1][touched[ends[0]]]] = True
    return {
        id(step.layer): step.layer
        for step in graph.steps
        if isinstance(step, Link) and touched[step.inputs if place == "first" else step.outputs].any()
    }
