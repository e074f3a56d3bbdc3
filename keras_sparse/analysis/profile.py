"""What a model stores, connects and computes, layer by layer.

>>> print(profile(keras_sparse.applications.SparseNet(40, 12, bottleneck=True)))
"""

import collections
import dataclasses
import itertools
import math
import textwrap

from keras_sparse.analysis.layer_calls import layer_calls
from keras_sparse.analysis.multiply_adds import OPAQUE, multiply_adds
from keras_sparse.analysis.text_table import short, shorten, text_table
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.layers.two_forms import loops_of


@dataclasses.dataclass(frozen=True)
class ProfileRow:
    """One call of one layer; a layer that is called twice stores its parameters in the first row only.

    Attributes:
        name: Names of the layers around it, outermost first, and its own, joined by "/".
        kind: The layer's class name.
        output_shape: Tuple without the batch axis.
        stored_parameters: Trained values held in memory.
        connected_parameters: Of these, the ones that are non-zero by construction.
        dense_parameters: What the same layer would hold without sparsity.
        statistics: Values held but not trained, such as moving averages, masks and indices.
        macs: Multiply-adds per example; None where unknown.
        dense_macs: The same without sparsity.
        activation_bytes: Memory of the output for one example.
        implementation: How the product with its sparse kernel is computed, "masked" or a name in
            `kernels.IMPLEMENTATIONS`; None for other layers.
    """

    name: str
    kind: str
    output_shape: tuple
    stored_parameters: int
    connected_parameters: int
    dense_parameters: int
    statistics: int
    macs: int | None
    dense_macs: int | None
    activation_bytes: int
    implementation: str | None = None


@dataclasses.dataclass(frozen=True)
class Profile:
    """The rows of a model and their totals; `str()` is a table of at most 100 columns.

    Attributes:
        model_name: String.
        rows: Tuple of `ProfileRow`, in the order of the calls.
    """

    model_name: str
    rows: tuple

    def _total(self, column):
        return sum(getattr(row, column) or 0 for row in self.rows)

    @property
    def stored_parameters(self):
        return self._total("stored_parameters")

    @property
    def connected_parameters(self):
        return self._total("connected_parameters")

    @property
    def dense_parameters(self):
        return self._total("dense_parameters")

    @property
    def statistics(self):
        return self._total("statistics")

    @property
    def macs(self):
        return self._total("macs")

    @property
    def dense_macs(self):
        return self._total("dense_macs")

    @property
    def activation_bytes(self):
        """Memory of all outputs of one example, as training keeps them for the gradient."""
        return self._total("activation_bytes")

    @property
    def uncounted(self):
        """Kinds of layers that have kernels and no rule for their multiply-adds."""
        return sorted({row.kind for row in self.rows if row.macs is None})

    def __str__(self):
        titles = ("layer", "kind", "output", "stored", "connected", "dense", "MACs", "bytes")
        rows = [
            (
                _label(row.name),
                row.kind if row.implementation in (None, "masked") else f"{row.kind}/{row.implementation}",
                "x".join(map(str, row.output_shape)) or "scalar",
                short(row.stored_parameters),
                short(row.connected_parameters),
                short(row.dense_parameters),
                "?" if row.macs is None else short(row.macs),
                short(row.activation_bytes),
            )
            for row in self.rows
        ]
        table = text_table(titles, rows, words=(23, 22, 11))  # with the numbers, at most 100 columns
        rule = table.splitlines()[1]
        return "\n".join([shorten(f"Profile of {self.model_name}", 100), table, rule, *self.summary_lines()])

    def summary_lines(self):
        """The totals, one a line."""
        lines = [
            f"parameters stored            {self.stored_parameters:>16,}",
            f"parameters connected         {self.connected_parameters:>16,}",
            f"parameters dense-equivalent  {self.dense_parameters:>16,}",
            f"masks, statistics            {self.statistics:>16,}   (not trained)",
            f"MACs per example             {self.macs:>16,}   (FLOPs {short(2 * self.macs)})",
            f"MACs dense-equivalent        {self.dense_macs:>16,}",
            f"activations per example      {self.activation_bytes:>16,} bytes",
        ]
        used = collections.Counter(row.implementation for row in self.rows if row.implementation)
        if used:
            words = ", ".join(f"{name} {count}" for name, count in sorted(used.items()))
            lines.append(f"sparse products              {words}")
        if self.uncounted:
            lines += textwrap.wrap(f"MACs not counted for: {', '.join(self.uncounted)}", 100, subsequent_indent="  ")
        return lines


