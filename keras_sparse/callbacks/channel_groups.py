"""Output channels that can only be cut together: those that are added to each other further on."""

import numpy as np

from keras_sparse.analysis.channel_graph import channel_graph
from keras_sparse.analysis.channel_ties import fixed_channels, tied_channels
from keras_sparse.patterns.ranking import keep_highest


class ChannelGroups:
    """The groups of a model's output channels; channels that the model's outputs need are in none and stay.

    Channels are tied where their values are added (a residual sum), where a layer is called several times, and so on:
    `shrink` takes a channel out only if everything that it is tied to goes as well.

    Args:
        model: Built Keras model.
        layers: List of masked layers of it.
    """

    def __init__(self, model, layers):
        from scipy import sparse
        from scipy.sparse.csgraph import connected_components

        graph = channel_graph(model)
        one, other = tied_channels(graph)
        edges = sparse.coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(graph.nodes, graph.nodes))
        component = connected_components(edges, directed=False)[1]
        is_fixed = np.zeros(component.max() + 1, dtype=bool)
        is_fixed[component[fixed_channels(graph)]] = True
        calls = {id(link.layer): link for link in graph.links}  # all calls of a layer are tied, one will do

        def groups(layer, side, axis):
            width = layer.mask.shape[axis]
            nodes = getattr(calls.get(id(layer)), side, ())
            found = component[nodes] if len(nodes) == width else np.full(width, -1)
            return np.where((found < 0) | is_fixed[found], -1, found)

        self.components = [groups(layer, "outputs", -1) for layer in layers]
        if all((components < 0).all() for components in self.components):
            raise ValueError(
                f"`pattern` of Prune must be one that fits the model. Received: 'channel', and {model.name!r} has no "
                "channel that could go: its outputs, or layers that mix channels, need all. Prune weight by weight."
            )
        self.read = [groups(layer, "inputs", -2) for layer in layers]

    def masks(self, pattern, scores, connected, sparsity, shares=None):
        """The masks when the groups of lowest score are cut, and nothing reads them any more.

        What is left of a cut channel is its bias, and whatever normalisation makes of it: a constant, that would go on
        training if it were read, and with padding could not be taken out.

        Args:
            pattern: `Channel`, which has the norm.
            scores: List of arrays of the masks' shapes, one for each layer.
            connected: List of the masks as they are; groups that are cut already go first, and count.
            sparsity: Number in [0, 1), for one ranking over all groups, if there are no shares.
            shares: List of numbers, the sparsity of each layer; layers that are tied take the mean of theirs.

        Returns:
            List of boolean arrays.
        """
        family = self._families() if shares is not None else np.zeros(len(scores), dtype=int)
        keep = [np.ones(score.shape[-1], dtype=bool) for score in scores]
        cut = []
        for one in np.unique(family):
            members = [i for i in np.flatnonzero(family == one) if (self.components[i] >= 0).any()]
            if not members:
                continue
            ids = np.concatenate([self.components[i] for i in members])
            worth = np.concatenate([pattern.pool(scores[i]) for i in members])
            groups, place = np.unique(ids[ids >= 0], return_inverse=True)
            power = 2 if pattern.norm == "l2" else 1  # the square of a norm is a sum, which goes on over the layers
            total = np.bincount(place, weights=worth[ids >= 0] ** power)
            there = np.concatenate([~pattern.is_cut(connected[i]) for i in members])
            total[np.bincount(place, weights=there[ids >= 0]) == 0] = -np.inf
            for i in members:  # each layer keeps its best one, or nothing would get through
                own = np.isin(groups, self.components[i])
                if (self.components[i] >= 0).all():
                    total[np.flatnonzero(own)[total[own].argmax()]] = np.inf
            share = sparsity if shares is None else float(np.mean([shares[i] for i in members]))
            stays = groups[keep_highest(total, len(groups) - pattern.cut_among(len(groups), share))]
            cut.append(np.setdiff1d(groups, stays))
            for i in members:
                keep[i] = (self.components[i] < 0) | np.isin(self.components[i], stays)
        read = [~np.isin(groups, np.concatenate([[-2], *cut])) for groups in self.read]
        parts = zip(keep, read, scores, strict=True)
        return [np.broadcast_to(outputs & inputs[:, None], s.shape) for outputs, inputs, s in parts]

    def _families(self):
        """A number for each layer, the same for layers that have a group in common."""
        family = np.arange(len(self.components))
        first = {}
        for i, components in enumerate(self.components):
            for group in np.unique(components[components >= 0]):
                one = first.setdefault(group, i)
                family[family == family[i]] = family[one]
        return family
