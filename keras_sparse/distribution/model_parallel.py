"""Layers that are too wide for one device, with JAX."""

from keras_sparse import checks
from keras_sparse.distribution.data_parallel import DataParallel


class ModelParallel(DataParallel):
    """`keras.distribution.ModelParallel`: wide layers are divided among devices, by what they put out.

    Every variable whose last axis is wide enough is divided along it: kernels, masks and biases, and what the optimizer
    remembers of them. The rest is copied to each device, and results are those of one device. Devices are arranged
    as a grid: those of one row share the layers, and each row computes a part of each batch. In one process.

    Args:
        model_devices: Integer >= 2, how many share a layer. It must divide the number of devices.
        minimum: Integer >= 1, width from which a layer is divided, if `model_devices` divides it, too.
        devices: As for `DataParallel`.

    Raises:
        ValueError: If an argument is out of range; in `start`, if the devices make no such grid.

    Example:
        >>> run(recipe, "runs/wide", strategy=ModelParallel(model_devices=4, minimum=4096))
    """

    def __init__(self, model_devices, minimum=1024, devices=None):
        super().__init__(devices)
        self.model_devices = checks.integer("model_devices", model_devices, self, minimum=2)
        self.minimum = checks.integer("minimum", minimum, self, minimum=1)

    def _distributed(self):
        from keras_sparse.distribution.jax import WideLayersApart

        return WideLayersApart(self)

    def __str__(self):
        return f"{self.replicas} x {self.model_devices} devices"
