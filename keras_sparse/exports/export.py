"""From a trained model to files for others, each of them read back and compared."""

from pathlib import Path

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.exports.batch import Batch, predictions
from keras_sparse.exports.comparison import compare, tolerance
from keras_sparse.exports.encoding import encodings
from keras_sparse.exports.file_size import FileSize
from keras_sparse.exports.report import ExportError, ExportReport
from keras_sparse.exports.written_file import check_place, written_file
from keras_sparse.normalization import plain_operations
from keras_sparse.transforms import shrink, strip
from keras_sparse.transforms.rebuild import check_model


def export(model, output, formats=("keras", "saved_model", "litert"), batch=None):
    """Writes a model for use elsewhere: stock layers, zeros kept, no training state; says what each file costs.

    Each file is read back, and its predictions are compared with the model's on `batch`. A file that predicts
    something else is renamed to `*.wrong`, and an error is raised at the end. Files of an earlier export are replaced.

    Args:
        model: Built Keras model; it is left as it is.
        output: Folder to write: `model.keras`, `model_zipped.keras`, `saved_model/`, `model.tflite`,
            `model_sparse.tflite`, `model.onnx`.
        formats: Names in `exports.FORMATS`, one or several. On any backend "keras", and "keras_zipped", the same file
            compressed. On TensorFlow also "saved_model"; "litert"; "litert_sparse", which LiteRT keeps small by
            itself; "onnx", which needs `pip install onnx tf2onnx onnxruntime`.
        batch: Array, or structure of arrays, that the model takes; None draws 16 examples (see `exports.Batch`).

    Returns:
        An `ExportReport`; `str()` of it is a table of sizes.

    Raises:
        ValueError: If an argument is unknown, the backend cannot write a format, or the model predicts no finite
            numbers on `batch`.
        ImportError: If ONNX is wanted and not installed.
        ExportError: If a file could not be written, or predicts something else. It is a `ValueError`.

    Example:
        >>> report = export(pruned, "exported", formats=("keras", "litert"))
        >>> report.files[1].is_equal, report.files[1].size.zipped_bytes < 0.1 * report.dense_bytes
        (True, True)
    """
    check_model(model, "export")
    formats = _checked(formats)
    folder = Path(output).expanduser()
    if folder.exists() and not folder.is_dir():
        raise checks.error("output", "export", "a folder, or a name for a new one", str(output), "It is a file.")
    for member in formats.values():
        check_place(folder / member.file_name, member)
    batch = Batch.of(model, batch)
    expected = predictions(model, batch)
    if not all(np.isfinite(array.astype("float64")).all() for array in expected):
        raise ValueError(
            f"`batch` of export must give finite predictions, or nothing can be compared. Received: a batch on which "
            f"the model {model.name!r} predicts NaN or infinity. Pass a few real examples, or look at its weights."
        )
    stripped = strip(model)
    allowed = tolerance(model)
    own = _own_classes(stripped)
    folder.mkdir(parents=True, exist_ok=True)
    # Operations in C++ would be looked for where the files are read.
    with keras.saving.custom_object_scope({kind.__name__: kind for kind in own}), plain_operations():
        files = tuple(
            written_file(name, member, stripped, folder / member.file_name, batch, expected, allowed)
            for name, member in formats.items()
        )
    kernels, others = encodings(stripped)
    notes = list(_warnings(own, expected, allowed))
    report = ExportReport(
        model_name=model.name,
        output=str(folder),
        files=files,
        tolerance=allowed,
        kernels=kernels,
        other_bytes=others,
        given=_given(model, notes),
        given_name="as given, with optimizer" if _has_optimizer(model) else "as given",
        shrunk=_shrunk(model, stripped, batch, expected, allowed, notes),
        notes=tuple(notes),
    )
    if report.wrong:
        raise ExportError(report)
    return report


def _checked(formats):
    """Dictionary of the formats by name, in the order asked for; each can be written here."""
    from keras_sparse.exports import FORMATS  # which needs this file

    names = [formats] if isinstance(formats, str) else list(formats)
    if not names or len(set(names)) != len(names):
        raise checks.error(
            "formats", "export", "one or more names, each once", formats, f"Pick from {FORMATS.names()}."
        )
    members = {name: FORMATS.lookup(name, "export")() for name in names}
    for name, member in members.items():
        member.check(name)
    return members


def _own_classes(model):
    """Classes of layers that are not Keras's, in the order of their names."""
    kinds = {type(layer) for layer in model._flatten_layers()}
    return sorted((kind for kind in kinds if not kind.__module__.startswith("keras.")), key=lambda kind: kind.__name__)


def _warnings(own, expected, allowed):
    if own:
        names = ", ".join(f"{kind.__name__} ({kind.__module__.partition('.')[0]})" for kind in own)
        yield f"Files of Keras load only where these classes are imported: {names}."
    arrays = [array.astype("float64") for array in expected if array.ndim and len(array) > 1]
    if arrays and not any(_varies(array, allowed) for array in arrays):
        yield "All examples are predicted alike, so that the comparison says little: pass real ones as `batch`."


def _varies(array, allowed):
    """Whether predictions differ from example to example by much more than by rounding."""
    return np.ptp(array, axis=0).max(initial=0.0) > 10 * allowed * np.abs(array).max(initial=0.0)


def _has_optimizer(model):
    return getattr(model, "optimizer", None) is not None and model.optimizer.built


def _given(model, notes):
    try:
        return FileSize.of_saved(model)
    except (ValueError, TypeError, NotImplementedError) as error:
        notes.append(f"The model as given could not be saved: {_first_line(error)}")
        return None


def _shrunk(model, stripped, batch, expected, allowed, notes):
    """Size of the shrunk model, if it is smaller and predicts the same."""
    shapes = keras.tree.map_structure(lambda array: array.shape[1:], batch.values)
    try:
        small = shrink(model, shapes)
        if small.count_params() >= stripped.count_params():
            return None
        difference, is_equal = compare(expected, predictions(small, batch), allowed)
    except ValueError as error:
        notes.append(f"shrink: {_first_line(error)}")
        return None
    if not is_equal:
        notes.append(f"shrink: what it makes of this model differs by {difference:.3g}. Do not use it; please report.")
        return None
    return FileSize.of_saved(small)


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
