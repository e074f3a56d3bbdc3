"""What was exported, whether it predicts the same, and why it is as large as it is.

>>> print(keras_sparse.export(pruned, "exported"))
"""

import dataclasses
import math
import textwrap

from keras_sparse.analysis.text_table import short, shorten, text_table
from keras_sparse.exports.file_size import FileSize

WHY = (
    'Zeros are stored like other numbers, so a pruned model is as large as it was: compress the file (column "zipped", '
    'or the formats "keras_zipped" and "litert_sparse"), or take out whole channels (prune with pattern="channel", '
    "then `shrink`)."
)


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """One file of an export.

    Attributes:
        format: String, name in `FORMATS`.
        path: String, where it is; a file that predicts something else has `.wrong` after its name.
        size: `FileSize`, or None if it could not be written.
        difference: Float, the largest absolute difference between its predictions and the model's, or None.
        is_equal: Boolean, whether all predictions are equal to rounding.
        failure: String, why it could not be written, read or compared, or None.
    """

    format: str
    path: str
    size: FileSize | None = None
    difference: float | None = None
    is_equal: bool = False
    failure: str | None = None

    def verdict(self):
        """Words for a table: "equal", or what is wrong."""
        if self.failure is not None:
            return "FAILED"
        return f"{'equal' if self.is_equal else 'WRONG'} ({self.difference:.1e})"


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """The files of an export beside what the model could cost; `str()` is a table of at most 100 columns.

    Attributes:
        model_name: String.
        output: String, the folder.
        files: Tuple of `ExportedFile`.
        tolerance: Float; predictions are equal if they differ by no more than this, times the largest absolute value
            of the output that they belong to.
        kernels: Tuple of `KernelEncoding`.
        other_bytes: Bytes of all weights that are no kernels.
        given: `FileSize` of the model as it was given, saved as `.keras`, or None if that fails.
        given_name: String, what that file is.
        shrunk: `FileSize` of what `shrink` makes of the model, or None if that is no smaller.
        notes: Tuple of strings to be read below the table.
    """

    model_name: str
    output: str
    files: tuple
    tolerance: float
    kernels: tuple
    other_bytes: int
    given: FileSize | None
    given_name: str
    shrunk: FileSize | None
    notes: tuple = ()

    @property
    def connections(self):
        """Number of kernel weights that are not zero."""
        return sum(kernel.connections for kernel in self.kernels)

    @property
    def dense_bytes(self):
        """All weights, zeros included."""
        return self.other_bytes + sum(kernel.dense_bytes for kernel in self.kernels)

    @property
    def encoded_bytes(self):
        """All weights, kernels in the smallest layout of `KernelEncoding`."""
        return self.other_bytes + sum(kernel.bytes for kernel in self.kernels)

    @property
    def wrong(self):
        """The files that do not predict what the model predicts."""
        return tuple(file for file in self.files if not file.is_equal)

    def to_dict(self):
        """Everything in plain values, for JSON."""
        names = ("connections", "dense_bytes", "encoded_bytes")
        return dataclasses.asdict(self) | {name: getattr(self, name) for name in names}

    def __str__(self):
        rows = [(self.given_name, self.given, "")]
        rows += [(_name(file), file.size, file.verdict()) for file in self.files]
        rows += [("weights, dense", self.dense_bytes, ""), ("weights, sparse encoding", self.encoded_bytes, "")]
        if self.shrunk is not None:
            rows.append(("shrunk.keras (not written)", self.shrunk, ""))
        table = text_table(
            ("", "bytes", "zipped", "predictions"),
            [(name, *_sizes(size), verdict) for name, size, verdict in rows if size is not None or verdict],
            words=(44,),
        )
        weights = sum(math.prod(kernel.shape) for kernel in self.kernels)
        sparsity = 1 - self.connections / weights if weights else 0.0
        title = f"Export of {self.model_name}: {short(self.connections)} connections, sparsity {sparsity:.4g}"
        lines = [WHY, f"equal: no prediction differs by more than {self.tolerance:g} of the largest.", *self.notes]
        lines += [f"{file.format}: {file.failure}" for file in self.files if file.failure is not None]
        return "\n".join([shorten(title, 100), table, *(textwrap.fill(line, 100) for line in lines)])


class ExportError(ValueError):
    """Raised after an export of which a file is wrong; `report` is the `ExportReport`."""

    def __init__(self, report):
        self.report = report
        wrong = ", ".join(f"{file.format} {file.verdict()}" for file in report.wrong)
        super().__init__(
            f"`formats` of export must give files that predict what the model predicts. Received: {wrong}. Leave "
            f"these formats out; what was written is kept with .wrong after its name.\n{report}"
        )


def _name(file):
    return file.path.rstrip("/").rpartition("/")[2]


def _sizes(size):
    if size is None:
        return "-", "-"
    if isinstance(size, FileSize):
        return f"{size.bytes:,}", f"{size.zipped_bytes:,}"
    return f"{size:,}", ""
