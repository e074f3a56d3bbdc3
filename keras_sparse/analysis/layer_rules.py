"""How the layers of Keras pass channels on: rules like those of `operation_rules`.

A layer without a rule is traced: its `call` runs on symbolic tensors, and the operations in it have rules of their own.
"""

import dataclasses

import keras
import numpy as np

from keras_sparse.analysis.channel_graph import Channels, Link
from keras_sparse.analysis.operation_rules import alike, concatenate, elementwise, mix, per_channel, reshape

PER_CHANNEL = (
    "Activation", "ActivityRegularization", "AlphaDropout", "BaseAdaptivePooling", "BasePooling", "BatchNormalization",
    "CenterCrop", "Cropping1D", "Cropping2D", "Cropping3D", "Dropout", "ELU", "GaussianDropout", "GaussianNoise",
    "Identity", "LeakyReLU", "Masking", "Normalization", "PReLU", "RandomCrop", "RandomFlip", "ReLU", "Rescaling",
    "Resizing", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
)  # fmt: skip
# These keep paths apart, channel by channel; but take a channel out, and the others change.
COUPLING = ("GroupNormalization", "LayerNormalization", "RMSNormalization", "Softmax", "UnitNormalization")
MIXING = (
    "Attention", "Dot", "EinsumDense", "Embedding", "GroupedQueryAttention", "MultiHeadAttention", "RNN",
)  # fmt: skip


def flatten(call):
    if call.axis == -1 or None in call.first.shape[1:]:
        return reshape(call)
    # Keras flattens with channels last, whatever came.
    return Channels(call.shape, alike(np.moveaxis(call.first.full(), 0, -1).reshape(-1)))


def permute(call):
    return Channels(call.shape, call.first.ids.transpose([axis - 1 for axis in call.operation.dims]))


def global_pooling(call):
    return call.output(call.channel_ids(), axis=call.axis if call.operation.keepdims else -1)


def link(call, outputs, fixed=None, is_sliceable=True):
    """A kernel: each of `outputs` new channels reads those that come in."""
    ids = call.graph.new_nodes(outputs)
    call.graph.steps.append(Link(call.operation, call.channel_ids(), ids, fixed, is_sliceable))
    return call.output(ids)


def dense(call):
    return link(call, call.operation.units)


def convolution(call):
    groups, filters = call.operation.groups, call.operation.filters
    if groups == 1:
        return link(call, filters)
    size = (call.first.shape[1:][call.axis] // groups, filters // groups)
    fixed = np.kron(np.eye(groups, dtype=bool), np.ones(size, dtype=bool))
    return link(call, filters, fixed, is_sliceable=False)


def uncut_convolution(call):
    """Its kernel is laid out in another way, and kept whole."""
    return link(call, call.operation.filters, is_sliceable=False)


def depthwise(call):
    return call.output(np.repeat(call.channel_ids(), call.operation.depth_multiplier))


def time_distributed(call):
    # A dense layer looks at the last axis, whatever stands before it; others are followed as far as that goes.
    if isinstance(call.operation.layer, keras.layers.Dense):
        return dense(dataclasses.replace(call, operation=call.operation.layer))
    return call.tracer.traced(call.operation, call.args, call.kwargs)


LAYERS = {
    **dict.fromkeys((*PER_CHANNEL, *COUPLING), per_channel),
    **dict.fromkeys(MIXING, mix),
    "Merge": elementwise,
    "Concatenate": concatenate,
    "BaseGlobalPooling": global_pooling,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "Dense": dense,
    "BaseConv": convolution,
    "BaseConvTranspose": uncut_convolution,
    "BaseSeparableConv": uncut_convolution,
    "BaseDepthwiseConv": depthwise,
    "TimeDistributed": time_distributed,
}
