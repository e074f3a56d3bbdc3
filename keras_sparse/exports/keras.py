"""Keras's own file, without what training needs; on any backend."""

import os
import zipfile

import keras

from keras_sparse.exports.batch import predictions
from keras_sparse.exports.export_format import ExportFormat


class Keras(ExportFormat):
    """`.keras`: a zip archive that does not compress what it holds."""

    file_name = "model.keras"
    needs_tensorflow = False

    def write(self, model, path, batch):
        model.save(path)

    def predict(self, path, batch):
        # The code in it (lambda layers) is that of the model that was just written.
        return predictions(keras.saving.load_model(path, compile=False, safe_mode=False), batch)


class KerasZipped(Keras):
    """The same archive, compressed: Keras loads it as it loads any other, and it is small without being zipped."""

    file_name = "model_zipped.keras"

    def write(self, model, path, batch):
        stored = path.removesuffix(".keras") + ".stored.keras"
        try:
            model.save(stored)
            with (
                zipfile.ZipFile(stored) as source,
                zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
            ):
                for member in source.infolist():
                    target.writestr(member.filename, source.read(member))
        finally:
            if os.path.exists(stored):
                os.remove(stored)
