"""Batch normalisation at the price of a prediction: folded into kernels, or one scale and shift."""

import collections
import dataclasses

import keras
import numpy as np
from keras import layers, ops

from keras_sparse.analysis.operation_calls import operation_calls
from keras_sparse.analysis.traced_call import functional_graph
from keras_sparse.layers.batch_normalization import BatchNormalization
from keras_sparse.layers.kernel_connections import renew_modules
from keras_sparse.layers.scale_shift import ScaleShift
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.transforms.exchange import counterparts
from keras_sparse.transforms.rebuild import (
    check_model,
    dense_kernel,
    rebuild,
    replaceable_attributes,
    transfer_kernel,
    transfer_variables,
)

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
NORMS = (layers.BatchNormalization, BatchNormalization)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


def fold_batch_norm(model):
    """A new model for predictions, without batch normalisation; predictions are the same to rounding.

    With moving statistics that no longer move, a batch normalisation is a factor and a summand for each channel. Where
    it follows a convolution or a dense layer that has no activation and that nothing else reads, kernel and bias take
    them in, and what is left does nothing (`Identity`). Where it comes before one that reads nothing else, that one
    takes them in, if padding does not keep it from it. All others become a `ScaleShift`. Masked and compact layers
    stay that: their masks do not change.

    It is no model to train on: what is folded no longer adapts to a batch. On TensorFlow, on a CPU, dense blocks then
    predict by an operation in C++ that only this package has: write files for others by `keras_sparse.export`, which
    does without.

    Args:
        model: Built Keras model, of any layers; it is left as it is.

    Returns:
        A Keras model, not compiled. Batch normalisations that no configuration shows (made inside a layer that is not
        of this package, or in a subclassed model) stay as they are, and so do layers that are called more than once.

    Raises:
        ValueError: If the model is not built, or cannot be made again from its configuration.

    Example:
        >>> fast = fold_batch_norm(keras.applications.ResNet50())
        >>> fast.predict(images)
    """
    check_model(model, "fold_batch_norm")
    folds = _folds(model)
    if not folds:
        raise ValueError(
            f"`model` of fold_batch_norm must have a batch normalisation that its configuration shows. Received: the "
            f"model {model.name!r} with none. Make it a functional model, with its layers in it."
        )
    kernels = {}
    for fold in folds:
        if fold.layer is not None:
            kernels.setdefault(id(fold.layer), []).append(fold)
    replacements = {}
    for fold in folds:
        config = fold.norm.get_config()
        common = {key: config[key] for key in ("name", "dtype", "trainable")}
        if fold.layer is None:
            replacements[id(fold.norm)] = (ScaleShift, {**common, "axis": config["axis"]})
        else:
            replacements[id(fold.norm)] = (layers.Identity, common)
            layer = fold.layer
            if layer.bias is None:
                replacements[id(layer)] = (type(layer), {**layer.get_config(), "use_bias": True})
    new = rebuild(model, replacements, "fold_batch_norm", keep_shapes=False)
    norms = {id(fold.norm): fold for fold in folds}
    for old, twin in counterparts(model, new):
        if id(old) in norms:
            if isinstance(twin, ScaleShift):
                twin.scale.assign(norms[id(old)].scale)
                twin.shift.assign(norms[id(old)].shift)
        elif isinstance(old, SparseKernel) or id(old) in replacements:
            _transfer_kernel(old, twin)
        else:
            transfer_variables(old, twin)
    for old, twin in counterparts(model, new):
        # A layer may take in one from either side: they commute.
        for fold in kernels.get(id(old), []):
            _take_in(fold, twin)
    renew_modules(new)
    return new


@dataclasses.dataclass(eq=False)
class _Fold:
    """One batch normalisation, the layer beside it that takes it in (or None), and whether it follows that layer."""

    norm: layers.BatchNormalization
    layer: layers.Layer | None = None
    follows: bool = True

    def __post_init__(self):
        norm = self.norm
        mean, variance = (_float64(v) for v in (norm.moving_mean, norm.moving_variance))
        gamma = _float64(norm.gamma) if norm.scale else 1.0
        beta = _float64(norm.beta) if norm.center else 0.0
        self.scale = gamma / np.sqrt(variance + norm.epsilon)
        self.shift = beta - mean * self.scale


def _float64(variable):
    return ops.convert_to_numpy(variable).astype("float64")


