"""The layers inside a layer in the order in which they are defined, which Keras's own walk does not keep."""

from keras_sparse.layers.sparse_kernel import SparseKernel


def in_definition_order(layer):
    """Yields `layer`, then what it contains, depth first; a layer that is held twice comes twice."""
    yield layer
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        yield from in_definition_order(inner)


def sparse_layers(model):
    """The layers with a sparse kernel, each once."""
    return list({id(layer): layer for layer in in_definition_order(model) if isinstance(layer, SparseKernel)}.values())


def nested_names(model):
    """Dictionary from the `id` of each layer inside a model to its name, with those around it in front: "block/conv".

    Unlike Keras's paths it is the same before and after loading.
    """
    names = {}

    def walk(layer, prefix):
        for inner in layer._flatten_layers(include_self=False, recursive=False):
            if id(inner) not in names:
                names[id(inner)] = f"{prefix}{inner.name}"
                walk(inner, f"{prefix}{inner.name}/")

    walk(model, "")
    return names
