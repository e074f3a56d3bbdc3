"""`keras-sparse export`: files for others from a saved model, and why they are as large as they are."""

import contextlib
import dataclasses
import json
import os
import tempfile
from pathlib import Path

from keras_sparse.commands import add_command
from keras_sparse.exports import FORMATS, FileSize, export
from keras_sparse.training.saved_model import load_saved


def add(commands):
    command = add_command(
        commands,
        "export",
        run,
        "Write a saved model for use elsewhere, check that each file predicts the same, and print a table of sizes.",
        (
            "keras-sparse export runs/first/best.keras --output exported",
            "keras-sparse export pruned.keras --output exported --formats keras litert litert_sparse onnx",
        ),
    )
    command.add_argument("file", metavar="MODEL.keras", help="a saved model, of any layers")
    command.add_argument("--output", metavar="DIR", required=True, help="folder to write")
    command.add_argument(
        "--formats",
        nargs="+",
        metavar="NAME",
        default=["keras", "saved_model", "litert"],
        help=f"{', '.join(FORMATS)}; keras, saved_model and litert unless given",
    )
    command.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")


def run(arguments):
    model = load_saved(arguments.file, "export")
    given = FileSize.of(arguments.file)
    try:
        with _quiet_converters():
            report = export(model, arguments.output, arguments.formats)
    except ImportError as error:
        raise ValueError(str(error)) from error
    report = dataclasses.replace(report, given=given, given_name=f"as given ({Path(arguments.file).name})")
    print(json.dumps(report.to_dict(), indent=2) if arguments.json else f"{report}\n\nWritten to {report.output}/")
    return 0


@contextlib.contextmanager
def _quiet_converters():
    """TensorFlow's converters write pages to the standard error of the process; what matters is in the report."""
    try:
        saved = os.dup(2)
    except OSError:  # closed: quiet already
        yield
        return
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
