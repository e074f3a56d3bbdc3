"""Gradients of a model outside of its training step, on every backend: for rankings, and for what is not connected.

What is differentiated is a function of tensors that stand in for the kernels, inside a `keras.StatelessScope`: moving
averages, seeds and metrics that the forward pass would change stay as they are.
"""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_sparse.analysis.layer_calls import input_specs
from keras_sparse.checks import describe
from keras_sparse.normalization import plain_operations

SATURATING = [getattr(keras.activations, name) for name in ("softmax", "sigmoid", "tanh", "hard_sigmoid")]


def loss_gradients(model, layers, batch, owner="loss_gradients"):
    """Gradients of the training loss with respect to the kernels, those of cut weights included.

    Args:
        model: Compiled Keras model.
        layers: List of masked layers.
        batch: Tuple `(x, y)` or `(x, y, sample_weight)`.
        owner: String or object that an error names.

    Returns:
        List of float arrays of the kernels' shapes.

    Raises:
        ValueError: If the loss does not depend on a kernel.
    """
    return _numpy(layers, _differentiate(_loss(model, layers, batch), _kernels(layers)), owner)


def hessian_gradients(model, layers, batch, owner="hessian_gradients"):
    """The product of the loss's Hessian with its gradient, with respect to the kernels.

    Args and returns are those of `loss_gradients`.
    """
    loss, kernels = _loss(model, layers, batch), _kernels(layers)
    gradients = _differentiate(loss, kernels)
    _check_all(layers, gradients, owner)
    fixed = [ops.convert_to_tensor(gradient) for gradient in gradients]

    def along_gradient(tensors):
        gradients = _differentiate(loss, tensors)
        return sum(ops.sum(one * ops.stop_gradient(other)) for one, other in zip(gradients, fixed, strict=True))

    return _numpy(layers, _differentiate(along_gradient, kernels), owner)


def flow_gradients(model, layers, owner="flow_gradients"):
    """Gradients of the sum of outputs for an input of ones, all weights by their absolute values; no data needed.

    Activations that saturate (softmax, sigmoid, tanh) are taken as linear: the flow is far beyond where they change.

    Args:
        model: Built Keras model.
        layers: List of masked layers.
        owner: String or object that an error names.

    Returns:
        List of float arrays of the kernels' shapes.

    Raises:
        ValueError: If the outputs do not depend on a kernel.

    Reference:
        Tanaka et al., Pruning neural networks without any data by iteratively conserving synaptic flow, 2020,
        https://arxiv.org/abs/2006.05467
    """
    kernels = [layer.trained_kernel for layer in layers]
    others = [v for v in model.trainable_variables if all(v is not kernel for kernel in kernels)]
    saturating = [layer for layer in model._flatten_layers() if getattr(layer, "activation", None) in SATURATING]
    specs = input_specs(model, None)
    ones = keras.tree.map_structure(lambda spec: ops.ones((1, *spec.shape[1:]), dtype=spec.dtype), specs)

    def flow(tensors):
        positive = [(v, ops.abs(ops.convert_to_tensor(v))) for v in others]
        scope = keras.StatelessScope(state_mapping=[*zip(kernels, tensors, strict=True), *positive])
        with scope, _having(saturating, "activation", keras.activations.linear):
            outputs = model(ones, training=False)
        return sum(ops.sum(ops.cast(output, "float32")) for output in keras.tree.flatten(outputs))

    gradients = _differentiate(flow, [ops.abs(kernel) for kernel in _kernels(layers)])
    return _numpy(layers, gradients, owner, what="outputs that depend")


def _loss(model, layers, batch):
    """The training loss as a function of tensors in the place of the kernels."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    variables = [layer.trained_kernel for layer in layers]

    def loss(tensors):
        # Cut weights, which are zero, have gradients as if they were connected.
        dense = _having(layers, "has_dense_gradient", True)
        scope = keras.StatelessScope(state_mapping=list(zip(variables, tensors, strict=True)))
        with scope, dense, plain_operations():
            outputs = model(x, training=True)
            return ops.cast(model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight), "float32")

    return loss


@contextlib.contextmanager
def _having(layers, attribute, value):
    """While this lasts, an attribute of layers has another value."""
    before = [getattr(layer, attribute) for layer in layers]
    for layer in layers:
        setattr(layer, attribute, value)
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            setattr(layer, attribute, was)


def _kernels(layers):
    return [ops.convert_to_tensor(layer.trained_kernel) for layer in layers]


def _numpy(layers, gradients, owner, what="a loss that depends"):
    _check_all(layers, gradients, owner, what)
    return [np.asarray(ops.convert_to_numpy(gradient), dtype="float32") for gradient in gradients]


def _check_all(layers, gradients, owner, what="a loss that depends"):
    missing = [layer.name for layer, gradient in zip(layers, gradients, strict=True) if gradient is None]
    if missing:
        raise ValueError(
            f"`model` of {describe(owner)} must have {what} on every kernel. Received: "
            f"{', '.join(missing)} without a gradient. Exclude layers that do not take part in training."
        )


def _differentiate(function, tensors):
    """Gradients of a scalar function of a list of tensors; it can be differentiated once more."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from keras_sparse.gradients.tensorflow import differentiate
    elif backend == "jax":
        from keras_sparse.gradients.jax import differentiate
    elif backend == "torch":
        from keras_sparse.gradients.torch import differentiate
    else:
        raise NotImplementedError(
            f"`criterion` by gradients needs a Keras backend that differentiates: tensorflow, jax or torch. Received: "
            f"{backend!r}. Set KERAS_BACKEND, or use the criterion 'magnitude'."
        )
    return differentiate(function, tensors)
