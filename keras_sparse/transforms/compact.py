"""From masked kernels to compact ones."""

from keras_sparse.transforms.rebuild import check_model, rebuild, transfer
from keras_sparse.transforms.strip import sparse_layers


def compact(model, implementation="auto"):
    """A new model whose masked layers hold one value per connection; predictions are the same.

    Memory of the weights, their gradients and the optimizer's slots then follows the connections, and on a CPU with
    TensorFlow so does time, for `predict` and for fine-tuning: see `keras-sparse kernels`. Layers for which there is no
    compact format stay as they are (`MaskedConv1D`, `MaskedConv3D`, `MaskedEinsumDense`, groups).

    Args:
        model: Built Keras model with `MaskedDense`, `SparseConv2D` or `MaskedConv2D` layers; it is left as it is.
        implementation: How the new layers compute, as for `MaskedDense`.

    Returns:
        A Keras model, not compiled.

    Raises:
        ValueError: If no layer is masked, or one has an initializer, regularizer or constraint that needs a dense
            kernel, or cannot compute as `implementation` says.

    Example:
        >>> compact(keras_sparse.sparsify(model, sparsity=0.99)).save("small.keras")
    """
    check_model(model, "compact")
    masked = [x for x in sparse_layers(model, "compact") if x.format == "masked" and x.has_compact_format]
    if not masked:
        raise ValueError(
            f"`model` of compact must have a layer in the masked format that has a compact one. Received: the model "
            f"{model.name!r} with none. Make it sparse with `sparsify` first."
        )
    replacements = {}
    for layer in masked:
        config = {**layer.get_config(), "format": "compact", "implementation": implementation}
        if layer.connections.block_size != layer.block_size:
            # Connections have left their blocks: one by one, then, from a topology that says no more than its size.
            config |= {"topology": "random_fan_in", "sparsity": 0.5, "block_size": 1}
        # A class that saves its layers as stock ones (`mask_in_place`) has no file for indices.
        kind = next(kind for kind in type(layer).__mro__ if not vars(kind).get("is_saved_as_stock"))
        replacements[id(layer)] = (kind, config)
    new = rebuild(model, replacements, "compact")
    transfer(model, new)
    return new
