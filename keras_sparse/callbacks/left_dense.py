"""What pruning passes over: layers with a trained kernel that cannot be masked."""

import math
import warnings

from keras_sparse.analysis.dense_kernels import kernels_of
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.transforms.mask_in_place import excluded_layers


def left_dense(model, exclude, owner):
    """The layers that are trained, are not excluded, and stay dense all the same.

    Args:
        model: Built Keras model whose layers were turned by `mask_in_place`.
        exclude: Layers that are meant to be left alone, as in `mask_in_place`.
        owner: String, the function that an error names.

    Returns:
        List of layers that have a trained kernel of their own.
    """
    excluded = excluded_layers(model, exclude, owner)
    layers = [layer for layer in model._flatten_layers() if id(layer) not in excluded]
    return [layer for layer in layers if not isinstance(layer, SparseKernel) and _trained(layer)]


def warn_of_left_dense(model, exclude, owner):
    """One warning for all layers that `left_dense` finds, by class, with their share of the trained parameters."""
    sizes, layers = {}, left_dense(model, exclude, owner)
    for layer in layers:
        kind = f"{type(layer).__name__}{' with LoRA' if getattr(layer, 'lora_enabled', False) else ''}"
        sizes[kind] = sizes.get(kind, 0) + sum(math.prod(weight.shape) for weight in _trained(layer))
    if not sizes:
        return
    total = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    kinds = ", ".join(f"{kind} ({size / total:.1%})" for kind, size in sorted(sizes.items(), key=lambda x: -x[1]))
    names = list(dict.fromkeys(layer.name for layer in layers))
    some = names[:3] + ["..."] * (len(names) > 3)
    warnings.warn(
        f"{owner} leaves dense, with their share of the trained parameters: {kinds}. It prunes Dense, EinsumDense, "
        "Conv1D, Conv2D and Conv3D, not classes derived from these, and none with LoRA. Say that it is meant by "
        f"exclude={some}.",
        stacklevel=2,
    )


def _trained(layer):
    return [weight for weight in kernels_of(layer) if weight.trainable]
