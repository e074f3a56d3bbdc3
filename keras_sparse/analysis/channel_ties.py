"""Channels that cannot be taken out of a model, or only together with others."""

import numpy as np

from keras_sparse.analysis.channel_graph import Merge, Mix


def fixed_channels(graph):
    """Boolean array over the nodes of a `ChannelGraph`: what must stay where it is.

    The model's inputs and outputs, what layers mix in ways that are not followed channel by channel, and what kernels
    read and make from which no channel can be cut out.
    """
    fixed = np.zeros(graph.nodes, dtype=bool)
    fixed[graph.inputs] = fixed[graph.outputs] = True
    for step in graph.steps:
        if isinstance(step, Mix) or (isinstance(step, Merge) and not step.aligned):
            fixed[step.sources] = fixed[step.targets] = True
        elif not isinstance(step, Merge) and not step.is_sliceable:
            fixed[step.inputs] = fixed[step.outputs] = True
    fixed[graph.whole] = True
    return fixed


def tied_channels(graph):
    """Pairs of nodes, two integer arrays, of which both stay or both go.

    The terms of a sum and the sum; the channels of a layer in each of its calls.
    """
    pairs = [(step.sources, step.targets) for step in graph.steps if isinstance(step, Merge) and step.aligned]
    calls = {}
    for layer, inputs, outputs in graph.calls:
        first = calls.setdefault(id(layer), (inputs.ids.ravel(), outputs.ids.ravel()))
        for one, other in zip(first, (inputs.ids.ravel(), outputs.ids.ravel()), strict=True):
            if len(one) == len(other) and not np.array_equal(one, other):
                pairs.append((one, other))
    none = np.zeros(0, np.int64)
    return tuple(np.concatenate([none, *(np.ravel(pair[side]) for pair in pairs)]) for side in (0, 1))
