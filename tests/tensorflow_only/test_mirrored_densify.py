"""TensorFlow only: Densify on the replicas of MirroredStrategy, in a process that has two devices."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
import keras
import numpy as np
import tensorflow as tf
from keras_sparse.callbacks import Densify
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.schedules import Doubling

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 5, 5, 4)).astype("float32"), rng.normal(size=(32, 2)).astype("float32")


def train(format):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((5, 5, 4)),
        SparseConv2D(6, 3, sparsity=0.7, activation="tanh", format=format, seed=1),
        keras.layers.Flatten(),
        MaskedDense(6, sparsity=0.9, format=format, seed=3),
        keras.layers.Dense(2),
    ])
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    history = model.fit(
        x, y, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=[Densify(Doubling(0.1, period=5))]
    ).history
    return model, history


strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for format in ("masked", "compact"):
    alone, expected = train(format)
    with strategy.scope():
        model, history = train(format)
    assert history["density"] == expected["density"] and history["density"][-1] > history["density"][0]
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
    for layer, other in zip((model.layers[0], model.layers[2]), (alone.layers[0], alone.layers[2])):
        np.testing.assert_array_equal(layer.mask, other.mask)
        for variable in (layer.kernel, *layer._frozen().values()):
            first, second = (copy.numpy() for copy in variable.value.values)
            np.testing.assert_array_equal(first, second)
print("replicas agree")
"""


def test_replicas_agree_with_one_another_and_with_one_device():
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]
    assert "replicas agree" in result.stdout
