"""TensorFlow only: the operations of `operations.cc`, and their gradients.

On other backends, on GPUs and under XLA the stock ways take over; `kernels.native.refusal` says so.
"""

import functools
import sys
import threading

import tensorflow as tf

from keras_sparse.kernels.native.build import Framework, find_library, library_path, refused
from keras_sparse.kernels.native.not_built import NotBuilt

FORWARD = "KerasSparseProduct"
TO_INPUTS = "KerasSparseProductGradientToInputs"
TO_VALUES = "KerasSparseProductGradientToValues"
# `keras_sparse.normalization.native` has their first derivatives.
ONCE_DIFFERENTIABLE = (
    "KerasSparseNormalization", "KerasSparseNormalizationGradient", "KerasSparseMoments", "KerasSparseMomentsGradient",
)  # fmt: skip
ATTRIBUTES = ("strides", "dilations", "padding", "window")

_one_at_a_time = threading.Lock()


def operations():
    """The module of the three operations; built and loaded when it is asked for first.

    Raises:
        NotBuilt: If it cannot be built or loaded.
    """
    with _one_at_a_time:  # of threads that ask for the first time, one registers the gradients
        return _operations()


@functools.cache
def _operations():
    if refused() is None and find_library(framework()) is None:
        print(
            "keras-sparse: compiling its native product, once on this machine (about 15 seconds) ...", file=sys.stderr
        )
    path = library_path(framework())
    try:
        module = tf.load_op_library(str(path))
    except (tf.errors.OpError, RuntimeError) as error:
        raise NotBuilt(
            f"TensorFlow cannot load {path} ({error})",
            "Another machine may have built it: `keras-sparse kernels --clean`, then start again.",
        ) from error
    tf.RegisterGradient(FORWARD)(_gradient_of_forward)
    tf.RegisterGradient(TO_INPUTS)(_gradient_of_to_inputs)
    tf.RegisterGradient(TO_VALUES)(_gradient_of_to_values)
    for name in ONCE_DIFFERENTIABLE:
        tf.RegisterGradient(name)(_refuse_gradient)
    return module


def framework():
    """The `Framework` that `build.library_path` takes."""
    return Framework(
        version=f"{tf.version.VERSION} {tf.version.GIT_VERSION}",  # of two builds of one version, a library fits one
        compile_flags=tuple(tf.sysconfig.get_compile_flags()),
        link_flags=tuple(tf.sysconfig.get_link_flags()),
    )


def has_accelerator():
    """Whether TensorFlow would put a layer on anything but a CPU."""
    return any(device.device_type != "CPU" for device in tf.config.list_physical_devices())


def product(x, values, inputs, outputs, **arguments):
    """`(batch, height, width, channels)` to `(batch, new height, new width, filters)`, float32."""
    return operations().keras_sparse_product(x=x, values=values, inputs=inputs, outputs=outputs, **arguments)


# Each product is linear in two tensors, and the gradient of one is the others: so all derivatives are there.


def _to_inputs(shape, dy, values, inputs, outputs, arguments):
    return operations().keras_sparse_product_gradient_to_inputs(
        x_shape=shape, dy=dy, values=values, inputs=inputs, outputs=outputs, **arguments
    )


def _to_values(x, dy, values, inputs, outputs, arguments):
    shape = values.shape.as_list()
    arguments = {**arguments, "kernel_size": shape[1:3], "block_size": shape[3] if len(shape) > 3 else 1}
    return operations().keras_sparse_product_gradient_to_values(x=x, dy=dy, inputs=inputs, outputs=outputs, **arguments)


def _arguments(op):
    # TensorFlow gives strings as bytes when a graph is run eagerly.
    return {name: op.get_attr(name) for name in ATTRIBUTES}


def _gradient_of_forward(op, dy):
    x, values, inputs, outputs = op.inputs
    arguments = _arguments(op)
    dx = _to_inputs(tf.shape(x), dy, values, inputs, outputs, arguments)
    dvalues = _to_values(x, dy, values, inputs, outputs, arguments)
    return dx, dvalues, None, None


def _gradient_of_to_inputs(op, ddx):
    _, dy, values, inputs, outputs = op.inputs
    arguments = _arguments(op)
    filters = dy.shape[-1]
    ddy = product(ddx, values, inputs, outputs, filters=filters, **arguments)
    dvalues = _to_values(ddx, dy, values, inputs, outputs, arguments)
    return None, ddy, dvalues, None, None


def _gradient_of_to_values(op, dvalues):
    x, dy, inputs, outputs = op.inputs
    arguments = _arguments(op)
    dx = _to_inputs(tf.shape(x), dy, dvalues, inputs, outputs, arguments)
    ddy = product(x, dvalues, inputs, outputs, filters=dy.shape[-1], **arguments)
    return dx, ddy, None, None


def _refuse_gradient(op, *_):
    raise NotImplementedError(
        f"{op.type} has no gradient: it is what folded blocks predict by, or itself part of a gradient. Call the model "
        "within `keras_sparse.normalization.plain_operations()`."
    )
