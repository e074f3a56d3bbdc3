"""What a model stores, connects and computes, layer by layer.

>>> print(profile(keras_sparse.applications.SparseNet(40, 12, bottleneck=True)))
"""

import dataclasses
import itertools
import math

from keras_sparse.analysis.layer_calls import layer_calls
from keras_sparse.analysis.multiply_adds import OPAQUE, multiply_adds


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
        statistics: Values held but not trained, such as moving averages.
        macs: Multiply-adds per example; None where unknown.
        dense_macs: The same without sparsity.
        activation_bytes: Memory of the output for one example.
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
        columns = (
            ("layer", 33), ("kind", 18), ("output", 12), ("stored", 8), ("connected", 9), ("MACs", 8), ("memory", 6),
        )  # fmt: skip
        header = " ".join(_fit(title, width, "<" if i < 3 else ">") for i, (title, width) in enumerate(columns))
        lines = [f"Profile of {self.model_name}", header, "-" * len(header)]
        for row in self.rows:
            cells = (
                _label(row.name),
                row.kind,
                "x".join(map(str, row.output_shape)) or "scalar",
                short(row.stored_parameters),
                short(row.connected_parameters),
                "?" if row.macs is None else short(row.macs),
                short(row.activation_bytes),
            )
            lines.append(
                " ".join(
                    _fit(cell, width, "<" if i < 3 else ">")
                    for i, (cell, (_, width)) in enumerate(zip(cells, columns, strict=True))
                )
            )
        lines += ["-" * len(header), *self.summary_lines()]
        return "\n".join(lines)

    def summary_lines(self):
        """The totals, one a line."""
        lines = [
            f"parameters stored            {self.stored_parameters:>16,}",
            f"parameters connected         {self.connected_parameters:>16,}",
            f"parameters dense-equivalent  {self.dense_parameters:>16,}",
            f"statistics (not trained)     {self.statistics:>16,}",
            f"MACs per example             {self.macs:>16,}   (FLOPs {short(2 * self.macs)})",
            f"MACs dense-equivalent        {self.dense_macs:>16,}",
            f"activations per example      {self.activation_bytes:>16,} bytes",
        ]
        if self.uncounted:
            lines.append(f"MACs not counted for: {', '.join(self.uncounted)}")
        return lines


def profile(model, input_shape=None):
    """Profiles any built Keras model, without running it.

    Args:
        model: Keras model: functional, sequential or subclassed and built, of any layers.
        input_shape: Tuple without the batch axis; needed where the model's own has unknown sizes.

    Returns:
        A `Profile`. Parameters are trained values (the papers' counts); moving statistics are apart. MACs
        count dense layers, convolutions, recurrences and attention, per example; FLOPs are twice that.

    Raises:
        ValueError: If the input shape is unknown.

    Example:
        >>> profile(keras_sparse.applications.DenseNet121(weights=None)).stored_parameters
        7978856
    """
    rows, seen = [], set()
    for call in layer_calls(model, input_shape, OPAQUE):
        own = _own_layers(call)
        stored = statistics = 0
        for layer in own:
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            # By structure, not by `trainable`: freezing a layer does not change what it is.
            stored += _size(layer._trainable_variables)
            statistics += _size(layer._non_trainable_variables)
        if call.children and not stored + statistics:
            continue
        macs = 0 if call.children else multiply_adds(call)
        rows.append(
            ProfileRow(
                name="/".join(call.path[1:]) or model.name,
                kind=type(call.layer).__name__,
                output_shape=call.output,
                stored_parameters=stored,
                connected_parameters=stored,
                dense_parameters=stored,
                statistics=statistics,
                macs=macs,
                dense_macs=macs,
                activation_bytes=0 if call.children else _bytes(call),
            )
        )
    return Profile(model.name, tuple(rows))


def _own_layers(call):
    """The layers whose variables belong in the row of `call`.

    A layer that ran no other layer answers for all it contains (attention, recurrent cells); one that did,
    for what it holds itself.
    """
    return [call.layer] if call.children else list(call.layer._flatten_layers())


def _size(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def _bytes(call):
    width = {"float64": 8, "float16": 2, "bfloat16": 2}.get(call.layer.compute_dtype, 4)
    return math.prod(call.output) * width


def short(number):
    """`12345678` -> `"12.3M"`: three digits and a unit."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            value = number / limit
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{unit}"
    return str(number)


def _label(path):
    """A path without the parts that the next one repeats: `conv2/conv2_block1` -> `conv2_block1`."""
    names = path.split("/")
    kept = [a for a, b in itertools.pairwise(names) if not b.startswith(a)]
    return "/".join([*kept, names[-1]])


def _fit(text, width, align):
    if len(text) > width:
        text = "…" + text[-(width - 1) :] if align == "<" else text[:width]
    return f"{text:{align}{width}}"
