"""Channels that nothing reaches are constants; what they add to their readers can move into biases."""

import keras
import numpy as np
from keras import ops

from keras_sparse.analysis.layer_calls import input_specs
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.transforms.rebuild import dense_kernel


def constant_inputs(model, graph, dead, input_shape=None):
    """What the kernels of a model read from channels that nothing reaches, seen in one pass of a random example.

    Args:
        model: Keras model.
        graph: Its `ChannelGraph`.
        dead: Boolean array over nodes: those that nothing reaches.
        input_shape: As in `profile`.

    Returns:
        Dictionary from a link to an array with the value of each of its inputs: NaN where it is no constant, or where
        padding would make it differ at the border.
    """
    if not dead.any():
        return {link: np.full(len(link.inputs), np.nan) for link in graph.links}
    rng = np.random.default_rng(0)
    specs = input_specs(model, input_shape)
    example = keras.tree.map_structure(lambda s: rng.normal(size=(1, *s.shape[1:])).astype(s.dtype), specs)
    seen = _inputs_seen(model, graph, example)
    values = {}
    for link in graph.links:
        axis = 0 if getattr(link.layer, "data_format", None) == "channels_first" else -1
        if not link.is_sliceable:
            values[link] = np.full(len(link.inputs), np.nan)
            continue
        positions = np.moveaxis(seen[link], axis, -1).reshape(-1, len(link.inputs))
        value = np.where((positions == positions[:1]).all(axis=0) & dead[link.inputs], positions[0], np.nan)
        if not _ignores_borders(link.layer):
            value = np.where(value == 0, value, np.nan)
        alone = sum(other.layer is link.layer for other in graph.links) == 1
        values[link] = value if alone else np.full(len(value), np.nan)
    return values


def foldable(graph, dead, constants):
    """Boolean array over nodes: those of `dead` that are constants to each of their readers."""
    fold = dead.copy()
    for link in graph.links:
        fold[link.inputs[np.isnan(constants[link])]] = False
    return fold


def folded_biases(graph, keep, constants):
    """What the biases of layers gain by the channels that go: dictionary from `id` to an array `(fan_out,)`."""
    gains = {}
    for link in graph.links:
        gone = ~keep[link.inputs] & ~np.isnan(constants[link])
        if not gone.any():
            continue
        kernel = dense_kernel(link.layer).astype("float64")
        summed = kernel.reshape(-1, *kernel.shape[-2:]).sum(axis=0)
        gain = constants[link][gone] @ summed[gone]
        if gain.any():
            gains[id(link.layer)] = gain
    return gains


def _inputs_seen(model, graph, example):
    """The input of each link, without the batch axis."""
    waiting, seen = {}, {}
    for link in graph.links:
        waiting.setdefault(id(link.layer), []).append(link)

    def noting(layer, call):
        links = iter(waiting[id(layer)])

        def run(inputs, *args, **kwargs):
            link = next(links, None)
            if link is not None:  # a wrapper may call it more often
                seen[link] = ops.convert_to_numpy(inputs)[0]
            return call(inputs, *args, **kwargs)

        return run

    layers = {id(link.layer): link.layer for link in graph.links}
    try:
        for layer in layers.values():
            vars(layer)["call"] = noting(layer, layer.call)  # behind the back of Keras's attribute tracking
        model(example)
    finally:
        for layer in layers.values():
            vars(layer).pop("call", None)
    return seen


def _ignores_borders(layer):
    """Whether a constant input makes a constant output."""
    if isinstance(layer, (keras.layers.Dense, SparseKernel)) and not hasattr(layer, "padding"):
        return True
    return getattr(layer, "padding", "same") == "valid" or set(layer.kernel_size) == {1}
