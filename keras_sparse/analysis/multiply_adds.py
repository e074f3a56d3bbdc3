"""Multiply-adds of one call of a layer, for one example.

Counted is what multiplies weights or activations into sums: dense layers, convolutions, recurrences, attention.
Normalisation, activation, pooling and elementwise arithmetic are not, by the field's custom.
"""

import math

from keras import layers

from keras_sparse.analysis.layer_calls import layer_calls
from keras_sparse.layers.scale_shift import ScaleShift
from keras_sparse.layers.sparse_kernel import SparseKernel


def multiply_adds(call, dense=False):
    """MACs of one `LayerCall` per example, or None for a layer with weights that no rule covers.

    Args:
        call: `LayerCall`.
        dense: Boolean, whether sparse layers count as if all was connected.
    """
    layer = call.layer
    if isinstance(layer, SparseKernel):
        positions = _positions(layer, call.output) if layer.positions else math.prod(call.output[:-1])
        return positions * (layer.dense_weights if dense else layer.connected_weights)
    for kinds, rule in RULES:
        if isinstance(layer, kinds):
            return rule(layer, call.inputs, call.output)
    has_kernel = any(len(weight.shape) > 1 for weight in layer._trainable_variables)
    return None if has_kernel else 0


def _positions(layer, shape):
    """Number of spatial positions in a shape without the batch axis."""
    return math.prod(shape[:-1] if layer.data_format == "channels_last" else shape[1:])


def _convolution(layer, inputs, output):
    return _positions(layer, output) * math.prod(layer.kernel.shape)


def _transposed_convolution(layer, inputs, output):
    # Every input position is multiplied into a window of the output.
    return _positions(layer, inputs[0]) * math.prod(layer.kernel.shape)


def _separable_convolution(layer, inputs, output):
    weights = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return _positions(layer, output) * weights


def _dense(layer, inputs, output):
    return math.prod(output) * layer.kernel.shape[0]


def _einsum_dense(layer, inputs, output):
    # Each letter is walked once, whether it is shared, kept or summed away; "..." stands for leading axes.
    source, kernel = layer.equation.replace(" ", "").split("->")[0].split(",")
    letters = source.replace("...", "")[-len(inputs[0]) :]
    named = dict(zip(letters[::-1], inputs[0][::-1], strict=False))
    unnamed = math.prod(inputs[0][: len(inputs[0]) - len(named)])
    return unnamed * math.prod({**named, **dict(zip(kernel, layer.kernel.shape, strict=True))}.values())


def _projections(layer, inputs):
    queries, keys = math.prod(inputs[0][:-1]), math.prod(inputs[1][:-1])
    return sum(
        math.prod(sublayer.kernel.shape) * (keys if sublayer.name in ("key", "value") else queries)
        for sublayer in layer._flatten_layers(include_self=False)
        if isinstance(sublayer, layers.EinsumDense)
    )


def _attention(layer, inputs, output):
    queries, keys = math.prod(inputs[0][:-1]), math.prod(inputs[1][:-1])
    # Scores of all pairs, then the values weighted by them.
    return _projections(layer, inputs) + queries * keys * layer.num_heads * (layer.key_dim + layer.value_dim)


def _plain_attention(layer, inputs, output):
    queries, values = inputs[0], inputs[1]
    keys = inputs[2] if len(inputs) > 2 else values
    return queries[-2] * values[-2] * (keys[-1] + values[-1])


def _grouped_attention(layer, inputs, output):
    return _projections(layer, inputs) + 2 * inputs[0][-2] * inputs[1][-2] * layer.num_query_heads * layer.head_dim


def _recurrent(layer, inputs, output):
    variables = [v for sublayer in layer._flatten_layers() for v in sublayer._trainable_variables]
    kernels = [v.shape for v in variables if "kernel" in v.name]
    if any(len(kernel) > 2 for kernel in kernels):
        return None  # convolutional recurrence
    return inputs[0][0] * sum(map(math.prod, kernels))


def _time_distributed(layer, inputs, output):
    steps, shape = inputs[0][0], inputs[0][1:]
    calls = layer_calls(layer.layer, shape, opaque=OPAQUE)
    counts = [multiply_adds(call) for call in calls if not call.children]
    return None if None in counts else steps * sum(counts)


def _none(layer, inputs, output):
    return 0


# First match counts: subclasses before the classes they derive from.
RULES = [
    ((layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose), _transposed_convolution),
    ((layers.SeparableConv1D, layers.SeparableConv2D), _separable_convolution),
    (
        (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D),
        _convolution,
    ),
    (layers.Dense, _dense),
    (layers.EinsumDense, _einsum_dense),
    (layers.MultiHeadAttention, _attention),
    (layers.GroupQueryAttention, _grouped_attention),
    ((layers.Attention, layers.AdditiveAttention), _plain_attention),
    (layers.RNN, _recurrent),
    (layers.TimeDistributed, _time_distributed),
    ((layers.Embedding, layers.BatchNormalization, layers.LayerNormalization, ScaleShift), _none),
]

# Layers whose rule speaks for what they contain.
OPAQUE = (layers.MultiHeadAttention, layers.GroupQueryAttention, layers.RNN, layers.TimeDistributed)
