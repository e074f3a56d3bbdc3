"""Mixed-radix topologies: every input reaches every output by the same number of paths."""

import math

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.topologies.topology import Topology, check_sparsity


@keras.saving.register_keras_serializable(package="keras_sparse")
class RadixNet(Topology):
    """One layer of a RadiX-Net; `RadixNet.chain` gives all layers of one.

    With radices `N = (N_1, ..., N_i)` and `N' = N_1 * ... * N_i`, layer `j` connects node `v` of `N'` to
    `v + r * (N_1 * ... * N_{j-1}) mod N'`, `r = 0 .. N_j - 1`: a digit of `v`, written in the mixed radix system, may
    change. The mask is the Kronecker product of an all-ones `B_j x B_{j+1}` matrix with that: `B_j` copies of the
    `N'` inputs, each connected to all `B_{j+1}` copies of the outputs. Its density is `N_j / N'`. Where the layer is
    smaller than that, the last inputs and outputs are left out.

    Args:
        sparsity: 0 or a number in [0.25, 1), or None if `radices` are given. The density is then the nearest `1 / b`
            with an integer `b` (a RadiX-Net has no others), from `N = (a, b)` with `a` as near to `b` as the layer is
            wide: 0.9 makes (10, 10). From 0.25 to 0.58 that is half of the connections; from 0.5 on it is off by
            1/12 at most. Below 0.25 the nearest is a dense layer, which is refused.
        radices: Tuple of integers >= 2, `N`; or None.
        widths: Tuple of integers >= 1, `B`, one more than radices; None takes what `fan_in` and `fan_out` need.
        layer: Integer in [0, len(radices) - 1], which layer of the net this one is. Consecutive layers of a network
            should have consecutive numbers; then paths are equally many between all pairs.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; kept, but nothing is drawn.

    Raises:
        ValueError: If an argument is out of range, or, when the topology is drawn, the layer larger than the net.

    Reference:
        Robinett and Kepner, RadiX-Net: structured sparse matrices for deep neural networks, 2019,
        https://arxiv.org/abs/1905.00416
        Alford et al., Training behavior of sparse neural network topologies, 2018, https://arxiv.org/abs/1810.00299

    Example:
        >>> one, two = RadixNet.chain((10, 10), widths=(8, 3, 1))      # LeNet-300-100 at 90% sparsity
        >>> one(784, 300).mean(), two(300, 100).mean()
        (0.1, 0.1)
    """

    def __init__(self, sparsity=None, radices=None, widths=None, layer=0, block_size=1, seed=None):
        super().__init__(seed=seed, block_size=block_size)
        if (sparsity is None) == (radices is None):
            raise ValueError(
                "`sparsity` and `radices` of RadixNet: exactly one of the two must be given. Received: "
                f"sparsity={sparsity}, radices={radices}. Pass one and leave the other out."
            )
        self.sparsity = None if sparsity is None else check_sparsity(sparsity, owner=self)
        if self.sparsity and _radix(self.sparsity) == 1:
            raise checks.error(
                "sparsity", self, "0, or a number in [0.25, 1)", sparsity,
                "The densities of RadiX-Nets are 1, 1/2, 1/3, and so on, and the nearest is 1: take another topology, "
                "or leave the layer dense.",
            )  # fmt: skip
        self.radices = None if radices is None else self._integers("radices", radices, minimum=2)
        self.widths = None if widths is None else self._integers("widths", widths, minimum=1)
        count = 2 if self.radices is None else len(self.radices)
        if self.widths is not None and len(self.widths) != count + 1:
            raise checks.error(
                "widths", self, f"{count + 1} integers, one more than radices", widths, "Name every layer's width."
            )
        self.layer = checks.integer(
            "layer", layer, owner=self, minimum=0, maximum=count - 1, hint="Layers are counted from 0."
        )

    def _integers(self, argument, values, minimum):
        if not isinstance(values, (list, tuple)) or not values:
            raise checks.error(argument, self, "a tuple of integers", values, "Write it as in (2, 2, 2).")
        return tuple(checks.integer(argument, value, owner=self, minimum=minimum) for value in values)

    @classmethod
    def chain(cls, radices, widths=None, block_size=1):
        """All layers of one RadiX-Net, in order: a list as long as `radices`.

        Example:
            >>> [mask.sum() for mask in (t(8, 8) for t in RadixNet.chain((2, 2, 2)))]      # a butterfly
            [16, 16, 16]
        """
        return [cls(None, radices, widths, layer, block_size, seed=0) for layer in range(len(radices))]

    def connect(self, fan_in, fan_out, rng):
        radices = self.radices or self._radices_for(fan_in, fan_out)
        nodes, stride = math.prod(radices), math.prod(radices[: self.layer])
        if self.widths is None:
            copies_in, copies_out = -(-fan_in // nodes), -(-fan_out // nodes)
        else:
            copies_in, copies_out = self.widths[self.layer : self.layer + 2]
        for name, units, most in (("fan_in", fan_in, copies_in * nodes), ("fan_out", fan_out, copies_out * nodes)):
            if units > most:
                raise checks.error(
                    "widths", self, f"wide enough for {name}={units}", self.widths,
                    f"They make {most}: raise the width of that side to {-(-units // nodes)}.",
                )  # fmt: skip
        node = np.arange(nodes, dtype=np.int32)[:, None]
        target = (node + np.arange(radices[self.layer], dtype=np.int32) * stride) % nodes  # (nodes, radix)
        inputs = np.arange(copies_in, dtype=np.int32)[:, None, None, None] * nodes + node[:, None]
        outputs = np.arange(copies_out, dtype=np.int32)[:, None] * nodes + target[:, None]
        inputs, outputs = (x.ravel() for x in np.broadcast_arrays(inputs, outputs))
        kept = (inputs < fan_in) & (outputs < fan_out)
        return inputs[kept], outputs[kept]

    def _radices_for(self, fan_in, fan_out):
        b = _radix(self.sparsity)
        if b == 1:
            return (1, 1)
        a = min(b, max(1, min(fan_in, fan_out) // b))
        # The density of layer 0 is 1 / N_2, that of layer 1 is 1 / N_1.
        return (a, b) if self.layer == 0 else (b, a)

    def get_config(self):
        return {
            **super().get_config(),
            "sparsity": self.sparsity,
            "radices": self.radices,
            "widths": self.widths,
            "layer": self.layer,
        }


def _radix(sparsity):
    """The integer `b` for which `1 / b` is nearest to the density."""
    density = 1 - sparsity
    return min((math.ceil(1 / density), math.floor(1 / density)), key=lambda b: abs(1 / b - density))


def butterfly(units):
    """The layers of a butterfly, `log2(units)` of them, each with two connections per unit: a RadiX-Net (2, ..., 2).

    Args:
        units: Integer, a power of two, at least 2: the width of every layer.

    Returns:
        List of `RadixNet`.

    Raises:
        ValueError: If `units` is no power of two.

    Example:
        >>> [int(layer(8, 8).sum()) for layer in butterfly(8)]
        [16, 16, 16]
    """
    units = checks.integer("units", units, owner="butterfly", minimum=2)
    if units & (units - 1):
        raise checks.error("units", "butterfly", "a power of two", units, "Use RadixNet.chain for other widths.")
    return RadixNet.chain((2,) * (units.bit_length() - 1))
