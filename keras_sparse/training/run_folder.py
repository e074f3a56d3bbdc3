"""The files of a run. Each is replaced in one step, so that none is ever half written."""

import csv
import io
import json
import os
import platform
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.distribution import Strategy
from keras_sparse.training.recipe import Recipe

PROGRESS = "keras_sparse_progress.json"  # inside last.keras


class RunFolder:
    """Reads and writes the folder of a run.

    What a run needs to go on is one file, `last.keras`: model, optimizer and, as one more member of the archive, the
    history so far. Everything else follows from it.

    Args:
        path: Folder.
        strategy: `distribution.Strategy` of the run, of whose processes only that of rank 0 writes.
    """

    def __init__(self, path, strategy=None):
        self.path = Path(path).expanduser()
        self.strategy = strategy or Strategy()
        if self.path.exists() and not self.path.is_dir():
            raise checks.error("output", "run", "a folder, or a name for a new one", str(path), "It is a file.")

    @property
    def writes(self):
        """Whether this process is the one that writes."""
        return self.strategy.rank == 0

    def file(self, name):
        return self.path / name

    def begun(self):
        """Whether a run began here: there is a recipe."""
        return self.file("recipe.json").is_file()

    def holds_epochs(self):
        """Whether there is something to lose: an epoch was completed here."""
        return self.file("last.keras").is_file()

    def _replace(self, name, write):
        """Writes a file beside its place and moves it there."""
        if not self.writes:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        # The suffix stays last: Keras and matplotlib go by it.
        partial = self.file(f".partial-{name}")
        with self.strategy.alone():
            write(partial)
        with open(partial, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, self.file(name))

    def write_text(self, name, text):
        self._replace(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_recipe(self, recipe, data_dir=None):
        content = {
            "recipe": recipe.to_dict(),
            "data_dir": absolute(data_dir),
            "environment": environment(),
        }
        self.write_text("recipe.json", json.dumps(content, indent=2) + "\n")

    def read_recipe(self):
        return Recipe.load(self.file("recipe.json"))

    def read_data_dir(self):
        """The folder that the run read its data from, None for the default."""
        return json.loads(self.file("recipe.json").read_text(encoding="utf-8")).get("data_dir")

    def write_history(self, rows):
        self.write_rows("history.csv", rows)

    def write_rows(self, name, rows):
        """Dictionaries with the same keys as a CSV file."""
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        self.write_text(name, text.getvalue())

    def read_history(self):
        """The rows of `write_history`, all strings; an empty list if none was written."""
        if not self.file("history.csv").is_file():
            return []
        with open(self.file("history.csv"), newline="", encoding="utf-8") as handle:
            return list(csv.DictReader(handle))

    def write_result(self, figures):
        self.write_text("result.json", json.dumps(figures, indent=2) + "\n")

    def read_result(self):
        """What `write_result` wrote; None if nothing was."""
        if not self.file("result.json").is_file():
            return None
        return json.loads(self.file("result.json").read_text(encoding="utf-8"))

    def copy(self, path, name=None):
        """Copies a file into the folder, under its own name or another."""
        self._replace(name or path.name, lambda partial: shutil.copyfile(path, partial))

    def write_checkpoint(self, model, rows):
        def write(path):
            model.save(path)
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(PROGRESS, json.dumps(rows))

        self._replace("last.keras", write)

    def write_best(self, model):
        self.write_model("best.keras", model)

    def write_model(self, name, model):
        self._replace(name, model.save)

    def write_figure(self, name, figure):
        self._replace(name, lambda path: figure.savefig(path, dpi=120))

    def read_checkpoint(self):
        """`(model, rows)` of the last complete epoch, or None if none was completed."""
        path = self.file("last.keras")
        if not path.is_file():
            return None
        try:
            with zipfile.ZipFile(path) as archive:
                rows = json.loads(archive.read(PROGRESS))
            return keras.saving.load_model(path), rows
        except (zipfile.BadZipFile, KeyError, TypeError, OSError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{str(path)!r} is no checkpoint of a run: {error}. Start the run anew in another folder."
            ) from error


def absolute(data_dir):
    """A folder as it is written down: to be found from any other."""
    return None if data_dir is None else str(Path(data_dir).expanduser().resolve())


def environment():
    """Versions that a run depends on."""
    import keras_sparse

    versions = {
        "keras_sparse": keras_sparse.__version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "numpy": np.__version__,
        "backend": keras.backend.backend(),
        "machine": platform.machine(),
    }
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        versions["tensorflow"] = tf.__version__
    return versions
