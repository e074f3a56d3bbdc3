"""How the layers and operations of Keras pass channels on.

A rule is found by the name of the class, then of the classes it derives from. A layer without a rule is traced: its
`call` runs on symbolic tensors, and the operations in it have rules of their own. What cannot be traced mixes.
"""

import keras
import numpy as np

from keras_sparse.analysis.channel_graph import ChannelGraph, Channels, Link, Merge, Mix
from keras_sparse.analysis.layer_calls import input_specs
from keras_sparse.layers.sparse_kernel import SparseKernel

PER_CHANNEL = (
    "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "BatchNormalization", "GroupNormalization",
    "LayerNormalization", "RMSNormalization", "UnitNormalization", "Dropout", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Identity", "Masking", "Rescaling",
    "Normalization", "ActivityRegularization", "BasePooling", "BaseAdaptivePooling", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D", "UpSampling1D", "UpSampling2D", "UpSampling3D", "Cropping1D", "Cropping2D", "Cropping3D",
    "Resizing", "CenterCrop", "RandomFlip", "RandomCrop", "Cast", "Negative", "Absolute", "Exp", "Log", "Log1p",
    "Sqrt", "Rsqrt", "Square", "Tanh", "Sin", "Cos", "Reciprocal", "Sign", "Clip", "Relu6", "Sigmoid", "Softplus",
    "Softsign", "Silu", "HardSigmoid", "HardSilu", "Elu", "Selu", "Gelu", "LogSoftmax", "LogSigmoid", "StopGradient",
    "MaxPool", "AveragePool", "Pad", "Isfinite", "Floor", "Ceil", "Round", "Relu", "Erf", "Mish", "Squareplus",
    "Celu",
)  # fmt: skip
ELEMENTWISE = (
    "BaseMerge", "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Power", "Where",
    "Average",
)  # fmt: skip
MIXING = (
    "RNN", "MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention", "Embedding", "EinsumDense",
    "Dot",
)  # fmt: skip

# What makes each channel depend on others, so that none can be taken out.
COUPLING = {
    "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization", "Softmax", "LogSoftmax",
    "SpectralNormalization", "TimeDistributed",
}  # fmt: skip

PLAIN_ACTIVATIONS = {
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "sigmoid", "hard_sigmoid",
    "hard_silu", "hard_swish", "tanh", "hard_tanh", "softplus", "softsign", "exponential", "mish", "log_sigmoid",
    "squareplus", "sparse_plus", "soft_shrink", "hard_shrink", "tanh_shrink", "ReLU", "LeakyReLU", "ELU",
}  # fmt: skip

PLAIN_OPERATIONS = {
    "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Power", "Concatenate", "Cast",
    "Negative", "Absolute", "Exp", "Log", "Log1p", "Sqrt", "Rsqrt", "Square", "Tanh", "Sin", "Cos", "Reciprocal",
    "Sign", "Clip", "Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "Silu", "HardSigmoid", "HardSilu", "Elu",
    "Selu", "Celu", "Gelu", "LogSigmoid", "Erf", "Mish", "Squareplus", "StopGradient", "Identity",
}  # fmt: skip