def _folds(model):
    """What is to be done with each batch normalisation that a configuration shows."""
    calls, shown = operation_calls(model), _shown(model)
    times = collections.Counter(id(call.operation) for call in calls)
    makers = {id(tensor): call.operation for call in calls for tensor in call.outputs}
    # Called with `training=True` it looks at the batch even in a prediction.
    batchwise = {id(call.operation) for call in calls if call.arguments.get("training")}
    readers = collections.defaultdict(list)
    for call in calls:
        for tensor in call.inputs:
            readers[id(tensor)].append(call.operation)
    folds = {}
    for call in calls:
        norm = call.operation
        if type(norm) not in NORMS or id(norm) not in shown or id(norm) in batchwise:
            continue
        fold = folds.setdefault(id(norm), _Fold(norm))
        if times[id(norm)] > 1 or len(call.inputs) > 1:
            continue
        before, after = call.inputs[0], call.outputs[0]
        axis = norm.axis % len(before.shape)
        maker, read = makers.get(id(before)), readers[id(after)]

        alone = {key for key in shown if times[key] == 1}
        place = (fold, axis, len(before.shape))
        if id(maker) in alone and len(readers[id(before)]) == 1 and _scales_outputs(maker, *place):
            fold.layer = maker
        elif len(read) == 1 and id(read[0]) in alone and _scales_inputs(read[0], *place):
            fold.layer, fold.follows = read[0], False
    return list(folds.values())


def _shown(holder):
    """`id`s of the layers that a configuration shows, so that others may be in their places in a saved file."""
    if functional_graph(holder) is not None:
        held = holder.layers
    else:
        held = [layer for name in replaceable_attributes(holder) for layer in getattr(holder, name)]
    return {id(layer) for layer in held}.union(*(_shown(layer) for layer in held))


def _is_plain_kernel(layer, axis, rank):
    """Whether it is a layer of Keras or ours with a kernel that may be written, channels along `axis`."""
    if not isinstance(layer, (layers.Dense, *CONVOLUTIONS, *TRANSPOSED, *DEPTHWISE, *SEPARABLE)):
        return False
    own = type(layer).__module__.startswith(("keras.", "keras_sparse."))
    changed = getattr(layer, "lora_enabled", False) or layer.dtype_policy.quantization_mode
    channels = 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1
    return own and not changed and axis == channels


def _scales_outputs(layer, fold, axis, rank):
    return _is_plain_kernel(layer, axis, rank) and layer.activation is keras.activations.linear


def _scales_inputs(layer, fold, axis, rank):
    if not _is_plain_kernel(layer, axis, rank) or not isinstance(layer, (layers.Dense, *CONVOLUTIONS)):
        return False
    # What a border is padded with is not shifted.
    pads = getattr(layer, "padding", "valid") != "valid" and set(layer.kernel_size) != {1}
    return getattr(layer, "groups", 1) == 1 and not (pads and np.any(fold.shift))


def _transfer_kernel(old, new):
    """Copies the weights of a layer to a twin that may have a bias where it has none."""
    if isinstance(old, SparseKernel):
        transfer_kernel(old, new)
    else:
        for source, target in zip(old._trainable_variables, new._trainable_variables, strict=False):
            target.assign(ops.convert_to_numpy(source))


def _take_in(fold, layer):
    """Multiplies a batch normalisation into the kernel and bias of the layer beside it."""
    bias = _float64(layer.bias)
    if isinstance(layer, (layers.Dense, *CONVOLUTIONS)):
        kernel = dense_kernel(layer).astype("float64")  # (..., fan_in, fan_out)
        if fold.follows:
            kernel, bias = kernel * fold.scale, bias * fold.scale + fold.shift
        else:
            summed = kernel.reshape(-1, *kernel.shape[-2:]).sum(axis=0)
            kernel, bias = kernel * fold.scale[:, None], bias + fold.shift @ summed
        if isinstance(layer, SparseKernel):
            layer.set_dense_kernel(kernel)
        else:
            layer.kernel.assign(kernel)
    else:
        variable, scale = layer.pointwise_kernel if isinstance(layer, SEPARABLE) else layer.kernel, fold.scale
        if isinstance(layer, TRANSPOSED):
            scale = scale[:, None]  # its kernel is (..., filters, channels)
        elif isinstance(layer, DEPTHWISE):
            scale = scale.reshape(variable.shape[-2:])  # (channels, depth_multiplier)
        variable.assign(_float64(variable) * scale)
        bias = bias * fold.scale + fold.shift
    layer.bias.assign(bias)
