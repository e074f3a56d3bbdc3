"""`keras.distribution` on JAX: devices, processes, and batches that do not divide."""

import contextlib

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils
from keras.src.backend.jax.trainer import JAXEpochIterator

from keras_sparse import checks

HEARTBEAT = 20  # seconds without a sign of life after which a process is lost
PATIENCE = 300  # seconds to wait for the others to begin


def join(strategy):
    """Takes the devices, and meets the other processes."""
    if strategy.devices is not None:
        with contextlib.suppress(RuntimeError):  # too late: then there are those that there are
            jax.config.update("jax_num_cpu_devices", strategy.devices)
    if strategy.coordinator is not None:
        jax.distributed.initialize(
            strategy.coordinator,
            strategy.processes,
            strategy.rank,
            cluster_detection_method="deactivate",
            initialization_timeout=PATIENCE,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )


def chosen_devices(strategy):
    """Names of the devices of all processes, those of rank 0 first."""
    count = strategy.devices or jax.local_device_count()
    if count > jax.local_device_count():
        raise checks.error(
            "devices", strategy, f"at most the {jax.local_device_count()} here", count,
            "Leave it out for all of them; and if it is the CPU, choose before JAX computes anything.",
        )  # fmt: skip
    by_process = [[d for d in jax.devices() if d.process_index == rank][:count] for rank in range(strategy.processes)]
    return [f"{device.platform}:{device.id}" for devices in by_process for device in devices]


class AnyBatches:
    """What a `keras.distribution.Distribution` needs for batches that do not divide."""

    @property
    def parts(self):
        """Integer, in how many parts a batch is computed."""
        return self.device_mesh.shape[0]

    def distribute(self, data):
        """The arrays of the whole batch, from what this process has of it."""
        if isinstance(data, dict):  # of `marked`
            return self._arrays(data["batch"], data["whole"])
        count = keras.tree.flatten(data)[0].shape[0]
        return self._arrays(data, whole=count % self.parts)

    def _arrays(self, data, whole):
        axes = () if whole else (self.batch_dim_name,)
        sharding = jax.sharding.NamedSharding(self.device_mesh.backend_mesh, jax.sharding.PartitionSpec(*axes))
        return keras.tree.map_structure(
            lambda array: None if array is None else jax.make_array_from_process_local_data(sharding, array), data
        )


class CopiedLayers(AnyBatches, keras.distribution.DataParallel):
    """All variables on all devices."""

    def __init__(self, strategy):
        super().__init__(devices=chosen_devices(strategy), auto_shard_dataset=False)


class WideLayersApart(AnyBatches, keras.distribution.ModelParallel):
    """The wide ones of the variables divided along their last axis."""

    def __init__(self, strategy):
        devices, columns = chosen_devices(strategy), strategy.model_devices
        if len(devices) % columns:
            hint = "Each row of the grid has so many."
            raise checks.error("model_devices", strategy, f"a divisor of the {len(devices)} devices", columns, hint)
        mesh = keras.distribution.DeviceMesh((len(devices) // columns, columns), ["batch", "model"], devices)
        super().__init__(
            layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name="batch", auto_shard_dataset=False
        )
        self._columns, self._minimum = columns, strategy.minimum

    def get_variable_layout(self, variable):
        axes = [None] * len(variable.shape)
        width = variable.shape[-1] if axes else 0
        if width >= self._minimum and width % self._columns == 0:
            axes[-1] = "model"
        return keras.distribution.TensorLayout(axes, self.device_mesh)


@contextlib.contextmanager
def distributing_each_batch():
    """While this lasts, Keras asks `AnyBatches` how to distribute each batch, instead of only for the first."""
    original = JAXEpochIterator._get_distributed_iterator

    def batches(self, distribution):
        if not isinstance(distribution, AnyBatches):
            return original(self, distribution)
        return map(distribution.distribute, self.data_adapter.get_jax_iterator())

    JAXEpochIterator._get_distributed_iterator = batches
    try:
        yield
    finally:
        JAXEpochIterator._get_distributed_iterator = original


def marked(parts, sizes, devices):
    """Batches with a mark: whether they do not divide, so that what each process has is the whole.

    Args:
        parts: `tf.data.Dataset` of what this process has of each batch.
        sizes: List of integers, examples in each whole batch of an epoch.
        devices: Integer, among how many a batch is divided.
    """
    of_full, of_last = (size % devices > 0 for size in (sizes[0], sizes[-1]))

    def mark(number, batch):
        is_last = number % len(sizes) == len(sizes) - 1
        return {"batch": batch, "whole": is_last & of_last | ~is_last & of_full}

    return parts.enumerate().map(mark)


def gather(number):
    """The number of each process, by rank."""
    return np.atleast_1d(multihost_utils.process_allgather(np.asarray(number))).tolist()
