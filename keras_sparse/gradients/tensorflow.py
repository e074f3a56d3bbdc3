"""TensorFlow's way to differentiate."""

import tensorflow as tf


def differentiate(function, tensors):
    """Gradients of a scalar function of a list of tensors."""
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]  # variables would be read past the tape
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(tensors)
    return tape.gradient(value, tensors)
