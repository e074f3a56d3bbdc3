"""Which layers of a model are meant: by name, by pattern, by place."""

import difflib
import fnmatch

import keras
import numpy as np

from keras_sparse.analysis.channel_graph import Link, Merge

PLACES = ("first", "last")


def select(argument, chosen, graph, owner, others=()):
    """The layers that `chosen` names among those with a kernel.

    Args:
        argument: String, name of the argument, for an error.
        chosen: None, or one of these, or a list of them: a layer, its name, a pattern (`conv2_*`), "first" (what reads
            the model's inputs) or "last" (what makes its outputs).
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
        if isinstance(one, keras.layers.Layer):
            matching = {key: layer for key, layer in layers.items() if layer is one}
        elif one in PLACES:
            matching = _at(graph, one)
        else:
            matching = {key: layer for key, layer in layers.items() if fnmatch.fnmatchcase(layer.name, str(one))}
        if not matching:
            names = sorted({layer.name for layer in layers.values()})
            near = difflib.get_close_matches(str(one), names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"They are: {', '.join(names)}."
            raise ValueError(
                f"`{argument}` of {owner} must name layers with a kernel: by name, pattern, 'first' or 'last'. "
                f"Received: {argument}={one!r}, which matches none. {hint}"
            )
        selected.update(matching)
    return selected


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
