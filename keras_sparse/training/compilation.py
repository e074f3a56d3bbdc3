"""How a classifier is compiled, wherever this package compiles one."""

import keras

TOP_5_FROM = 1000  # classes: of fewer, nobody reports it


def compile_classifier(model, optimizer, from_logits=False, classes=None):
    """Compiles a model for integer labels, with accuracy; for a thousand classes or more, "top_5_accuracy" as well.

    On TensorFlow without XLA: on a CPU it costs minutes of compilation for a deep network, and gains nothing.
    """
    metrics = ["accuracy"]
    if classes is not None and classes >= TOP_5_FROM:
        metrics.append(keras.metrics.SparseTopKCategoricalAccuracy(5, name="top_5_accuracy"))
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        metrics=metrics,
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
