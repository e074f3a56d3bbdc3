"""TensorFlow only: sparse layers on the replicas of MirroredStrategy, in a process that has two devices."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
import keras
import numpy as np
import tensorflow as tf
from keras_sparse.layers import MaskedDense, SparseConv2D

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 5, 5, 4)).astype("float32"), rng.normal(size=(32, 2)).astype("float32")


def build():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((5, 5, 4)),
        SparseConv2D(6, 3, sparsity=0.7, activation="tanh", seed=1),
        SparseConv2D(5, 2, sparsity=0.7, format="compact", implementation="native", activation="tanh", seed=2),
        keras.layers.Flatten(),
        MaskedDense(6, sparsity=0.8, activation="tanh", seed=3),
        MaskedDense(5, sparsity=0.5, format="compact", implementation="native", activation="tanh", seed=4),
        keras.layers.Dense(2),
    ])
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.05), "mse", jit_compile=False)
    return model


def sparse(model):
    return [layer for layer in model.layers if hasattr(layer, "mask_step")]


def train(model):
    fit = dict(batch_size=8, epochs=3, shuffle=False, verbose=0)
    model.fit(x, y, **fit)
    for layer in sparse(model):
        layer.set_mask(np.roll(layer.mask, 1, axis=0))
    return model.fit(x, y, **fit).history["loss"]


alone = build()
expected = train(alone)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    model = build()
np.testing.assert_allclose(train(model), expected, rtol=1e-4)
for layer, other in zip(sparse(model), sparse(alone)):
    np.testing.assert_array_equal(layer.mask, other.mask)
    frozen = list(layer._frozen().values())
    for variable in (layer.kernel, *frozen):
        first, second = (copy.numpy() for copy in variable.value.values)
        np.testing.assert_array_equal(first, second)
    if layer.format == "masked":
        for kernel, mask in zip(layer.kernel.value.values, frozen[0].value.values):
            np.testing.assert_array_equal(mask, other.mask)
            assert np.all(kernel.numpy()[..., ~other.mask] == 0)
print("ok")
"""


def test_replicas_agree_with_each_other_and_with_one_device():
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.split() == ["ok"]
