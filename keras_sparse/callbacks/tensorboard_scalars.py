"""TensorFlow only: figures for TensorBoard. Who has no TensorFlow gets an error, and a CSV file instead."""


class TensorBoardScalars:
    """Writes named numbers into a folder that TensorBoard shows.

    Args:
        folder: Path.

    Raises:
        ImportError: If TensorFlow is not installed.
    """

    def __init__(self, folder):
        try:
            import tensorflow as tf
        except ImportError as error:
            raise ImportError(
                f"`tensorboard` of SparsityLogger needs TensorFlow to write files. Received: tensorboard={folder!r}. "
                "Install tensorflow, or use csv=FILE."
            ) from error
        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, figures, step):
        """Writes a dictionary from names to numbers."""
        with self._writer.as_default():
            for name, value in figures.items():
                self._summary.scalar(name, value, step=step)

    def close(self):
        self._writer.close()
