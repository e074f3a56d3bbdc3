"""Who reads what inside a model: every call of a layer or operation, with the symbolic tensors in and out."""

import dataclasses

import keras

from keras_sparse.analysis.traced_call import functional_graph, traced_call


@dataclasses.dataclass(eq=False)
class OperationCall:
    """One call.

    Attributes:
        operation: The layer or operation; None stands for what reads the outputs of a model or composite layer.
        inputs, outputs: Lists of symbolic tensors. Those inside of a nested model or composite layer are others than
            those around it.
        arguments: Dictionary of what it was called with by name.
    """

    operation: keras.Operation | None
    inputs: list
    outputs: list
    arguments: dict = dataclasses.field(default_factory=dict)


def operation_calls(model):
    """Lists the calls of a model, and of what is called in it, each nested model once.

    Composite layers are traced; one that cannot be is a call with nothing inside.

    Args:
        model: Built functional or sequential model; any other has no calls to list.

    Returns:
        List of `OperationCall`.
    """
    graph = functional_graph(model)
    return [] if graph is None else _calls(graph, seen={id(graph): graph})


def _calls(graph, seen):
    found = [OperationCall(None, list(graph.outputs), [])]
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            if node.is_input:
                continue
            found.append(OperationCall(node.operation, node.input_tensors, node.outputs, node.arguments.kwargs))
            inside = _inside(node)
            if inside is not None and id(inside) not in seen:  # which keeps them, so that no other gets the `id`
                seen[id(inside)] = inside
                found += _calls(inside, seen)
    return found


def _inside(node):
    """The graph of a nested model or composite layer, or None."""
    layer = node.operation
    if functional_graph(layer) is not None or not isinstance(layer, keras.layers.Layer) or not layer._layers:
        return functional_graph(layer)
    traced = traced_call(layer, node.arguments.args, node.arguments.kwargs, keras.KerasTensor)
    return None if traced is None else traced.function
