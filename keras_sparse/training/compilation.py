"""How a classifier is compiled, wherever this package compiles one."""

from keras_sparse.training.loss import GlobalBatchCrossentropy


def compile_classifier(model, optimizer, from_logits=False):
    """Compiles a model for integer labels, with accuracy.

    Keras chooses XLA on a GPU where all layers allow it, and not on several replicas of `tf.distribute`. On a CPU it
    does on JAX alone: with TensorFlow it costs minutes of compilation for a deep network there, and gains nothing.
    """
    model.compile(optimizer=optimizer, loss=GlobalBatchCrossentropy(from_logits=from_logits), metrics=["accuracy"])