def profile(model, input_shape=None):
    """Profiles any built Keras model, without running it.

    Args:
        model: Keras model: functional, sequential or subclassed and built, of any layers.
        input_shape: Tuple without the batch axis; needed where the model's own has unknown sizes. For several
            inputs a list or dictionary of tuples.

    Returns:
        A `Profile`. Parameters are trained values (the papers' counts); moving statistics are apart. MACs
        count dense layers, convolutions, recurrences and attention, per example, not bare operations such as
        `ops.matmul`; FLOPs are twice that.

    Raises:
        ValueError: If the model is not built, or the input shape unknown.

    Example:
        >>> profile(keras_sparse.applications.DenseNet121(weights=None)).stored_parameters
        7978856
    """
    rows, seen = [], set()

    def add_row(path, layer, owners, output_shape, macs=0, dense_macs=0, activation_bytes=0):
        sparse = [owner for owner in owners if isinstance(owner, SparseKernel) and id(owner.trained_kernel) not in seen]
        stored, statistics = (_size(variables, seen) for variables in _variables(owners))
        connected = sum(owner.connected_weights - math.prod(owner.trained_kernel.shape) for owner in sparse)
        dense = sum(owner.dense_weights - math.prod(owner.trained_kernel.shape) for owner in sparse)
        rows.append(
            ProfileRow(
                name="/".join(path) or model.name,
                kind=type(layer).__name__,
                output_shape=output_shape,
                stored_parameters=stored,
                connected_parameters=stored + connected,
                dense_parameters=stored + dense,
                statistics=statistics,
                macs=macs,
                dense_macs=dense_macs,
                activation_bytes=activation_bytes,
                implementation=next((x.implementation_in_use for x in owners if isinstance(x, SparseKernel)), None),
            )
        )

    def holds_something(layer):
        return any(id(variable) not in seen for variables in _variables([layer]) for variable in variables)

    for call in layer_calls(model, input_shape, OPAQUE):
        if not call.children:
            # It ran no other layer, and answers for all that it contains (attention, recurrent cells).
            owners = list(call.layer._flatten_layers())
            macs = multiply_adds(call), multiply_adds(call, dense=True)
            add_row(call.path[1:], call.layer, owners, call.output, *macs, _bytes(call))
        elif holds_something(call.layer):
            add_row(call.path[1:], call.layer, [call.layer], call.output)
    counted_by_unit = {id(part) for loop in loops_of(model) for part in loop._flatten_layers()}
    for layer in model._flatten_layers():
        if id(layer) not in counted_by_unit and holds_something(layer):
            add_row((layer.name, "(not called)"), layer, [layer], ())
    return Profile(model.name, tuple(rows))


def _variables(layers):
    """Trained variables and others, by structure and not by `trainable`: freezing does not change what a layer is."""
    return (
        [variable for layer in layers for variable in layer._trainable_variables],
        [variable for layer in layers for variable in layer._non_trainable_variables],
    )


def _size(variables, seen):
    """Number of values in the variables that were not `seen` before; they are now."""
    size = 0
    for variable in variables:
        if id(variable) not in seen:
            seen.add(id(variable))
            size += math.prod(variable.shape)
    return size


def _bytes(call):
    width = {"float64": 8, "float16": 2, "bfloat16": 2}.get(call.layer.compute_dtype, 4)
    return math.prod(call.output) * width


def _label(path):
    """A path without the parts that the next one repeats: `conv2/conv2_block1` -> `conv2_block1`."""
    names = path.split("/")
    kept = [a for a, b in itertools.pairwise(names) if not b.startswith(a)]
    return "/".join([*kept, names[-1]])
