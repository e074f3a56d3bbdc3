"""Follows channels through a model, layer by layer and operation by operation.

What each of them does with channels stands in the tables of `layer_rules` and `operation_rules`. A rule is found by the
name of Keras's class, then of the classes it derives from. A layer without a rule is traced; what cannot be traced
mixes.
"""

import keras
import numpy as np

from keras_sparse.analysis.channel_call import Call
from keras_sparse.analysis.channel_graph import ChannelGraph, Channels
from keras_sparse.analysis.layer_calls import input_specs
from keras_sparse.analysis.layer_rules import COUPLING, LAYERS
from keras_sparse.analysis.operation_rules import FUNCTIONS, OPERATIONS, SEPARABLE, mix
from keras_sparse.analysis.traced_call import functional_graph, traced_call
from keras_sparse.layers.sparse_kernel import SparseKernel

# Activations by the names of the functions and layers, without capitals and underscores: "LeakyReLU", "hard_silu".
SEPARABLE_ACTIVATIONS = {name.lower() for name in FUNCTIONS} | {"linear", "exponential", "swish", "hardswish"}


class Tracer:
    """Runs a model on `Channels` instead of tensors, and writes down the graph."""

    def __init__(self):
        self.graph = ChannelGraph()

    def trace(self, model, input_shape=None):
        graph = self.graph
        known = getattr(model, "inputs", None)
        if input_shape is None and known:
            specs = keras.tree.map_structure(lambda tensor: tensor, getattr(model, "_inputs_struct", known[0]))
        else:
            specs = input_specs(model, input_shape)
        channels = keras.tree.map_structure(self._input, specs)
        graph.inputs = np.concatenate([c.ids.ravel() for c in keras.tree.flatten(channels)])
        if functional_graph(model) is not None:
            outputs = self._run(functional_graph(model), keras.tree.flatten(channels))
        else:
            outputs = self.traced(model, (channels,), {})
            if outputs is None:
                raise ValueError(
                    "`model` must have a `call` that can be followed on symbolic tensors. Received: the model "
                    f"{model.name!r}, whose `call` cannot. Write it in `keras.ops` and layers, or as a functional "
                    "model."
                )
        graph.outputs = np.unique(np.concatenate([c.ids.ravel() for c in keras.tree.flatten(outputs)]))
        return graph

    def _input(self, spec):
        shape = tuple(spec.shape)
        # Channels may be first or last: that is for the layers to say.
        sizes = [(size or 1) if i in (0, len(shape) - 2) else 1 for i, size in enumerate(shape[1:])]
        return Channels(shape, self.graph.new_nodes(sizes))

    def _run(self, function, inputs):
        """Runs a functional graph; `inputs` are in the order of its inputs."""
        values = {id(tensor): value for tensor, value in zip(function.inputs, inputs, strict=True)}
        for depth in sorted(function._nodes_by_depth, reverse=True):
            for node in function._nodes_by_depth[depth]:
                if node.is_input or any(id(tensor) not in values for tensor in node.input_tensors):
                    continue
                args, kwargs = node.arguments.fill_in(values)
                outputs = self._apply(Call(self, node.operation, args, kwargs, node.outputs))
                for tensor, output in zip(node.outputs, keras.tree.flatten(outputs), strict=True):
                    values[id(tensor)] = output
        return [values[id(tensor)] for tensor in function.outputs]

    def _apply(self, call):
        operation = call.operation
        function = functional_graph(operation)
        if function is not None:
            for tensor, channels in zip(function.inputs, call.given, strict=True):
                self.graph.calls.append((tensor._keras_history.operation, channels, channels))
            return self._run(function, call.given)
        is_layer = isinstance(operation, keras.layers.Layer)
        rule = _rule(operation)
        if rule is not None:
            result = rule(call)
        else:
            result = self.traced(operation, call.args, call.kwargs) if is_layer else None
        if result is None:
            _refuse_hidden_kernels(operation)
            result = mix(call)
        if isinstance(result, Channels):
            if is_layer:
                self.graph.calls.append((operation, call.first, result))
            if not _is_separable(call, result):
                # A kernel tells its inputs apart, whatever its activation does with what comes out.
                for channels in (result,) if _reads_by_kernel(call) else (*call.given, result):
                    self.graph.whole = np.union1d(self.graph.whole, channels.ids)
        return result

    def traced(self, layer, args, kwargs):
        """Follows a layer's own `call`, or gives None if that does not work on symbolic tensors."""
        traced = traced_call(layer, args, kwargs, Channels)
        if traced is None:
            return None
        return keras.tree.pack_sequence_as(traced.outputs, self._run(traced.function, traced.given))


def _keras_classes(operation):
    """Names of the classes of Keras that an operation is of; a class of someone else may do anything."""
    return [kind.__name__ for kind in type(operation).__mro__ if kind.__module__.startswith("keras.")]


def _rule(operation):
    rules = LAYERS if isinstance(operation, keras.layers.Layer) else OPERATIONS
    return next((rules[name] for name in _keras_classes(operation) if name in rules), None)


def _refuse_hidden_kernels(operation):
    hidden = [s.name for s in getattr(operation, "_flatten_layers", list)() if isinstance(s, SparseKernel)]
    if hidden:
        raise ValueError(
            f"The layers {', '.join(hidden)} are inside {type(operation).__name__} {operation.name!r}, whose "
            "`call` cannot be followed on symbolic tensors. Exclude them, or write `call` in `keras.ops`."
        )


def _reads_by_kernel(call):
    return not {"Dense", "BaseConv"}.isdisjoint(_keras_classes(call.operation))


def _is_separable(call, result):
    """Whether a channel can be taken out of an operation without a change to the others."""
    names = set(_keras_classes(call.operation))
    on_several_axes = any(sum(size > 1 for size in c.ids.shape) > 1 for c in (*call.given, result))
    if on_several_axes and not _reads_by_kernel(call):
        return False
    if isinstance(call.operation, keras.layers.Layer):
        activation = getattr(call.operation, "activation", None)
        return (
            names.isdisjoint(COUPLING)
            and (activation is None or _name(activation) in SEPARABLE_ACTIVATIONS)
            and not isinstance(call.operation, keras.layers.Wrapper)
        )
    # A constant may have another value for each channel.
    constants = [x for x in keras.tree.flatten((call.args, call.kwargs)) if not isinstance(x, Channels)]
    return not names.isdisjoint(SEPARABLE) and all(np.ndim(x) == 0 for x in constants)


def _name(activation):
    return getattr(activation, "__name__", type(activation).__name__).lower().replace("_", "")
