"""What a layer does, as a graph: its `call` run on symbolic tensors."""

import dataclasses

import keras


@dataclasses.dataclass(eq=False)
class TracedCall:
    """A call that was traced.

    Attributes:
        function: `keras.Function` from the inputs to the flat outputs.
        given: List of the objects in whose places the symbolic inputs stood, in the order of the function's inputs.
        outputs: The outputs in the structure that `call` gave them.
    """

    function: keras.Function
    given: list
    outputs: object


def traced_call(layer, args, kwargs, kind):
    """Follows a layer's own `call`, and leaves no trace on it.

    Args:
        layer: Keras layer.
        args, kwargs: What it is called with.
        kind: Class of the objects among them that stand for tensors; they have a `shape`.

    Returns:
        A `TracedCall`, or None if the `call` does not work on symbolic tensors.
    """
    given = {id(x): x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, kind)}
    symbols = {
        key: keras.Input(batch_shape=x.shape, dtype=layer.compute_dtype, name=f"channels_{i}")
        for i, (key, x) in enumerate(given.items())
    }
    args, kwargs = keras.tree.map_structure(
        lambda x: symbols[id(x)] if isinstance(x, kind) else x, (tuple(args), dict(kwargs))
    )
    inside = list(layer._flatten_layers())
    before = [len(sublayer._inbound_nodes) for sublayer in inside]
    try:
        outputs = layer.call(*args, **kwargs)
        function = keras.Function(list(symbols.values()), keras.tree.flatten(outputs))
    except Exception:  # whatever a foreign `call` raises on symbols
        return None
    finally:
        for sublayer, count in zip(inside, before, strict=True):
            del sublayer._inbound_nodes[count:]
    return TracedCall(function, list(given.values()), outputs)


def functional_graph(model):
    """The `keras.Function` that a functional or sequential model is, or None for all else."""
    if isinstance(model, keras.Sequential):
        return model._functional  # None before it is built
    return model if isinstance(model, keras.Model) and hasattr(model, "_nodes_by_depth") else None
