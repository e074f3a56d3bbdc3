"""Moves connections so that none is in vain: each has a path to an input and to an output of the model."""

import numpy as np

from keras_sparse.analysis.channel_graph import Link, Merge

PASSES = 8


def connect_paths(graph, masks, block_size, rng):
    """Mends the masks of a model, layer by layer from the outputs to the inputs.

    A channel that nobody reads is read instead of one that a filter shares with others; the connections of filters
    that cannot be read at all move to filters that are. The number of connections of each layer stays as it is, except
    that each output has at least one, and that channels of layers that stay dense are all read.

    Args:
        graph: `ChannelGraph`.
        masks: Dictionary from a layer's `id` to its boolean array `(fan_in, fan_out)`; other layers are dense.
        block_size: Integer, size of the blocks that masks are made of.
        rng: `numpy.random.Generator`.

    Returns:
        Dictionary like `masks`.

    Raises:
        ValueError: If some connection has no path still (blocks that cut across each other).
    """
    b = block_size
    blocks = {key: mask[::b, ::b].copy() for key, mask in masks.items()}
    for mask in blocks.values():
        _fill_columns(mask, rng)
    dense_outputs = _from_dense_layers(graph, masks)
    for attempt in range(PASSES):
        masks = {key: mask.repeat(b, axis=0).repeat(b, axis=1) for key, mask in blocks.items()}
        if not graph.pathless(masks):
            return masks
        alive, read_now = graph.reached(masks), graph.needed(masks)
        wanted = alive & ~read_now
        read = np.zeros(graph.nodes, dtype=bool)
        read[graph.outputs] = True
        for step in reversed(graph.steps):
            if isinstance(step, Link) and id(step.layer) in blocks:
                mask = blocks[id(step.layer)]
                needed = _needed_blocks(graph, step, read, read_now, b)
                unread = (wanted & ~read)[step.inputs].reshape(-1, b).any(axis=1)
                forced = (dense_outputs & wanted & ~read)[step.inputs].reshape(-1, b).any(axis=1)
                safe = read[step.inputs].reshape(-1, b).all(axis=1)
                usable = alive[step.inputs].reshape(-1, b).all(axis=1)
                _cover(mask, needed, unread & usable, safe, usable, rng)
                if attempt:
                    _add(mask, needed, forced & ~mask.any(axis=1), rng)
                masks[id(step.layer)] = mask.repeat(b, axis=0).repeat(b, axis=1)
            graph.step_back(step, read, masks)
    masks = {key: mask.repeat(b, axis=0).repeat(b, axis=1) for key, mask in blocks.items()}
    without = graph.pathless(masks)
    if without:
        names = ", ".join(f"{name} ({count})" for name, count in without.items())
        raise ValueError(
            f"Connections without a path to an input and an output remain in {names}. Lower the sparsity, exclude "
            f"layers, or use block_size=1. Received: block_size={b}."
        )
    return masks


def _from_dense_layers(graph, masks):
    """Nodes whose channels come from layers that stay dense, and so cannot give up a filter."""
    marked = np.zeros(graph.nodes, dtype=bool)
    for step in graph.steps:
        if isinstance(step, Merge):
            marked[step.targets[marked[step.sources]]] = True
        elif isinstance(step, Link) and id(step.layer) not in masks:
            marked[step.outputs] = True
    return marked


def _needed_blocks(graph, link, read, read_now, b):
    """Output blocks that are read; of a layer that is called several times, in any of its calls."""
    needed = read[link.outputs].reshape(-1, b).any(axis=1)
    calls = [other for other in graph.links if other.layer is link.layer]
    for other in calls if len(calls) > 1 else ():
        needed |= read_now[other.outputs].reshape(-1, b).any(axis=1)
    return needed


def _fill_columns(mask, rng):
    """Gives each output a connection: from the output that has most, or, if none has two, a new one."""
    for column in np.flatnonzero(~mask.any(axis=0)):
        degrees = mask.sum(axis=0)
        giver = int(degrees.argmax())
        row = rng.integers(mask.shape[0])
        if degrees[giver] > 1:
            row = rng.choice(np.flatnonzero(mask[:, giver]))
            mask[row, giver] = False
        mask[row, column] = True


def _cover(mask, needed, unread, safe, usable, rng):
    """Reads as many of the `unread` inputs as the connections allow, and connects no output that is not `needed`."""
    spare = int(mask[:, ~needed].sum()) + int(mask[~usable].sum())
    mask[:, ~needed] = False
    mask[~usable] = False
    columns = np.flatnonzero(needed)
    if not len(columns):
        return
    rng.shuffle(columns)
    todo = list(rng.permutation(np.flatnonzero(unread & ~mask.any(axis=1))))
    while spare and todo:
        mask[todo.pop(), columns[spare % len(columns)]] = True
        spare -= 1
    if spare:
        free = np.argwhere(~mask & needed & usable[:, None])
        for row, column in rng.permutation(free)[:spare]:
            mask[row, column] = True
    readers = mask.sum(axis=1)
    # Inputs that can lose a reader: read twice here, or by a layer that is settled already.
    while todo:
        row = todo.pop()
        givers = rng.permutation(np.flatnonzero((readers > 1) | (safe & (readers > 0))))
        for giver in givers:
            candidates = np.flatnonzero(mask[giver] & ~mask[row])
            if len(candidates):
                column = rng.choice(candidates)
                mask[giver, column], mask[row, column] = False, True
                readers[giver] -= 1
                readers[row] += 1
                break
        else:
            return


def _add(mask, needed, rows, rng):
    columns = np.flatnonzero(needed)
    if len(columns):
        for row in np.flatnonzero(rows):
            mask[row, rng.choice(columns)] = True
