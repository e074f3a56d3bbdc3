"""Which implementation computes a compact layer's product: by name, or the fastest by estimate."""

import dataclasses
import functools
import warnings

import keras

from keras_sparse import checks
from keras_sparse.kernels import native
from keras_sparse.kernels.compact import HINT, IMPLEMENTATIONS, candidates

AUTO = "auto"

# Nanoseconds, forward and backward, on one core: for each multiply-add with a connected weight and one position of the
# kernel; with several; for each connected pair of blocks; each multiply-add of a dense layer; each number that is read
# or written; all these for one example, a pixel of a convolution. And for each entry of a dense kernel, once for a
# step. Measured with benchmarks/kernels.py (RESULTS.md); the ratios matter, not the machine.
COSTS = {
    "cpu": {
        "native": {"macs": 0.085, "macs_of_windows": 0.048, "numbers": 1.9},
        "gather": {"macs": 1.3, "macs_of_windows": 1.3, "pairs": 2.7, "numbers": 0.3},
        "blocked": {"macs_over_block": 2.8, "macs_of_convolution": 0.33, "numbers": 0.3},
        "scattered": {"dense_macs": 0.034, "kernel": 3.0, "numbers": 0.3},
    },
    # Not measured: of an order that lets few wide blocks win, and nothing else.
    "accelerator": {
        "gather": {"macs": 0.02, "macs_of_windows": 0.02, "pairs": 0.04},
        "blocked": {"macs_over_block": 0.02, "macs_of_convolution": 0.002},
        "scattered": {"dense_macs": 0.0002, "kernel": 0.01},
    },
}
EXAMPLES = {True: 4096, False: 128}  # of a step, where the layer is a convolution and where not


@dataclasses.dataclass(frozen=True)
class Workload:
    """What a compact layer computes for one example, a pixel of a convolution.

    Attributes:
        pairs: Integer, connected pairs of blocks.
        positions: Integer, of its kernel; None for a dense layer.
        fan_in, fan_out: Integers.
        block_size: Integer.
    """

    pairs: int
    positions: int | None
    fan_in: int
    fan_out: int
    block_size: int = 1

    def nanoseconds(self, costs):
        """Estimate for one example, from an entry of `COSTS`."""
        positions = self.positions or 1
        macs, dense = self.pairs * self.block_size**2 * positions, self.fan_in * self.fan_out * positions
        is_convolution = self.positions is not None
        amounts = {
            "macs": macs if positions == 1 else 0,
            "macs_of_windows": macs if positions > 1 else 0,
            "macs_over_block": 0 if is_convolution else macs / self.block_size,
            "macs_of_convolution": macs if is_convolution else 0,
            "pairs": self.pairs,
            "dense_macs": dense,
            "numbers": self.fan_in + self.fan_out,
            "kernel": dense / EXAMPLES[is_convolution],
        }
        return sum(cost * amounts[name] for name, cost in costs.items())


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


def choose(name, workload, dtype, build=True):
    """The implementation that a layer takes now.

    Args:
        name: What it was asked for, "auto" or a name in `IMPLEMENTATIONS`.
        workload: `Workload`.
        dtype: Name of the type in which the layer computes.
        build: Boolean, whether to compile the native product if it is the one to take, and find out.

    Returns:
        Name in `IMPLEMENTATIONS`. Another than asked for only if that cannot be had, which a warning says once.
    """
    wanted = fastest(workload, True) if name == AUTO else name
    if wanted != "native":
        return wanted
    refusal = native.refusal(dtype, build)
    if refusal is None:
        return wanted
    if name == "native" and build and not native.has_told(refusal):
        _warn(refusal)
    return fastest(workload, False)


def fastest(workload, has_native):
    """The implementation with the lowest estimate, the native one if it can be had."""
    costs = COSTS["accelerator" if has_accelerator() else "cpu"]
    names = [name for name in candidates(workload.block_size > 1) if name in costs and (has_native or name != "native")]
    return min(names, key=lambda name: workload.nanoseconds(costs[name]))


@functools.cache
def _warn(refusal):
    warnings.warn(
        f"`implementation` is 'native', which cannot be had; another one takes its place. {refusal}", stacklevel=2
    )


@functools.cache
def has_accelerator():
    """Whether Keras computes on a GPU or its like."""
    if keras.backend.backend() == "torch":  # of which Keras lists no devices
        return keras.ops.zeros(()).device.type in ("cuda", "mps", "xpu")
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())
