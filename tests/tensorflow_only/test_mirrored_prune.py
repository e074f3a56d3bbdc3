"""TensorFlow only: Prune and Rewire on the replicas of MirroredStrategy, in a process that has two devices."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
import keras
import numpy as np
import tensorflow as tf
from keras_sparse.callbacks import Prune, Rewire
from keras_sparse.layers import MaskedDense
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.schedules import Polynomial

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 6)).astype("float32"), rng.normal(size=(32, 3)).astype("float32")
schedule = Polynomial(0.1, 0.8, begin=2, end=10, frequency=4)
CALLBACKS = {
    "magnitude": lambda: Prune(schedule),
    "movement": lambda: Prune(schedule, "movement"),
    "gradient": lambda: Rewire(0.3, "gradient", frequency=3, data=(x, y)),
    "momentum": lambda: Rewire(0.3, "momentum", frequency=3),
}


def train(name):
    keras.utils.set_random_seed(1)
    hidden = keras.layers.Dense(8, activation="tanh")
    if isinstance(CALLBACKS[name](), Rewire):
        hidden = MaskedDense(8, sparsity=0.6, seed=1, activation="tanh")
    model = keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(3)])
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=False)
    history = model.fit(
        x, y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[CALLBACKS[name]()]
    ).history
    return model, history


strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for name in CALLBACKS:
    alone, expected = train(name)
    with strategy.scope():
        model, history = train(name)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4, err_msg=name)
    pairs = [(a, b) for a, b in zip(model.layers, alone.layers) if isinstance(a, SparseKernel)]
    assert pairs, name
    for layer, other in pairs:
        assert 0 < layer.mask.sum() < layer.mask.size, name
        np.testing.assert_array_equal(layer.mask, other.mask, err_msg=name)
        variables = [layer.kernel, *layer._frozen().values()]
        for variable in variables:
            first, second = (copy.numpy() for copy in variable.value.values)
            np.testing.assert_array_equal(first, second, err_msg=name)
            cut = first[~layer.mask] if variable is layer.kernel else 0
            assert np.all(cut == 0), name
    for variable in model.optimizer.variables[2:]:
        first, second = (copy.numpy() for copy in variable.value.values)
        np.testing.assert_array_equal(first, second, err_msg=name)
    print(name, "agrees")
"""


def test_replicas_agree_with_one_another_and_with_one_device():
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]
    assert result.stdout.count("agrees") == 4
