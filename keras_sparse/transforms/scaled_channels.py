"""How wide the tensors of a model become when its layers have other widths."""

import numpy as np

from keras_sparse.analysis.channel_graph import Link, Merge


class ScaledChannels:
    """Follows new widths through a channel graph.

    Args:
        graph: `ChannelGraph` of the model as it is.
        new_width: Function of a layer with a kernel, its width and an integer that gives the new width, a multiple of
            that integer.
    """

    def __init__(self, graph, new_width):
        self.graph = graph
        self._multiples = self._shared_multiples()
        self._growth = np.ones(graph.nodes)  # new channels for each that was
        for step in graph.steps:
            if isinstance(step, Merge) and _is_one_to_one(step):
                self._growth[step.targets] = self._growth[step.sources]
            elif isinstance(step, Link):
                old = len(step.outputs)
                if _has_group_per_channel(step.layer, len(step.inputs)):
                    new = old // len(step.inputs) * round(self._growth[step.inputs].sum())
                else:
                    new = new_width(step.layer, old, self.multiple(step.layer))
                self._growth[step.outputs] = new / old

    def shape(self, channels):
        """The new shape of a tensor, a tuple."""
        shape = list(channels.shape)
        several = [axis for axis, size in enumerate(channels.ids.shape) if size > 1]
        if several:  # the channels are on the last of these; the others may tell positions apart
            growth = np.moveaxis(self._growth[channels.ids], several[-1], -1)
            shape[several[-1] + 1] = round(growth.sum(axis=-1).mean())
        return tuple(shape)

    def multiple(self, layer):
        """Integer that the new width of a layer must be a multiple of, so that what reads it can make its groups."""
        inside = {id(x) for x in layer._flatten_layers()}
        outputs = [link.outputs for link in self.graph.links if id(link.layer) in inside]
        return int(np.lcm.reduce(self._multiples[np.concatenate(outputs)])) if outputs else 1

    def followers(self):
        """Layers whose configuration repeats the width of what they read: pairs of a layer and what changes in it."""
        for layer, inputs, outputs in self.graph.calls:
            old, new = _channels(layer, inputs.shape, self.shape(inputs))
            if old == new:
                continue
            if type(layer).__name__ == "InputLayer":  # of a model inside
                yield layer, {"batch_shape": self.shape(outputs)}
            elif _has_group_per_channel(layer, old):
                filters = {"filters": layer.filters // old * new} if hasattr(layer, "filters") else {}
                yield layer, {"groups": new, **filters}
            elif getattr(layer, "projection_dim", None) == old:  # ConvNeXt's LayerScale
                yield layer, {"projection_dim": new}

    def _shared_multiples(self):
        """For each node, what the width of its tensor must be a multiple of."""
        multiples = np.ones(self.graph.nodes, np.int64)
        tied = [(step.sources, step.targets) for step in self.graph.steps if _is_one_to_one(step)]
        for layer, inputs, outputs in self.graph.calls:
            groups = getattr(layer, "groups", 1)
            if _has_group_per_channel(layer, _channels(layer, inputs.shape, inputs.shape)[0]):
                tied.append((np.unique(inputs.ids)[:1], np.unique(outputs.ids)))
                tied.append((np.unique(inputs.ids), np.unique(outputs.ids)[:1]))
            elif isinstance(groups, int) and groups > 1:
                for ids in (inputs.ids, outputs.ids):
                    multiples[ids] = np.lcm(multiples[ids], groups)
        while True:
            before = multiples.copy()
            for one, other in tied:
                one, other = np.broadcast_arrays(one, other)
                np.lcm.at(multiples, one, multiples[other])
                np.lcm.at(multiples, other, multiples[one])
            if np.array_equal(before, multiples):
                return multiples


def _is_one_to_one(step):
    """Whether a step is a merge without a channel that is spread over others (attention to positions)."""
    return isinstance(step, Merge) and len(np.unique(step.sources)) >= len(np.unique(step.targets))


def _has_group_per_channel(layer, channels):
    return channels > 1 and getattr(layer, "groups", 1) == channels


def _channels(layer, *shapes):
    axis = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    return [shape[axis] if len(shape) > 1 else 1 for shape in shapes]
