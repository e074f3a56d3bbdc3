"""TensorFlow only: ONNX, by way of tf2onnx, and predictions by ONNX Runtime."""

import importlib
import warnings

from keras_sparse.exports.export_format import ExportFormat
from keras_sparse.transforms.unroll import without_loops


class Onnx(ExportFormat):
    """`.onnx`: what ONNX Runtime and many accelerators take."""

    file_name = "model.onnx"
    packages = ("onnx", "tf2onnx", "onnxruntime")

    def write(self, model, path, batch):
        model = without_loops(model)  # of lists of tensors, which tf2onnx does not know
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # tf2onnx looks for names that NumPy 2 no longer has
            model.export(path, format="onnx", input_signature=batch.signature, verbose=False)

    def predict(self, path, batch):
        session = importlib.import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {node.name: batch.named[node.name] for node in session.get_inputs()})
