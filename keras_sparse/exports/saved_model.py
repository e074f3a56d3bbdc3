"""TensorFlow only: SavedModel, what TensorFlow Serving and TensorFlow.js take."""

import functools

import keras
import numpy as np

from keras_sparse.exports.export_format import ExportFormat


class SavedModel(ExportFormat):
    """A folder with a graph and its weights, which predicts by its endpoint `serve`.

    For inference: each weight is in it once. `model.export` of Keras 3.15 writes each weight twice, once as the
    endpoint's and once in a list named `variables`, which here is empty.
    """

    file_name = "saved_model"

    def write(self, model, path, batch):
        archive = keras.export.ExportArchive()
        for layer in model._flatten_layers():
            if not layer.variables:
                archive.track(layer)  # it may hold a table of words; weights are found by the endpoint
        serve = functools.partial(model.__call__, training=False)
        archive.add_endpoint("serve", serve, input_signature=batch.signature)
        archive.write_out(path, verbose=False)

    def owns(self, path):
        return (path / "saved_model.pb").is_file() or not any(path.iterdir())

    def predict(self, path, batch):
        import tensorflow as tf

        loaded = tf.saved_model.load(path)  # its variables go when it goes
        return [np.asarray(output) for output in keras.tree.flatten(loaded.serve(batch.values))]
