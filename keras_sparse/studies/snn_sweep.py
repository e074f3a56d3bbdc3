"""The networks of the SNN paper, trained many at once: what three of its studies look at."""

import itertools
import math
from typing import NamedTuple

import numpy as np

from keras_sparse import topologies
from keras_sparse.analysis import graph_report
from keras_sparse.datasets import load
from keras_sparse.studies.study import Study
from keras_sparse.training import StackedNetwork, train_stack

# As this package names them, and as the paper does.
CONSTRUCTIONS = {
    "random_edge": "random edge",
    "random_rotating": "random rotating",
    "expander": "random d-regular expander",
    "rotating": "regular rotating",
    "long_short_rotating": "long-short rotating",
    "fibonacci_rotating": "Fibonacci rotating",
}
DENSE = "dense"
DROPOUT = {"input_dropout": 0.2, "dropout": 0.5}


class Variant(NamedTuple):
    """What networks of a sweep have in common."""

    hidden: tuple
    dropout: bool = False
    pixels: str = "raw"


STANDARDIZED = "784-300-10, standardized"
VARIANTS = {
    "784-300-10": Variant((300,)),
    "784-100-10": Variant((100,)),
    "784-300-10, dropout": Variant((300,), dropout=True),
    "784-500-10": Variant((500,)),
    "784-500-300-10": Variant((500, 300)),
    STANDARDIZED: Variant((300,), pixels="standardized"),
    "256-32-10": Variant((32,), pixels="standardized"),  # of digits, 16 x 16 pixels; raw ones need many more steps
}
PUBLISHED = ("784-300-10", "784-100-10", "784-300-10, dropout", "784-500-10", "784-500-300-10")
_WEIGHTS = {"standard deviation": np.std, "minimum": np.min, "maximum": np.max}


class SnnSweep(Study):
    """Networks of the paper by construction, degree, size and seed; a study says what to make of them.

    A piece is all networks of one variant and seed, trained as one stack. Pieces of the three studies are the same:
    `rows_from` of `run_study` takes those of another, and nothing is left to train.
    """

    protocol = (
        "MNIST, networks 784-h-10 and 784-500-300-10, sigmoids, mean squared error, Glorot's normal for the dense "
        "layer, Nesterov momentum 0.9, batches of 32, test accuracy after the last epoch. Each unit has the same "
        "fraction of connections to the next hidden layer, rounded up; the classes read all units of the last hidden "
        "layer. Dropout is 0.2 of the inputs and 0.5 of hidden units. The paper does not say how pixels are scaled. "
        "Here they are raw, 0 to 255: chosen because its claims come out with these, and not with the mean 0 and "
        f"deviation 1 of the variant `{STANDARDIZED}`. All networks of a variant and a seed see the same batches. "
        "The paper trains 50 epochs at a rate of 0.01, `cpu` scale 8 epochs at 0.03, about half as far."
    )
    scales = {  # noqa: RUF012
        "smoke": {
            "dataset": "digits", "examples": 400, "epochs": 8, "learning_rate": 0.5, "degrees": (0.05, 0.3),
            "variants": ("256-32-10",), "seeds": (0, 1),
        },
        "cpu": {
            "dataset": "mnist", "examples": None, "epochs": 8, "learning_rate": 0.03,
            "degrees": (0.01, 0.03, 0.1, 0.3), "variants": (*PUBLISHED, STANDARDIZED), "seeds": (0, 1, 2),
        },
        "full": {
            "dataset": "mnist", "examples": None, "epochs": 50, "learning_rate": 0.01,
            "degrees": (0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7),
            "variants": (*PUBLISHED, STANDARDIZED), "seeds": tuple(range(10)),
        },
    }  # fmt: skip

    def pieces(self):
        return {
            f"{variant}, seed {seed}": {"variant": variant, "seed": seed}
            for variant in self.settings["variants"]
            for seed in self.settings["seeds"]
        }

    def run_piece(self, data_dir, folder, variant, seed):
        settings = self.settings
        dataset = load(settings["dataset"], data_dir, validation_fraction=0.0, examples=settings["examples"])
        how = VARIANTS[variant]
        sizes = (math.prod(dataset.image_shape), *how.hidden, dataset.classes)
        designs = [*itertools.product(CONSTRUCTIONS, settings["degrees"]), (DENSE, 1.0)]
        stack = train_stack(
            [stacked_network(*design, sizes, seed) for design in designs],
            dataset,
            settings["epochs"],
            learning_rate=settings["learning_rate"],
            seed=seed,
            pixels=how.pixels,
            **(DROPOUT if how.dropout else {}),
        )
        return [
            {
                "variant": variant,
                "construction": construction,
                "degree": degree,
                "seed": seed,
                "accuracy": stack.accuracies[index],
                **self._of_first_layer(stack, index),
            }
            for index, (construction, degree) in enumerate(designs)
        ]

    @staticmethod
    def _of_first_layer(stack, index):
        """Connectivity of its graph, and the distribution of its weights after training."""
        report = graph_report(stack.networks[index].layers[0])
        values, _ = stack.weights(index)[0]
        return {
            "connections": report.connections,
            "algebraic connectivity": report.algebraic_connectivity,
            "spectral gap": report.spectral_gap,
            **{name: float(function(values)) for name, function in _WEIGHTS.items()},
        }


def stacked_network(construction, fraction, sizes, seed):
    """A `StackedNetwork` in which each unit is connected to `ceil(fraction * units)` of the next hidden layer.

    Args:
        construction: Name in `CONSTRUCTIONS`, or "dense".
        fraction: Number in (0, 1].
        sizes: Sequence of integers: inputs, hidden units, classes.
        seed: Integer >= 0, of the graph and of the initial weights.
    """
    layers = []
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        if construction == DENSE or index == len(sizes) - 2:
            layers.append(topologies.Connections.from_mask(np.ones((fan_in, fan_out), bool)))
        else:
            topology = topologies.TOPOLOGIES.lookup(construction, "stacked_network")
            degree = max(1, math.ceil(fraction * fan_out - 1e-9))
            # Two layers of one network are not to be drawn alike.
            layers.append(topology(out_degree=degree, seed=len(sizes) * seed + index).connections(fan_in, fan_out))
    return StackedNetwork(layers, seed)
