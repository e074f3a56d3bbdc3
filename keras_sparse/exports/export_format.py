"""A kind of file that a model is exported to: how it is written, and how it is read back."""

import abc
import importlib.util

import keras

from keras_sparse import checks


class ExportFormat(abc.ABC):
    """Writes a model, and predicts from nothing but the file.

    Attributes:
        file_name: String, name of the file or folder below the output folder.
        packages: Tuple of the Python packages that must be installed beside the package's own dependencies.
        needs_tensorflow: Boolean, whether the Keras backend must be TensorFlow.
    """

    file_name = None
    packages = ()
    needs_tensorflow = True

    @abc.abstractmethod
    def write(self, model, path, batch):
        """Writes a model of stock layers to a path (string); `batch` is a `Batch`, whose inputs have names."""

    @abc.abstractmethod
    def predict(self, path, batch):
        """Predictions for a `Batch` by what is in the file: a flat list of arrays, in the order of `tree.flatten`."""

    def owns(self, path):
        """Whether a folder that is already there was written by this format, and may be replaced."""
        return False

    def check(self, name):
        """Raises an error that says what to do if the format cannot be written here.

        Raises:
            ValueError: If it needs another backend.
            ImportError: If it needs packages that are not installed.
        """
        backend = keras.backend.backend()
        if self.needs_tensorflow and backend != "tensorflow":
            raise checks.error(
                "formats", "export", f"'keras' or 'keras_zipped' on the backend {backend!r}", name,
                f"{name} is written by TensorFlow. Export 'keras' here: that file loads on every backend. "
                f"Then convert it: KERAS_BACKEND=tensorflow keras-sparse export model.keras --formats {name} "
                "--output DIR",
            )  # fmt: skip
        missing = [package for package in self.packages if importlib.util.find_spec(package) is None]
        if missing:
            raise ImportError(
                f"`formats` of export must leave out {name!r} where {', '.join(missing)} cannot be imported. Received: "
                f"{name!r}. Install what it needs: pip install {' '.join(self.packages)} (or 'keras-sparse[export]')."
            )
