"""Keeps TensorFlow's start-up messages out of the `keras-sparse` command.

TensorFlow 2.21 writes them to the standard error of the process while it loads, whatever
`TF_CPP_MIN_LOG_LEVEL` says, and the command's own messages would drown. Only the command is quiet:
importing the package from Python leaves the messages alone.
"""

import contextlib
import os
import sys
import tempfile
from pathlib import Path


def is_command():
    """Whether this process is the `keras-sparse` command."""
    return Path(sys.argv[0]).stem == "keras-sparse"


def load_backend_quietly():
    """Imports Keras and TensorFlow with the standard error set aside; shows it if that fails."""
    try:
        saved = os.dup(2)
    except OSError:
        return  # closed: quiet already
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import keras  # noqa: F401

            with contextlib.suppress(ImportError):  # JAX does without, until data sets are read
                import tensorflow as tf

                tf.config.list_physical_devices()  # complains of missing drivers
        except BaseException:
            messages.seek(0)
            os.write(saved, messages.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
