"""One file: written, read back, compared, and set apart if it is wrong."""

import shutil
import textwrap

from keras_sparse import checks
from keras_sparse.exports.comparison import compare
from keras_sparse.exports.file_size import FileSize
from keras_sparse.exports.report import ExportedFile


def check_place(path, member):
    """Refuses to write where something else is: what an earlier export wrote is replaced, nothing else."""
    if path.is_dir() and not member.owns(path):
        raise checks.error(
            "output", "export", f"a folder whose {path.name} may be replaced", str(path.parent),
            f"There is a folder {path.name} in it that no export has written. Choose another folder, or move it away.",
        )  # fmt: skip


def written_file(name, member, model, path, batch, expected, allowed):
    """Writes a model in one format and compares what the file predicts.

    Args:
        name: String, name of the format.
        member: `ExportFormat`.
        model: Keras model of stock layers.
        path: `Path` to write.
        batch: `Batch` to compare on.
        expected: List of arrays, the predictions that are right.
        allowed: Float, tolerance of `compare`.

    Returns:
        An `ExportedFile`. Whatever a converter has against the model is its `failure`.
    """
    wrong = path.with_name(f"{path.name}.wrong")
    for old in (path, wrong):
        _remove(old)
    size, difference, is_equal, failure = None, None, False, None
    try:
        member.write(model, str(path), batch)
        size = FileSize.of(path)
        difference, is_equal = compare(expected, member.predict(str(path), batch), allowed)
    except Exception as error:  # each converter and each runtime has kinds of its own
        failure = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
    if not is_equal and path.exists():
        path = path.rename(wrong)
    return ExportedFile(name, str(path), size, difference, is_equal, failure)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
