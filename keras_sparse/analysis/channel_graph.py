"""Which channel of a model feeds which: the graph behind "no dead filters", `is_path_connected` and `shrink`.

A node is a channel of some tensor. Layers that work on each channel by itself (activation, normalisation, pooling,
concatenation, reshaping, ...) pass nodes on; sums and products make new nodes that depend on theirs; kernels make a
`Link`, whose connections may be looked at one by one; a layer that is not understood makes all of its outputs depend on
all of its inputs.
"""

import dataclasses

import keras
import numpy as np

from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.layers.two_forms import refuse_loops


@dataclasses.dataclass(eq=False)
class Channels:
    """The nodes of a tensor, as they pass through the model.

    Attributes:
        shape: Shape of the tensor, the unknown batch axis included.
        ids: Integer array of node numbers, one axis for each of the tensor's but the batch; an axis along which all is
            the same has length 1.
    """

    shape: tuple
    ids: np.ndarray

    def full(self):
        """`ids` at full length along all axes (without taking memory for it)."""
        return np.broadcast_to(self.ids, [known or 1 for known in self.shape[1:]])


@dataclasses.dataclass(eq=False)
class Link:
    """One call of a layer with a kernel.

    Attributes:
        layer: The layer.
        inputs: Integer array `(fan_in,)` of nodes.
        outputs: Integer array `(fan_out,)` of nodes.
        fixed: Boolean array `(fan_in, fan_out)` or None: the connections of a layer that leaves some out (groups).
        is_sliceable: Boolean, whether the kernel is `(..., fan_in, fan_out)`, so that channels can be cut out of it.
    """

    layer: keras.layers.Layer
    inputs: np.ndarray
    outputs: np.ndarray
    fixed: np.ndarray | None = None
    is_sliceable: bool = True

    def mask(self):
        """Boolean array `(fan_in, fan_out)` of the connections that exist."""
        if isinstance(self.layer, SparseKernel):
            mask = self.layer.mask
            mask = mask.reshape(-1, *mask.shape[-2:]).any(axis=0)  # a convolution's may tell positions apart
            if self.fixed is None:
                return mask
            return self.fixed & np.tile(mask, (self.fixed.shape[0] // mask.shape[0], 1))
        every = np.ones((len(self.inputs), len(self.outputs)), dtype=bool)
        return every if self.fixed is None else self.fixed


@dataclasses.dataclass(eq=False)
class Merge:
    """Nodes that depend on others, pair by pair: `targets[i]` on `sources[i]`.

    `aligned` tells that sources and targets are channels that cannot be taken out one without the other (a sum).
    """

    sources: np.ndarray
    targets: np.ndarray
    aligned: bool = True


@dataclasses.dataclass(eq=False)
class Mix:
    """Every target depends on every source."""

    sources: np.ndarray
    targets: np.ndarray


class ChannelGraph:
    """The graph of a built model.

    Attributes:
        nodes: Integer, number of nodes.
        steps: List of `Link`, `Merge` and `Mix`, in the order of the computation.
        inputs, outputs: Integer arrays, nodes of the model's inputs and outputs.
        calls: List of triples (layer, `Channels` in, `Channels` out), one for each call of a layer.
        whole: Integer array, nodes of which none can be taken out alone: normalised together, or cut up by position.
    """

    def __init__(self):
        self.nodes = 0
        self.steps = []
        self.calls = []
        self.whole = np.zeros(0, np.int64)
        self.inputs = self.outputs = np.zeros(0, np.int64)

    def new_nodes(self, shape):
        """An array of node numbers that nothing has yet."""
        first, self.nodes = self.nodes, self.nodes + int(np.prod(shape))
        return np.arange(first, self.nodes).reshape(shape)

    @property
    def links(self):
        return [step for step in self.steps if isinstance(step, Link)]

    def reached(self, masks=None):
        """Boolean array over nodes: is there a path from an input of the model?

        Args:
            masks: Dictionary from a layer's `id` to a boolean array that stands for its connections.
        """
        alive = np.zeros(self.nodes, dtype=bool)
        alive[self.inputs] = True
        for step in self.steps:
            if isinstance(step, Merge):
                alive[step.targets[alive[step.sources]]] = True
            elif isinstance(step, Mix):
                alive[step.targets] |= alive[step.sources].any()
            else:
                alive[step.outputs] |= _mask_of(step, masks)[alive[step.inputs]].any(axis=0)
        return alive

    def needed(self, masks=None):
        """Boolean array over nodes: is there a path to an output of the model? `masks` as in `reached`."""
        read = np.zeros(self.nodes, dtype=bool)
        read[self.outputs] = True
        for step in reversed(self.steps):
            self.step_back(step, read, masks)
        return read

    def step_back(self, step, read, masks=None):
        """Marks in `read` what one step reads for the nodes that are read from it."""
        if isinstance(step, Merge):
            read[step.sources[read[step.targets]]] = True
        elif isinstance(step, Mix):
            read[step.sources] |= read[step.targets].any()
        else:
            # An input may be there several times (flattened positions of one channel).
            read[step.inputs[_mask_of(step, masks)[:, read[step.outputs]].any(axis=1)]] = True

    def pathless(self, masks=None):
        """Connections without a path to both ends: dictionary from layer to their number, empty if all is well.

        A connection of a layer that is called several times needs its path in one of the calls.
        """
        alive, read = self.reached(masks), self.needed(masks)
        without = {}
        for link in self.links:
            mask = _mask_of(link, masks)
            loose = mask & ~(alive[link.inputs][:, None] & read[link.outputs][None, :])
            earlier = without.get(id(link.layer), (link.layer, loose))[1]
            without[id(link.layer)] = (link.layer, loose & earlier)
        return {layer.name: int(loose.sum()) for layer, loose in without.values() if loose.any()}


def _mask_of(link, masks):
    mask = None if masks is None else masks.get(id(link.layer))
    return link.mask() if mask is None else mask


def channel_graph(model, input_shape=None):
    """Traces a built model.

    Args:
        model: Keras model, of any layers.
        input_shape: As in `profile`: needed where the model's own has unknown sizes beside the batch.

    Returns:
        A `ChannelGraph`.

    Raises:
        ValueError: If a layer of ours with sparse connections is inside a layer whose `call` cannot be followed on
            symbolic tensors, or units run as iterations of loops.
    """
    from keras_sparse.analysis.channel_rules import Tracer

    refuse_loops(model, "channel_graph")
    return Tracer().trace(model, input_shape)


def is_path_connected(model):
    """Whether every connection of a model has a path to an input and to an output.

    All kernels count, dense ones included; biases, normalisation and activation do not make or break a path. Branches,
    concatenations, sums, flattening and nested models are followed channel by channel.

    Args:
        model: Built Keras model.

    Returns:
        Boolean.

    Raises:
        ValueError: If the model is not built, or a sparse layer is inside a layer that cannot be followed.

    Reference:
        Changpinyo et al., The power of sparsity in convolutional neural networks, 2017, section 4.1,
        https://arxiv.org/abs/1702.06257

    Example:
        >>> is_path_connected(keras_sparse.sparsify(keras.applications.MobileNetV2(weights=None), sparsity=0.9))
        True
    """
    return not channel_graph(model).pathless()
