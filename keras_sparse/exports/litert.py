"""TensorFlow only: LiteRT, formerly TensorFlow Lite, for phones and small devices."""

import re
import warnings

from keras_sparse.exports.export_format import ExportFormat
from keras_sparse.transforms.unroll import without_loops


class Litert(ExportFormat):
    """`.tflite`: one file with a signature named `serving_default`; zeros are stored like other numbers.

    A model with operations that LiteRT does not have (tables of words, recurrent layers over a length that is not
    known, float16) is written for an interpreter with TensorFlow's operations. The one that comes with TensorFlow 2.21
    has none of these: such a file cannot be compared, and counts as failed.
    """

    file_name = "model.tflite"

    def write(self, model, path, batch):
        model = without_loops(model)  # of lists of tensors, which LiteRT does not have
        model.export(path, format="litert", input_signature=batch.signature, verbose=False, **self.converter_options())

    def converter_options(self):
        """Attributes of TensorFlow's `TFLiteConverter` to set."""
        return {}

    def predict(self, path, batch):
        import tensorflow as tf

        with warnings.catch_warnings():
            # It is to move to another package, which lacks the less common operations of TensorFlow.
            warnings.simplefilter("ignore", UserWarning)
            interpreter = tf.lite.Interpreter(path)
        runner = interpreter.get_signature_runner()
        outputs = runner(**{name: batch.named[name] for name in runner.get_input_details()})
        return [outputs[name] for name in sorted(outputs, key=_place)]


class LitertSparse(Litert):
    """`.tflite` whose kernels with many zeros are LiteRT's own sparse tensors: small without being zipped.

    Each connection then costs its value and one or two bytes of index; random connections suffice. The interpreter of
    LiteRT reads it as it reads any other. TensorFlow calls the converter's option experimental.
    """

    file_name = "model_sparse.tflite"

    def converter_options(self):
        import tensorflow as tf

        return {"optimizations": [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]}


def _place(name):
    """Sorts `output_2` before `output_10`; names that are keys of a dictionary by themselves, as Keras does."""
    number = re.fullmatch(r"output_(\d+)", name)
    return (0, int(number[1]), "") if number else (1, 0, name)
