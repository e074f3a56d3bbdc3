"""Keeps TensorFlow's start-up messages out of the `keras-sparse` command, and tracebacks of an interrupted start.

TensorFlow 2.21 writes them to the standard error of the process while it loads, whatever
`TF_CPP_MIN_LOG_LEVEL` says, and the command's own messages would drown. Only the command is quiet:
importing the package from Python leaves the messages alone.
"""

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path


def is_command():
    """Whether this process is the `keras-sparse` command."""
    return Path(sys.argv[0]).stem == "keras-sparse"


def end_quietly_when_interrupted():
    """Until `interrupt_as_usual` is called, Ctrl-C just ends the process: imports take seconds."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the shell said to ignore it
        signal.signal(signal.SIGINT, _end)


def interrupt_as_usual():
    """From now on Ctrl-C is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_):
    os._exit(130)


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
