"""Multiply-adds of one call of a layer, for one example.

Counted is what multiplies weights or activations into sums: dense layers, convolutions, recurrences, attention.
Normalisation, activation, pooling and elementwise arithmetic are not, by the field's custom.
"""

import math

import keras
from keras import layers


def multiply_adds(call):
    """MACs of one `LayerCall` per example, or None for a layer with weights that no rule covers."""
    layer = call.layer
    for kinds, rule in RULES:
        if isinstance(layer, kinds):
            return rule(layer, call.inputs, call.output)
    kernel_like = any(weight.ndim > 1 for weight in layer._trainable_variables)
    return None if kernel_like else 0


def _positions(layer, shape):
    """Number of spatial positions in a shape without the batch axis."""
    return math.prod(shape[:-1] if layer.data_format == "channels_last" else shape[1:])


def _convolution(layer, inputs, output):
    return _positions(layer, output) * math.prod(layer.kernel.shape)


def _transposed_convolution(layer, inputs, output):
    # Every input position is multiplied into a window of the output.
    return _positions(layer, inputs) * math.prod(layer.kernel.shape)


def _separable_convolution(layer, inputs, output):
    weights = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return _positions(layer, output) * weights


def _dense(layer, inputs, output):
    return math.prod(output) * layer.kernel.shape[0]


def _einsum_dense(layer, inputs, output):
    # Letters shared by all three terms or summed away are each walked once: the product of all sizes.
    source, rest = layer.equation.replace(" ", "").split(",")
    kernel, target = rest.split("->")
    sizes = dict(zip(kernel, layer.kernel.shape, strict=True))
    inner = math.prod(sizes.values())
    # Positions: output axes that are not in the kernel (the batch axis is not in `output`).
    named = target.replace("...", "")
    if "..." not in target:
        shape = dict(zip(named[1:], output, strict=True))
        return inner * math.prod(size for letter, size in shape.items() if letter not in sizes)
    kept = math.prod(size for letter, size in sizes.items() if letter in named)
    return inner * math.prod(output) // kept


def _attention(layer, inputs, output):
    shapes = inputs if isinstance(inputs, list) else [inputs, inputs]
    queries, keys = math.prod(shapes[0][:-1]), math.prod(shapes[1][:-1])
    heads = layer.num_heads * (layer.key_dim + (layer.value_dim or layer.key_dim))
    projections = sum(
        math.prod(weight.shape) * (keys if name in ("key", "value") else queries)
        for name, weight in _projection_kernels(layer)
    )
    return projections + queries * keys * heads


def _projection_kernels(layer):
    return [
        (sublayer.name, sublayer.kernel)
        for sublayer in layer._flatten_layers(include_self=False)
        if isinstance(sublayer, layers.EinsumDense)
    ]


def _recurrent(layer, inputs, output):
    steps = inputs[0]
    kernels = [w for w in layer.trainable_weights + layer.non_trainable_weights if "kernel" in w.name]
    return steps * sum(math.prod(kernel.shape) for kernel in kernels)


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
    ((layers.SimpleRNN, layers.LSTM, layers.GRU), _recurrent),
    ((layers.Embedding, layers.BatchNormalization, layers.LayerNormalization), _none),
    ((keras.Model,), _none),
]
