"""Where inside a layer: which inputs are connected to which outputs.

>>> topology = Expander(out_degree=4, seed=0)
>>> topology(100, 50).sum(axis=0)[:5]                # a mask, True = connected
array([8, 8, 8, 8, 8])
>>> topology.connections(10**6, 10**6).count         # the same as indices, without a mask of 10^12 entries
4000000
"""

import numpy as np

from keras_sparse.checks import describe
from keras_sparse.registry import Registry
from keras_sparse.topologies.connections import Connections
from keras_sparse.topologies.expander import Expander
from keras_sparse.topologies.fibonacci_rotating import FibonacciRotating
from keras_sparse.topologies.from_mask import FromMask
from keras_sparse.topologies.long_short_rotating import LongShortRotating
from keras_sparse.topologies.radix_net import RadixNet, butterfly
from keras_sparse.topologies.random_edge import RandomEdge
from keras_sparse.topologies.random_fan_in import RandomFanIn
from keras_sparse.topologies.random_rotating import RandomRotating
from keras_sparse.topologies.rotating import Rotating
from keras_sparse.topologies.topology import Topology

# A name, a sparsity and a seed define these.
_DRAWN = [Expander, FibonacciRotating, LongShortRotating, RadixNet, RandomEdge, RandomFanIn, RandomRotating, Rotating]
_BY_NAME = Registry("topology", _DRAWN)
NAMED = tuple(_BY_NAME.names())
TOPOLOGIES = Registry("topology", [*_DRAWN, FromMask])


def get(identifier, sparsity=0.9, block_size=1, seed=None, owner="topologies.get"):
    """A `Topology` from its name, a mask, its saved configuration or itself.

    Args:
        identifier: Name in `NAMED`, built with the other arguments; boolean array `(fan_in, fan_out)`;
            serialized topology; or `Topology`, which brings its own sparsity, blocks and seed.
        sparsity: Number in [0, 1), fraction of zeros.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; None draws one.
        owner: String or object that an error names.

    Raises:
        ValueError: If the name is unknown or an argument out of range.

    Example:
        >>> get("fibonacci_rotating", sparsity=0.5, seed=1)(4, 8).sum()
        16
    """
    if isinstance(identifier, (np.ndarray, list, tuple)):
        return FromMask(identifier, block_size=block_size, seed=seed)
    if isinstance(identifier, str) and identifier == "from_mask":
        raise ValueError(
            f"`topology` of {describe(owner)} must come with its connections. Received: topology='from_mask'. Pass the "
            "mask itself, a boolean array (fan_in, fan_out)."
        )
    arguments = {"sparsity": sparsity, "block_size": block_size, "seed": seed}
    return _BY_NAME.resolve(identifier, owner, Topology, **arguments)


__all__ = [
    "NAMED",
    "TOPOLOGIES",
    "Connections",
    "Expander",
    "FibonacciRotating",
    "FromMask",
    "LongShortRotating",
    "RadixNet",
    "RandomEdge",
    "RandomFanIn",
    "RandomRotating",
    "Rotating",
    "Topology",
    "butterfly",
    "get",
]
