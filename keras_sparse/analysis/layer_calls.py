"""Every call of every layer in one pass through a model, with shapes, without computing anything.

A functional model is passed through symbolically, a subclassed one by tracing its `call`; either way each layer
runs, and while it runs, the two methods that Keras may run it by are replaced on the instance by ones that take
notes. This works for any model, however its layers are nested, and leaves no trace on it. Units that are iterations of
a loop are seen one by one, as if unrolled.
"""

import contextlib
import dataclasses
import itertools

import keras

from keras_sparse import checks
from keras_sparse.layers import LoopedAggregationBlock
from keras_sparse.layers.two_forms import unrolled_form


@dataclasses.dataclass
class LayerCall:
    """One call of a layer.

    Attributes:
        layer: The layer.
        path: Tuple of the names of the layers around it, outermost first, and its own.
        inputs: List of the shapes of all input tensors, without the batch axis.
        output: Shape of the first output without the batch axis.
        children: Number of layer calls inside this one.
    """

    layer: keras.layers.Layer
    path: tuple
    inputs: list
    output: tuple
    children: int = 0


def layer_calls(model, input_shape=None, opaque=()):
    """Lists the layer calls of one pass of `model` over a single example, in order.

    Args:
        model: Built Keras model.
        input_shape: Tuple without the batch axis, needed if the model's own has unknown sizes; for several inputs
            a list or dictionary of such tuples.
        opaque: Tuple of layer classes not to look into. Other composite layers are traced if need be.

    Returns:
        List of `LayerCall`, the model's own first, and each composite layer before what it contains.

    Raises:
        ValueError: If the model is not built, or its input shape is not fully known and none is given.
    """
    specs = input_specs(model, input_shape)
    calls, stack = [], []

    def noting(layer, method):
        def run(*args, **kwargs):
            if stack and (stack[-1].layer is layer or isinstance(stack[-1].layer, opaque)):
                return method(*args, **kwargs)  # the other method of the same call, or not to be seen
            path = (stack[-1].path if stack else ()) + (layer.name,)
            call = LayerCall(layer, path, _shapes(args, kwargs), None)
            if stack:
                stack[-1].children += 1
            calls.append(call)
            stack.append(call)
            try:
                output = method(*args, **kwargs)
                unseen = not call.children and _has_sublayers(layer) and not isinstance(layer, opaque)
                if unseen or None in _shape(keras.tree.flatten(output)[0]):
                    # It did not ask its sublayers for its output's shape, or does not know it: trace what it does.
                    output = keras.Operation.compute_output_spec(layer, *args, **kwargs)
            finally:
                stack.pop()
            call.output = _shape(keras.tree.flatten(output)[0])
            return output

        return run

    def replace(layer, name, method):
        # In the instance's dictionary, behind the back of Keras's attribute tracking.
        vars(layer)[name] = method
        replaced.callback(vars(layer).pop, name)

    with contextlib.ExitStack() as replaced:
        for layer in _unique(model):
            if isinstance(layer, LoopedAggregationBlock):
                twin = _built_without_values(unrolled_form(layer), layer)
                for part in _unique(twin):
                    replace(part, "compute_output_spec", noting(part, part.compute_output_spec))
                replace(layer, "compute_output_spec", twin.compute_output_spec)
                continue
            for name in ("compute_output_spec", "call"):
                replace(layer, name, noting(layer, getattr(layer, name)))
        model.compute_output_spec(specs)
    return calls


def _built_without_values(twin, block):
    """The units that a loop stands for, to be seen one by one."""
    with keras.StatelessScope(initialize_variables=False):
        twin.build(block.get_build_config()["input_shape"])
    return twin


def _has_sublayers(layer):
    return any(layer._flatten_layers(include_self=False))


def _unique(model):
    return list({id(layer): layer for layer in model._flatten_layers()}.values())


def input_specs(model, input_shape):
    """Symbolic inputs of one example, in the structure that the model takes."""
    if not isinstance(model, keras.layers.Layer):
        raise checks.error("model", "profile", "a Keras model", model, "Pass the model itself.")
    if not model.built:
        raise ValueError(
            f"`model` of profile must be built. Received: the model {model.name!r}, which is not. Call it on data "
            "first, or give it an Input."
        )
    known = getattr(model, "inputs", None)
    struct = getattr(model, "_inputs_struct", known[0]) if known else None  # a Sequential has one input
    shapes = input_shape
    if shapes is None and known:
        shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape[1:]), struct)
    elif shapes is None:
        # A subclassed model remembers what it was built with.
        built_with = (model.get_build_config() or {}).get("input_shape")
        if built_with is not None:
            shapes = keras.tree.map_shape_structure(lambda shape: tuple(shape[1:]), built_with)
    if shapes is None or None in keras.tree.flatten(shapes):
        raise ValueError(
            f"`input_shape` of profile must be given for the model {model.name!r}, whose own is not fully known. "
            f"Received: input_shape={input_shape}, with {shapes} in the model. Pass the shape of one example, such as "
            "(224, 224, 3), or a list or dictionary of shapes for several inputs."
        )
    if struct is not None:
        keras.tree.assert_same_structure(struct, keras.tree.map_shape_structure(lambda shape: 0, shapes))
        dtypes = iter([tensor.dtype for tensor in keras.tree.flatten(struct)])
    else:
        dtypes = itertools.repeat(keras.config.floatx())
    return keras.tree.map_shape_structure(lambda shape: keras.KerasTensor((1, *shape), dtype=next(dtypes)), shapes)


def _shape(tensor):
    return tuple(tensor.shape[1:])


def _shapes(args, kwargs):
    tensors = keras.tree.flatten((args, kwargs))
    return [_shape(tensor) for tensor in tensors if hasattr(tensor, "shape")]
