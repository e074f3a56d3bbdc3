"""Adds the layers of a network, dense ones or, by arguments, sparse ones: the network's sparse twin."""

import dataclasses
import math

import numpy as np
from keras import layers

from keras_sparse import checks, topologies
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.layers.paper_layers import batch_normalization
from keras_sparse.layers.sparse_kernel import FORMATS
from keras_sparse.topologies.topology import check_sparsity

SAME_CONNECTIONS = "same_connections"


@dataclasses.dataclass(kw_only=True)
class SparseTwin:
    """The arguments of one constructor call that make its layers sparse, checked on arrival.

    The constructor names its layers by `plan`, then adds them in that order by `dense` and `convolution`.
    """

    ARGUMENTS_DOC = """\
        width: Number > 0 that multiplies the units and filters of every layer but the classifier, rounded up: 100 is
            the papers' "100 times larger", a number below 1 a depth multiplier.
        sparsity: Number in [0, 1), fraction of zeros of each sparse layer; a tuple, one for each of them; or a
            dictionary by layer name, which also says which layers are sparse. With 0 all layers are stock Keras
            layers. "same_connections" gives each sparse layer as many connections as it has, dense, at width 1.
        topology: Name in `topologies.TOPOLOGIES`, or `Topology` or mask, which brings its own sparsity; or a list, one
            for each sparse layer, such as `RadixNet.chain((10, 10))`.
        sparse_layers: Tuple of layer names, which layers are sparse, in the order of the tuples above; by default those
            named above.
        format: "masked" or "compact", as for `MaskedDense`.
        block_size: Integer >= 1; connections come in dense blocks of this size.
        seed: Integer >= 0 or None, of topologies and dropout, from which each layer gets one of its own; with None
            each draws one."""

    owner: str
    width: float = 1
    sparsity: object = 0.0
    topology: object = "random_fan_in"
    sparse_layers: object = None
    format: str = "masked"
    block_size: int = 1
    seed: int | None = None

    def __post_init__(self):
        self.width = checks.number(
            "width", self.width, self.owner, 1e-3, 1e6, hint="1 is the paper's network, 100 is a hundred times as wide."
        )
        checks.choice("format", self.format, self.owner, FORMATS)
        self.block_size = checks.integer("block_size", self.block_size, self.owner, minimum=1)
        if self.seed is not None:
            self.seed = checks.integer("seed", self.seed, self.owner, minimum=0)

    def plan(self, names, sparse, channels=None):
        """Says which layers there will be.

        Args:
            names: Tuple with the names of all layers that have a kernel, in order, the classifier's last.
            sparse: Tuple with the names of those that are sparse by default.
            channels: Integer, of the image, for a network whose first layer is a convolution: it stays dense by
                default if there is but one channel to choose.
        """
        self._names = names
        self._dropouts = 0
        self._widened = 1.0  # units of the layer before, in those of width 1
        if channels == 1:
            sparse = [name for name in sparse if name != names[0]]
        if isinstance(self.sparsity, dict):
            if self.sparse_layers is not None:
                raise checks.error(
                    "sparse_layers", self.owner, "None if `sparsity` is a dictionary", self.sparse_layers,
                    "The dictionary says which layers are sparse.",
                )  # fmt: skip
            chosen, sparsities = self._known("sparsity", tuple(self.sparsity)), list(self.sparsity.values())
        else:
            chosen = sparse if self.sparse_layers is None else self._known("sparse_layers", self.sparse_layers)
            sparsities = self._per_layer("sparsity", self.sparsity, chosen)
        self._settings = {
            name: (self._sparsity(sparsity), topology)
            for name, sparsity, topology in zip(chosen, sparsities, self._topologies(chosen), strict=True)
        }

    def _known(self, argument, chosen):
        if not isinstance(chosen, (list, tuple)) or not set(chosen) <= set(self._names):
            raise checks.error(
                argument, self.owner, f"of layer names among {', '.join(self._names)}", chosen, "Pick from those."
            )
        return chosen

    def _per_layer(self, argument, value, chosen):
        if not isinstance(value, (list, tuple)):
            return [value] * len(chosen)
        if len(value) != len(chosen):
            raise checks.error(
                argument, self.owner, f"one, or one for each sparse layer ({', '.join(chosen)})", value,
                f"Pass {len(chosen)}, or choose the layers by `sparse_layers`.",
            )  # fmt: skip
        return list(value)

    def _sparsity(self, sparsity):
        return SAME_CONNECTIONS if sparsity == SAME_CONNECTIONS else check_sparsity(sparsity, self.owner)

    def _topologies(self, chosen):
        """A name, mask or `Topology` for each of the layers; of a single `Topology`, copies with seeds of their own."""
        one = self.topology
        if isinstance(one, (list, tuple, str, np.ndarray)):
            return self._per_layer("topology", one, chosen)
        one = topologies.get(one, owner=self.owner)
        seed = one.seed if self.seed is None else self.seed
        return [
            one.from_config({**one.get_config(), "seed": child_seed(seed, self._names.index(name))}) for name in chosen
        ]

    def dense(self, x, units, name, **options):
        """A dense layer, `Dense` or `MaskedDense`."""
        return self._layer(units, (), name, layers.Dense, MaskedDense, options)(x)

    def convolution(self, x, filters, kernel_size, name, **options):
        """A convolution, `Conv2D` or `SparseConv2D`."""
        return self._layer(filters, (kernel_size,), name, layers.Conv2D, SparseConv2D, options)(x)

    def convolution_unit(self, x, filters, kernel_size, name, data_format, padding="same"):
        """Convolution without bias, batch normalisation and ReLU."""
        options = {"padding": padding, "use_bias": False, "kernel_initializer": "he_normal", "data_format": data_format}
        x = self.convolution(x, filters, kernel_size, name, **options)
        x = batch_normalization(data_format, f"{name}_bn")(x)
        return layers.Activation("relu", name=f"{name}_relu")(x)

    def dropout(self, x, rate, name, argument="dropout"):
        """Dropout with a seed of its own; nothing if the rate is 0."""
        rate = checks.number(argument, rate, self.owner, 0, 1, exclude_maximum=True)
        self._dropouts += 1
        seed = child_seed(self.seed, len(self._names) + self._dropouts - 1)
        seed = None if seed is None else seed >> 1  # PyTorch takes 31 bits
        return layers.Dropout(rate, seed=seed, name=name)(x) if rate else x

    def _layer(self, units, arguments, name, stock, sparse, options):
        index = self._names.index(name)
        scaled = units if name == self._names[-1] else math.ceil(self.width * units - 1e-9)
        pairs = self._widened * scaled / units  # of units, in those of width 1
        self._widened = scaled / units
        sparsity, topology = self._settings.get(name, (0, ""))
        if sparsity == SAME_CONNECTIONS:
            sparsity = 1 - 1 / pairs
            if sparsity < 0:
                raise checks.error(
                    "width", self.owner, f"a number >= 1 with sparsity={SAME_CONNECTIONS!r}", self.width,
                    "A narrower network has no room for as many connections.",
                )  # fmt: skip
        if isinstance(topology, str) and sparsity == 0:
            return stock(scaled, *arguments, name=name, **options)
        if not isinstance(topology, topologies.Topology):
            options = {"block_size": self.block_size, "seed": child_seed(self.seed, index), **options}
        elif self.block_size != 1:
            options = {"block_size": self.block_size, **options}
        if sparsity:
            options = {"sparsity": sparsity, **options}
        return sparse(scaled, *arguments, topology=topology, format=self.format, name=name, **options)


def child_seed(seed, index):
    """A seed for one part of a network from the seed of the whole; None from None."""
    if seed is None:
        return None
    return int(np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1)[0])
