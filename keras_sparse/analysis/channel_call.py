"""A layer or operation at work on channels: what a rule gets to see."""

import dataclasses

import keras
import numpy as np

from keras_sparse.analysis.channel_graph import Channels, Merge


@dataclasses.dataclass(eq=False)
class Call:
    """One call of a layer or operation.

    Attributes:
        tracer: The `Tracer` that follows the model.
        operation: The layer or operation.
        args, kwargs: What it is called with, `Channels` in the place of tensors.
        outputs: List of the symbolic tensors that it returned when the model was made.
    """

    tracer: object
    operation: keras.Operation
    args: tuple
    kwargs: dict
    outputs: list

    @property
    def graph(self):
        return self.tracer.graph

    @property
    def given(self):
        """All `Channels` among the arguments."""
        return [c for c in keras.tree.flatten((self.args, self.kwargs)) if isinstance(c, Channels)]

    @property
    def first(self):
        return self.given[0]

    @property
    def shape(self):
        """Shape of the (first) output."""
        return tuple(self.outputs[0].shape)

    @property
    def axis(self):
        """Axis of the channels, the batch axis not counted."""
        return 0 if getattr(self.operation, "data_format", None) == "channels_first" else -1

    def channel_ids(self):
        """One node for each channel that comes in: where positions differ, a new one that depends on all of them."""
        channels = self.first
        axis = self.axis % (len(channels.shape) - 1)
        sizes = list(channels.ids.shape)
        sizes[axis] = channels.shape[1:][axis] or 1
        ids = np.moveaxis(np.broadcast_to(channels.ids, sizes), axis, 0)
        ids = ids.reshape(len(ids), -1)
        if (ids == ids[:, :1]).all():
            return ids[:, 0]
        merged = self.graph.new_nodes(len(ids))
        self.graph.steps.append(Merge(ids.ravel(), np.repeat(merged, ids.shape[1]), aligned=False))
        return merged

    def output(self, ids, axis=None):
        """Channels that come out, `ids` along `axis` (that of the channels), all positions alike."""
        rank = len(self.shape) - 1
        axis = (self.axis if axis is None else axis) % rank
        return Channels(self.shape, ids.reshape([len(ids) if i == axis else 1 for i in range(rank)]))
