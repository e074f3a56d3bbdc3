"""A smaller dense model: what nothing reads or nothing reaches is taken out."""

import keras
import numpy as np
from keras import ops

from keras_sparse.analysis.channel_graph import channel_graph
from keras_sparse.analysis.channel_ties import fixed_channels, tied_channels
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.layers.two_forms import refuse_loops
from keras_sparse.transforms.exchange import counterparts
from keras_sparse.transforms.fold_constants import constant_inputs, foldable, folded_biases
from keras_sparse.transforms.rebuild import check_model, dense_kernel, rebuild, transfer_kernel
from keras_sparse.transforms.strip import sparse_layers, stock_class, stock_config


def shrink(model, input_shape=None):
    """A new model of stock layers without the dead channels of the old one; predictions are the same.

    A channel goes if no filter reads it, or if nothing reaches it: it is then a constant, which moves into the biases
    of its readers (unless padding makes it differ at the border; then it stays). A channel of a sum goes only if it
    goes in all of its terms. Connections of sparse layers count by their masks, kernels of stock layers by what is not
    zero. Sparse layers become dense ones of the remaining size.

    Args:
        model: Built Keras model; it is left as it is.
        input_shape: Tuple without the batch axis, if the model's own has unknown sizes.

    Returns:
        A Keras model, not compiled.

    Raises:
        ValueError: If the model is not built, or cannot be made again from its configuration.

    Example:
        >>> small = shrink(pruned)
        >>> pruned.count_params(), small.count_params()
        (266610, 48212)
    """
    check_model(model, "shrink")
    refuse_loops(model, "shrink")
    sparse = {id(layer): layer for layer in sparse_layers(model, "shrink")}
    graph = channel_graph(model, input_shape)
    masks = {id(link.layer): _connected(link) for link in graph.links}
    reached, needed = graph.reached(masks), graph.needed(masks)
    dead = needed & ~reached
    constants = constant_inputs(model, graph, dead, input_shape)
    keep = _kept(graph, needed & ~foldable(graph, dead, constants))
    folded = folded_biases(graph, keep, constants)

    replacements, cuts = {}, {}
    for link in graph.links:
        if not link.is_sliceable:  # and kept whole
            continue
        layer, outputs = link.layer, keep[link.outputs]
        cuts[id(layer)] = (keep[link.inputs], outputs)
        argument = "units" if isinstance(layer, keras.layers.Dense) else "filters"
        is_sparse = id(layer) in sparse
        if is_sparse or not outputs.all() or (id(layer) in folded and not layer.use_bias):
            config = stock_config(layer) if is_sparse else layer.get_config()
            config[argument] = int(outputs.sum())
            config["use_bias"] = bool(layer.use_bias or id(layer) in folded)
            replacements[id(layer)] = (stock_class(layer) if is_sparse else type(layer), config)
    for key, layer in sparse.items():
        # Of full width still: in groups, or where channels are not followed. What a class makes, it makes as stock.
        if key not in replacements and not layer.is_saved_as_stock:
            replacements[key] = (stock_class(layer), stock_config(layer))
    per_channel = {}
    for layer, inputs, outputs in graph.calls:
        if id(layer) in cuts:
            continue
        kept = keep[outputs.ids]
        if isinstance(layer, keras.layers.Reshape) and not kept.all():
            target = [int(n) if kept.shape[i] == 1 else int(kept.sum()) for i, n in enumerate(outputs.shape[1:])]
            replacements[id(layer)] = (type(layer), {**layer.get_config(), "target_shape": target})
        if isinstance(layer, keras.layers.InputLayer) and not kept.all():  # of a model inside
            sizes = [n if kept.shape[i] == 1 else int(kept.sum()) for i, n in enumerate(outputs.shape[1:])]
            batch_shape = (outputs.shape[0], *sizes)
            replacements[id(layer)] = (type(layer), {**layer.get_config(), "batch_shape": batch_shape})
        per_channel[id(layer)] = (kept.ravel(), keep[inputs.ids].ravel())
    new = rebuild(model, replacements, "shrink", keep_shapes=False)
    for old, small in counterparts(model, new):
        if id(old) in cuts:
            _transfer_slice(old, small, *cuts[id(old)], folded.get(id(old)))
        elif id(old) in sparse:
            transfer_kernel(old, small)
        else:
            _transfer(old, small, per_channel.get(id(old), ()))
    return new


def _connected(link):
    if isinstance(link.layer, SparseKernel) or not link.is_sliceable:
        return link.mask()
    kernel = dense_kernel(link.layer)
    return (kernel != 0).reshape(-1, *kernel.shape[-2:]).any(axis=0)


def _kept(graph, keep):
    """The channels that stay: `keep`, and what cannot be taken out without them."""
    keep = keep | fixed_channels(graph)
    one, other = tied_channels(graph)
    while True:
        before = keep.copy()
        stays = keep[one] | keep[other]
        keep[one[stays]] = keep[other[stays]] = True
        for link in graph.links:
            if not keep[link.outputs].any():
                keep[link.outputs[0]] = True  # no layer without an output
        if np.array_equal(before, keep):
            return keep


def _transfer_slice(old, new, inputs, outputs, folded):
    new.kernel.assign(dense_kernel(old)[..., inputs, :][..., outputs])
    if new.use_bias:
        bias = ops.convert_to_numpy(old.bias) if old.use_bias else np.zeros(len(outputs))
        new.bias.assign((bias if folded is None else bias + folded)[outputs])


def _transfer(old, new, kept):
    """Copies the weights of a layer that works channel by channel, along whichever axis has the channels."""
    sources = [*old._trainable_variables, *old._non_trainable_variables, *(g.state for g in old._seed_generators)]
    targets = [*new._trainable_variables, *new._non_trainable_variables, *(g.state for g in new._seed_generators)]
    for source, target in zip(sources, targets, strict=True):
        value = ops.convert_to_numpy(source)
        for axis in range(value.ndim):
            if value.shape[axis] != target.shape[axis]:
                # A depthwise kernel has the channels that come in, all else those that go out.
                which = next(one for one in kept if len(one) == value.shape[axis])
                value = value.compress(which, axis=axis)
        target.assign(value)
