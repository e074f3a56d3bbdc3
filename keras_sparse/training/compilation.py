"""How a classifier is compiled, wherever this package compiles one."""

import keras


def compile_classifier(model, optimizer, from_logits=False):
    """Compiles a model for integer labels, with accuracy.

    On TensorFlow without XLA: on a CPU it costs minutes of compilation for a deep network, and gains nothing.
    """
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        metrics=["accuracy"],
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