class Tracer:
    """Runs a model on `Channels` instead of tensors, and writes down the graph."""

    def __init__(self):
        self.graph = ChannelGraph()
        self.rules = {
            **dict.fromkeys(PER_CHANNEL, self.per_channel),
            **dict.fromkeys(ELEMENTWISE, self.elementwise),
            **dict.fromkeys(MIXING, self.mix),
            "Concatenate": self.concatenate,
            "Stack": self.stack,
            "BaseGlobalPooling": self.global_pooling,
            "GlobalAveragePooling2D": self.global_pooling,
            "Flatten": self.reshape,
            "Reshape": self.reshape,
            "Squeeze": self.reshape,
            "ExpandDims": self.reshape,
            "Permute": self.permute,
            "Transpose": self.permute,
            **dict.fromkeys(("Mean", "Sum", "Max", "Min"), self.reduce),
            "GetItem": self.get_item,
            "Dense": self.dense,
            "BaseConv": self.convolution,
            "BaseConvTranspose": self.transposed_convolution,
            "BaseDepthwiseConv": self.depthwise,
            "BaseSeparableConv": self.separable,
            "TimeDistributed": self.time_distributed,
        }

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
            outputs = self._traced(model, (channels,), {})
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
                outputs = self._apply(node.operation, args, kwargs, node.outputs)
                for tensor, output in zip(node.outputs, keras.tree.flatten(outputs), strict=True):
                    values[id(tensor)] = output
        return [values[id(tensor)] for tensor in function.outputs]

    def _apply(self, operation, args, kwargs, outputs):
        function = functional_graph(operation)
        if function is not None:
            given = [c for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels)]
            for tensor, channels in zip(function.inputs, given, strict=True):
                self.graph.calls.append((tensor._keras_history.operation, channels, channels))
            return self._run(function, given)
        for kind in type(operation).__mro__:
            if kind.__name__ in self.rules:
                result = self.rules[kind.__name__](operation, args, kwargs, outputs)
                break
        else:
            result = self._traced(operation, args, kwargs) if isinstance(operation, keras.layers.Layer) else None
        if result is None:
            hidden = [s.name for s in getattr(operation, "_flatten_layers", list)() if isinstance(s, SparseKernel)]
            if hidden:
                raise ValueError(
                    f"The layers {', '.join(hidden)} are inside {type(operation).__name__} {operation.name!r}, whose "
                    "`call` cannot be followed on symbolic tensors. Exclude them, or write `call` in `keras.ops`."
                )
            result = self.mix(operation, args, kwargs, outputs)
        if isinstance(result, Channels):
            given = [c for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels)]
            if isinstance(operation, keras.layers.Layer):
                self.graph.calls.append((operation, given[0], result))
            if not _is_separable(operation, args, kwargs, given, result):
                for channels in (*given, result):
                    self.graph.whole = np.union1d(self.graph.whole, channels.ids)
        return result

    def _traced(self, layer, args, kwargs):
        """Follows a layer's own `call`, or gives None if that does not work on symbolic tensors."""
        given = [c for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels)]
        symbols = {
            id(c): keras.Input(batch_shape=c.shape, dtype=layer.compute_dtype, name=f"channels_{i}")
            for i, c in enumerate({id(c): c for c in given}.values())
        }
        args, kwargs = keras.tree.map_structure(
            lambda c: symbols[id(c)] if isinstance(c, Channels) else c, (tuple(args), dict(kwargs))
        )
        inside = list(layer._flatten_layers())
        before = [len(sublayer._inbound_nodes) for sublayer in inside]
        try:
            outputs = layer.call(*args, **kwargs)
            function = keras.Function(list(symbols.values()), keras.tree.flatten(outputs))
        except Exception:  # whatever a foreign `call` raises on symbols
            return None
        finally:
            for sublayer, count in zip(inside, before, strict=True):
                del sublayer._inbound_nodes[count:]  # leave no trace
        results = self._run(function, list({id(c): c for c in given}.values()))
        return keras.tree.pack_sequence_as(outputs, results)

    # Rules. Each takes the operation, its arguments and its symbolic outputs, and returns `Channels`.

    def mix(self, operation, args, kwargs, outputs):
        """Everything depends on everything."""
        given = [c.ids.ravel() for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels)]
        results = []
        for output in outputs:
            shape = tuple(output.shape)
            ids = self.graph.new_nodes([1] * (len(shape) - 2) + [shape[-1] or 1] if len(shape) > 1 else [])
            if given:
                self.graph.steps.append(Mix(np.unique(np.concatenate(given)), ids.ravel()))
            results.append(Channels(shape, ids))
        return results

    def _channel_ids(self, channels, axis):
        """One node for each channel: where positions differ, a new one that depends on all of them."""
        axis %= len(channels.shape) - 1
        sizes = list(channels.ids.shape)
        sizes[axis] = channels.shape[1:][axis] or 1
        ids = np.moveaxis(np.broadcast_to(channels.ids, sizes), axis, 0)
        ids = ids.reshape(len(ids), -1)
        if ids.shape[1] == 1 or (ids == ids[:, :1]).all():
            return ids[:, 0]
        merged = self.graph.new_nodes(len(ids))
        self.graph.steps.append(Merge(ids.ravel(), np.repeat(merged, ids.shape[1]), aligned=False))
        return merged

    def _per_axis(self, ids, shape, axis):
        """Channels of a tensor whose positions all look alike."""
        rank = len(shape) - 1
        return Channels(tuple(shape), ids.reshape([len(ids) if i == axis % rank else 1 for i in range(rank)]))

    def per_channel(self, operation, args, kwargs, outputs):
        channels, shape = _first(args, kwargs), tuple(outputs[0].shape)
        if len(outputs) > 1:
            return self.mix(operation, args, kwargs, outputs)
        resized = zip(channels.ids.shape, channels.shape[1:], shape[1:], strict=True)
        if all(size == 1 or before == after for size, before, after in resized):
            return Channels(shape, channels.ids)
        axis = 0 if getattr(operation, "data_format", None) == "channels_first" else -1
        return self._per_axis(self._channel_ids(channels, axis), shape, axis)

    def global_pooling(self, operation, args, kwargs, outputs):
        shape = tuple(outputs[0].shape)
        axis = 0 if operation.data_format == "channels_first" else -1
        return self._per_axis(self._channel_ids(_first(args, kwargs), axis), shape, axis if operation.keepdims else -1)

    def elementwise(self, operation, args, kwargs, outputs):
        given = [c for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels)]
        shape = tuple(outputs[0].shape)
        if len(given) == 1:
            return Channels(shape, given[0].ids) if len(given[0].shape) == len(shape) else None
        parts = [c.ids.reshape([1] * (len(shape) - 1 - c.ids.ndim) + list(c.ids.shape)) for c in given]
        sizes = np.broadcast_shapes(*(part.shape for part in parts))
        if all(np.array_equal(np.broadcast_to(part, sizes), np.broadcast_to(parts[0], sizes)) for part in parts):
            return Channels(shape, np.broadcast_to(parts[0], sizes))
        ids = self.graph.new_nodes(sizes)
        for part in parts:
            sources = np.broadcast_to(part, sizes).ravel()
            self.graph.steps.append(Merge(sources, ids.ravel()))
        return Channels(shape, ids)

    def concatenate(self, operation, args, kwargs, outputs):
        given = [c for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels)]
        shape = tuple(outputs[0].shape)
        axis = (operation.axis % len(shape)) - 1
        parts = []
        for c in given:
            sizes = list(
                np.broadcast_shapes(*(other.ids.shape[:axis] + (1,) + other.ids.shape[axis + 1 :] for other in given))
            )
            sizes[axis] = c.shape[1:][axis] or 1
            parts.append(np.broadcast_to(c.ids, sizes))
        return Channels(shape, np.concatenate(parts, axis=axis))

    def stack(self, operation, args, kwargs, outputs):
        given = [c for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels)]
        axis = (operation.axis % len(outputs[0].shape)) - 1
        return Channels(tuple(outputs[0].shape), np.stack(np.broadcast_arrays(*(c.ids for c in given)), axis=axis))

    def reshape(self, operation, args, kwargs, outputs):
        channels, shape = _first(args, kwargs), tuple(outputs[0].shape)
        if None in channels.shape[1:] or None in shape[1:]:
            return None
        ids = channels.full()
        if getattr(operation, "data_format", None) == "channels_first" and type(operation).__name__ == "Flatten":
            ids = np.moveaxis(ids, 0, -1)
        return Channels(shape, _alike(ids.reshape(shape[1:])))

    def permute(self, operation, args, kwargs, outputs):
        channels = _first(args, kwargs)
        order = getattr(operation, "dims", None) or getattr(operation, "axes", None)
        if order is None or (not hasattr(operation, "dims") and order[0] != 0):
            return None
        order = [i - 1 for i in (order if hasattr(operation, "dims") else order[1:])]
        return Channels(tuple(outputs[0].shape), channels.ids.transpose(order))

    def reduce(self, operation, args, kwargs, outputs):
        channels, shape = _first(args, kwargs), tuple(outputs[0].shape)
        axes = operation.axis
        if axes is None:
            return None
        rank = len(channels.shape)
        axes = {axis % rank for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
        if 0 in axes:
            return None
        kept = [i - 1 for i in range(1, rank) if i not in axes]
        ids = channels.ids.transpose(kept + [i - 1 for i in sorted(axes)])
        sizes = [ids.shape[i] for i in range(len(kept))]
        parts = ids.reshape(*sizes, -1)
        result = parts[..., 0]
        if not (parts == parts[..., :1]).all():
            result = self.graph.new_nodes(sizes)
            for i in range(parts.shape[-1]):
                self.graph.steps.append(Merge(parts[..., i].ravel(), result.ravel()))
        if operation.keepdims:
            result = result.reshape([1 if i in axes else channels.ids.shape[i - 1] for i in range(1, rank)])
        return Channels(shape, result)

    def get_item(self, operation, args, kwargs, outputs):
        channels = _first(args, kwargs)
        key = kwargs.get("key", args[1] if len(args) > 1 else None)
        key = key if isinstance(key, tuple) else (key,)
        if key[0] != slice(None) or None in channels.shape[1:] or any(isinstance(k, Channels) for k in key):
            return None
        return Channels(tuple(outputs[0].shape), _alike(channels.full()[key[1:]]))

    def _link(self, layer, channels, axis, fan_out, shape, fixed=None, sliceable=True):
        outputs = self.graph.new_nodes(fan_out)
        self.graph.steps.append(Link(layer, self._channel_ids(channels, axis), outputs, fixed, sliceable))
        return self._per_axis(outputs, shape, axis)

    def dense(self, operation, args, kwargs, outputs):
        return self._link(operation, _first(args, kwargs), -1, operation.units, outputs[0].shape)

    def time_distributed(self, operation, args, kwargs, outputs):
        # A dense layer looks at the last axis, whatever stands before it; others are followed as far as that goes.
        if isinstance(operation.layer, keras.layers.Dense):
            return self.dense(operation.layer, args, kwargs, outputs)
        return self._traced(operation, args, kwargs)

    def _axis(self, operation):
        return 0 if operation.data_format == "channels_first" else -1

    def convolution(self, operation, args, kwargs, outputs):
        channels, axis, groups = _first(args, kwargs), self._axis(operation), operation.groups
        fixed = None
        if groups > 1:
            size = (channels.shape[1:][axis] // groups, operation.filters // groups)
            fixed = np.kron(np.eye(groups, dtype=bool), np.ones(size, dtype=bool))
        return self._link(operation, channels, axis, operation.filters, outputs[0].shape, fixed, groups == 1)

    def transposed_convolution(self, operation, args, kwargs, outputs):
        axis, shape = self._axis(operation), outputs[0].shape
        return self._link(operation, _first(args, kwargs), axis, operation.filters, shape, sliceable=False)

    separable = transposed_convolution

    def depthwise(self, operation, args, kwargs, outputs):
        axis = self._axis(operation)
        ids = np.repeat(self._channel_ids(_first(args, kwargs), axis), operation.depth_multiplier)
        return self._per_axis(ids, outputs[0].shape, axis)


def _alike(ids):
    """`ids` with length 1 along axes where nothing changes."""
    for axis in range(ids.ndim):
        one = ids.take([0], axis=axis)
        if ids.shape[axis] > 1 and (ids == one).all():
            ids = one
    return ids


def _is_separable(operation, args, kwargs, given, result):
    """Whether a channel can be taken out of an operation without a change to the others."""
    names = {kind.__name__ for kind in type(operation).__mro__}
    reads_by_kernel = bool(names & {"Dense", "BaseConv"})
    if names & COUPLING or (not reads_by_kernel and _lie_on_several_axes(*given, result)):
        return False
    activation = getattr(operation, "activation", None)
    if activation is not None and getattr(activation, "__name__", type(activation).__name__) not in PLAIN_ACTIVATIONS:
        return False
    if isinstance(operation, keras.layers.Layer):
        return not isinstance(operation, keras.layers.Wrapper)
    scalars = all(np.ndim(x) == 0 for x in keras.tree.flatten((args, kwargs)) if not isinstance(x, Channels))
    return scalars and bool(names & PLAIN_OPERATIONS)


def _lie_on_several_axes(*tensors):
    return any(sum(size > 1 for size in channels.ids.shape) > 1 for channels in tensors)


def _first(args, kwargs):
    return next(c for c in keras.tree.flatten((args, kwargs)) if isinstance(c, Channels))


def functional_graph(model):
    """The `keras.Function` that a functional or sequential model is, or None for all else."""
    if isinstance(model, keras.Sequential):
        return model._functional  # None before it is built
    return model if isinstance(model, keras.Model) and hasattr(model, "_nodes_by_depth") else None
