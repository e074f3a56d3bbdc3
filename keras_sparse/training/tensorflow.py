"""TensorFlow's order of work."""

import tensorflow as tf


def after(tensor):
    """Context in which nothing is computed before a tensor is."""
    return tf.control_dependencies([tensor])
