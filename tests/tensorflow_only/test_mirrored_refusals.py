"""TensorFlow only: what Keras fails at on several replicas is refused before training begins."""

from several_processes import finish, start

SCRIPT = """
import keras
import numpy as np
import tensorflow as tf
import keras_sparse as ks

strategy = ks.distribution.Mirrored(devices=2)
strategy.start()
x, y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")
SGD = keras.optimizers.SGD
for name, options in {
    "steps_per_execution": {"optimizer": SGD(), "steps_per_execution": 2},
    "jit_compile": {"optimizer": SGD(), "jit_compile": True},
    "gradient_accumulation_steps": {"optimizer": SGD(gradient_accumulation_steps=2)},
}.items():
    with strategy.scope():
        model = keras.Sequential([keras.Input((4,)), ks.layers.MaskedDense(2, sparsity=0.5)])
        model.compile(loss="mse", **options)
    callbacks = [ks.callbacks.Prune(ks.schedules.OneShot(0.6, step=1))]
    checks = [lambda: ks.distribution.check_compiled(model)]
    if name != "gradient_accumulation_steps":  # at which Keras fails before it asks a callback
        checks.append(lambda: model.fit(x, y, verbose=0, callbacks=callbacks))
    for check in checks:
        try:
            check()
        except ValueError as error:
            assert f"`{name}` of the model" in str(error) and "several replicas" in str(error), error
            print("refused")
"""


def test_refused_early():
    (output,) = finish(start(SCRIPT, "tensorflow"))
    assert output.split() == ["refused"] * 5
