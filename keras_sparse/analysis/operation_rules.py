"""How the operations of `keras.ops` pass channels on.

A rule takes a `Call` and returns the `Channels` that come out, or None where it does not apply: the operation then
mixes, as do all that have no rule.
"""

import numpy as np

from keras_sparse.analysis.channel_graph import Channels, Merge, Mix

# Functions of one number, each channel by itself. As the activation of a layer they have the same names.
FUNCTIONS = (
    "Absolute", "Cast", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Expm1", "Floor", "Gelu", "HardShrink",
    "HardSigmoid", "HardSilu", "HardTanh", "Isfinite", "LeakyRelu", "Log", "Log1p", "LogSigmoid", "Mish", "Negative",
    "ReLU", "Reciprocal", "Relu", "Relu6", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Silu", "Sin", "SoftShrink",
    "Softplus", "Softsign", "SparsePlus", "SparseSigmoid", "Sqrt", "Square", "Squareplus", "StopGradient", "Tanh",
    "TanhShrink", "Threshold",
)  # fmt: skip
ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Power")


def mix(call):
    """Everything depends on everything."""
    given = [channels.ids.ravel() for channels in call.given]
    results = []
    for output in call.outputs:
        shape = tuple(output.shape)
        ids = call.graph.new_nodes([1] * (len(shape) - 2) + [shape[-1] or 1] if len(shape) > 1 else [])
        if given:
            call.graph.steps.append(Mix(np.unique(np.concatenate(given)), ids.ravel()))
        results.append(Channels(shape, ids))
    return results


def per_channel(call):
    """Each channel by itself; positions may be moved, added and left out."""
    ids, before, after = call.first.ids, call.first.shape[1:], call.shape[1:]
    if len(call.outputs) > 1:
        return None
    if all(size == 1 or old == new for size, old, new in zip(ids.shape, before, after, strict=True)):
        return Channels(call.shape, ids)
    return call.output(call.channel_ids()) if before[call.axis] == after[call.axis] else None


def elementwise(call):
    """A number of each tensor makes one of the result, with broadcasting."""
    rank = len(call.shape) - 1
    if len(call.given) == 1:
        return Channels(call.shape, call.first.ids) if len(call.first.shape) == len(call.shape) else None
    parts = [c.ids.reshape([1] * (rank - c.ids.ndim) + list(c.ids.shape)) for c in call.given]
    parts = np.broadcast_arrays(*parts)
    if all(np.array_equal(part, parts[0]) for part in parts):
        return Channels(call.shape, parts[0])
    ids = call.graph.new_nodes(parts[0].shape)
    for part in parts:
        call.graph.steps.append(Merge(part.ravel(), ids.ravel()))
    return Channels(call.shape, ids)


def concatenate(call):
    axis = call.operation.axis % len(call.shape) - 1
    if axis < 0:
        return None
    others = np.broadcast_shapes(*(c.ids.shape[:axis] + c.ids.shape[axis + 1 :] for c in call.given))
    parts = [np.broadcast_to(c.ids, (*others[:axis], c.shape[1:][axis] or 1, *others[axis:])) for c in call.given]
    return Channels(call.shape, np.concatenate(parts, axis=axis))


def stack(call):
    axis = call.operation.axis % len(call.shape) - 1
    if axis < 0:
        return None
    return Channels(call.shape, np.stack(np.broadcast_arrays(*(c.ids for c in call.given)), axis=axis))


def reshape(call):
    if None in call.first.shape[1:] or None in call.shape[1:]:
        return None
    return Channels(call.shape, alike(call.first.full().reshape(call.shape[1:])))


def transpose(call):
    axes = call.operation.axes
    if axes is None or axes[0] != 0:
        return None
    return Channels(call.shape, call.first.ids.transpose([axis - 1 for axis in axes[1:]]))


def reduce(call):
    """A mean, sum or extreme over some axes."""
    axes, rank = call.operation.axis, len(call.first.shape)
    if axes is None:
        return None
    axes = {axis % rank for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
    if 0 in axes:
        return None
    kept = [i - 1 for i in range(1, rank) if i not in axes]
    ids = call.first.ids.transpose(kept + [i - 1 for i in sorted(axes)])
    sizes = ids.shape[: len(kept)]
    parts = ids.reshape(*sizes, -1)
    result = parts[..., 0]
    if not (parts == parts[..., :1]).all():
        result = call.graph.new_nodes(sizes)
        for i in range(parts.shape[-1]):
            call.graph.steps.append(Merge(parts[..., i].ravel(), result.ravel()))
    if call.operation.keepdims:
        result = result.reshape([1 if i in axes else call.first.ids.shape[i - 1] for i in range(1, rank)])
    return Channels(call.shape, result)


def get_item(call):
    key = call.kwargs.get("key", call.args[1] if len(call.args) > 1 else None)
    key = key if isinstance(key, tuple) else (key,)
    if key[0] != slice(None) or None in call.first.shape[1:] or any(isinstance(k, Channels) for k in key):
        return None
    return Channels(call.shape, alike(call.first.full()[key[1:]]))


def alike(ids):
    """`ids` with length 1 along axes where nothing changes."""
    for axis in range(ids.ndim):
        one = ids.take([0], axis=axis)
        if ids.shape[axis] > 1 and (ids == one).all():
            ids = one
    return ids


# Of these a channel can be taken out without a change to the others.
SEPARABLE = {
    **dict.fromkeys(FUNCTIONS, per_channel),
    **dict.fromkeys(ARITHMETIC, elementwise),
    "Concatenate": concatenate,
}
OPERATIONS = {
    **SEPARABLE,
    **dict.fromkeys(("Softmax", "LogSoftmax", "MaxPool", "AveragePool", "Pad"), per_channel),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), reshape),
    **dict.fromkeys(("Mean", "Sum", "Max", "Min"), reduce),
    "Where": elementwise,
    "Stack": stack,
    "Transpose": transpose,
    "GetItem": get_item,
}
