"""Which implementation computes a compact layer's product: by name, or the fastest by estimate."""

import dataclasses
import functools
import warnings

import keras

from keras_sparse import checks
from keras_sparse.kernels import native
from keras_sparse.kernels.compact import HINT, IMPLEMENTATIONS, candidates

AUTO = "auto"

# Nanoseconds for one example (a pixel of a convolution), forward and backward: for each multiply-add with a connected
# weight, for each that a dense layer would do, and for each number that is read or written. From
# `benchmarks/kernels.py`, see benchmarks/RESULTS.md; the ratios matter, not the machine.
COSTS = {
    "cpu": {
        "native": (0.1, 0, 1.2),
        "blocked": (0.1, 0, 1.2),
        "gather": (2.0, 0, 1.2),
        "scattered": (0, 0.035, 0.5),
    },
    "accelerator": {
        "blocked": (0.001, 0, 0.01),
        "gather": (0.02, 0, 0.01),
        "scattered": (0, 0.0005, 0.005),
    },
}


@dataclasses.dataclass(frozen=True)
class Workload:
    """Sizes of a compact layer: connected pairs of blocks, positions of its kernel, inputs, outputs, block size."""

    pairs: int
    positions: int
    fan_in: int
    fan_out: int
    block_size: int = 1

    def nanoseconds(self, connected, dense, numbers):
        """Estimate for one example, from a row of `COSTS`."""
        macs = self.pairs * self.block_size**2 * self.positions
        dense_macs = self.fan_in * self.fan_out * self.positions
        return connected * macs + dense * dense_macs + numbers * (self.fan_in + self.fan_out)


def check(name, format, block_size, owner):
    """Validates the `implementation` argument of a layer, and returns it."""
    checks.choice("implementation", name, owner, (AUTO, *IMPLEMENTATIONS))
    if format == "masked" and name != AUTO:
        raise checks.error(
            "implementation", owner, "'auto' with format='masked', which has one way only", name,
            "Use format='compact'.",
        )  # fmt: skip
    names = (AUTO, *candidates(block_size > 1))
    if name not in names:
        raise checks.error(
            "implementation", owner, f"one of {', '.join(names)} with block_size={block_size}", name, HINT
        )  # fmt: skip
    return name


def choose(name, workload, dtype):
    """The implementation that a layer takes now.

    Args:
        name: What it was asked for, "auto" or a name in `IMPLEMENTATIONS`.
        workload: `Workload`.
        dtype: Name of the type in which the layer computes.

    Returns:
        Name in `IMPLEMENTATIONS`. Another than asked for only if that cannot be had, which a warning says once.
    """
    names = candidates(workload.block_size > 1)
    costs = COSTS["accelerator" if _has_accelerator() else "cpu"]
    if name in (AUTO, "native") and "native" in names:
        refusal = native.refusal(dtype)
        if refusal is None and name == "native":
            return name
        if refusal is not None:
            names = [other for other in names if other != "native"]
            if name == "native":
                _warn(refusal)
    elif name != AUTO:
        return name
    return min((other for other in names if other in costs), key=lambda other: workload.nanoseconds(*costs[other]))


@functools.cache
def _warn(refusal):
    warnings.warn(
        f"`implementation` is 'native', which cannot be had; another one takes its place. {refusal}", stacklevel=2
    )


@functools.cache
def _has_accelerator():
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())
