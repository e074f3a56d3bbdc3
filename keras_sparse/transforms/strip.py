"""Stock Keras layers again."""

from keras import layers

from keras_sparse.analysis.traced_call import functional_graph
from keras_sparse.layers import (
    BatchNormalization,
    MaskedConv1D,
    MaskedConv2D,
    MaskedConv3D,
    MaskedDense,
    MaskedEinsumDense,
    SparseConv2D,
)
from keras_sparse.layers.sparse_kernel import DEFAULTS, SparseKernel
from keras_sparse.transforms.rebuild import check_model, rebuild, transfer

STOCK = {
    MaskedDense: layers.Dense,
    MaskedEinsumDense: layers.EinsumDense,
    MaskedConv1D: layers.Conv1D,
    MaskedConv2D: layers.Conv2D,
    MaskedConv3D: layers.Conv3D,
    SparseConv2D: layers.Conv2D,
}


def strip(model):
    """A new model of stock Keras layers that predicts the same; cut weights are zeros in dense kernels.

    For export, and for people without this package.

    Args:
        model: Built Keras model; it is left as it is.

    Returns:
        A Keras model, not compiled. Other layers of this package (`SparseAggregationBlock`) stay.

    Raises:
        ValueError: If the model is not built, or a sparse layer is quantized or has LoRA.

    Example:
        >>> strip(sparse_model).save("for_everyone.keras")
    """
    check_model(model, "strip")
    graphs = [graph for graph in map(functional_graph, model._flatten_layers()) if graph is not None]
    # What is inside another layer of this package stays with it.
    norms = [layer for graph in graphs for layer in graph.layers if type(layer) is BatchNormalization]
    replacements = {id(layer): (layers.BatchNormalization, layer.get_config()) for layer in norms}
    for layer in sparse_layers(model, "strip"):
        replacements[id(layer)] = (stock_class(layer), stock_config(layer))
    new = rebuild(model, replacements, "strip")
    transfer(model, new)
    return new


def stock_class(layer):
    return next(stock for kind, stock in STOCK.items() if isinstance(layer, kind))


def stock_config(layer):
    """The configuration of the stock layer that a sparse one stands for."""
    own = {*DEFAULTS, "topology", "format", "implementation"}
    return {key: value for key, value in layer.get_config().items() if key not in own}


def sparse_layers(model, owner):
    """The sparse layers of a model, each once."""
    found = {id(layer): layer for layer in model._flatten_layers() if isinstance(layer, SparseKernel)}
    for layer in found.values():
        if layer.lora_enabled or layer.dtype_policy.quantization_mode:
            state = "LoRA" if layer.lora_enabled else "quantization"
            raise ValueError(
                f"`model` of {owner} must have no LoRA and no quantization in its sparse layers. Received: the layer "
                f"{layer.name!r} with {state}. Save and reload merges LoRA; quantize afterwards."
            )
    return list(found.values())
