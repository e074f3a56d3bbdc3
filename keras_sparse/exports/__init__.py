"""Files for others: written from a trained model, each read back and compared with it, with an honest table of sizes.

>>> print(keras_sparse.export(pruned, "exported", formats=("keras", "litert", "litert_sparse")))
"""

from keras_sparse.exports.batch import Batch
from keras_sparse.exports.encoding import KernelEncoding
from keras_sparse.exports.export import export
from keras_sparse.exports.export_format import ExportFormat
from keras_sparse.exports.file_size import FileSize
from keras_sparse.exports.keras import Keras, KerasZipped
from keras_sparse.exports.litert import Litert, LitertSparse
from keras_sparse.exports.onnx import Onnx
from keras_sparse.exports.report import ExportedFile, ExportError, ExportReport
from keras_sparse.exports.saved_model import SavedModel
from keras_sparse.registry import Registry

FORMATS = Registry("formats", [Keras, KerasZipped, Litert, LitertSparse, Onnx, SavedModel])

__all__ = [
    "FORMATS",
    "Batch",
    "ExportError",
    "ExportFormat",
    "ExportReport",
    "ExportedFile",
    "FileSize",
    "Keras",
    "KerasZipped",
    "KernelEncoding",
    "Litert",
    "LitertSparse",
    "Onnx",
    "SavedModel",
    "export",
]
