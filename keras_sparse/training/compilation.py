"""How a classifier is compiled, wherever this package compiles one."""

import keras

from keras_sparse.training.loss import GlobalBatchCrossentropy

TOP_5_FROM = 1000  # classes: of fewer, nobody reports it


def compile_classifier(model, optimizer, from_logits=False, classes=None):
    """Compiles a model for integer labels, with accuracy; for a thousand classes or more, "top_5_accuracy" as well.

    Keras chooses XLA on a GPU where all layers allow it, and not on several replicas of `tf.distribute`. On a CPU it
    does on JAX alone: with TensorFlow it costs minutes of compilation for a deep network there, and gains nothing.
    """
    metrics = ["accuracy"]
    if classes is not None and classes >= TOP_5_FROM:
        metrics.append(keras.metrics.SparseTopKCategoricalAccuracy(5, name="top_5_accuracy"))
    model.compile(optimizer=optimizer, loss=GlobalBatchCrossentropy(from_logits=from_logits), metrics=metrics)
