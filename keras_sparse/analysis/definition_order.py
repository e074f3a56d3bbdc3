"""The layers inside a layer in the order in which they are defined, which Keras's own walk does not keep."""


def in_definition_order(layer):
    """Yields `layer`, then what it contains, depth first; a layer that is held twice comes twice."""
    yield layer
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        yield from in_definition_order(inner)
