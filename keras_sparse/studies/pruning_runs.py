"""Pruning, once or more and more, and training anew on the connections that are left."""

import numpy as np

from keras_sparse.datasets import load
from keras_sparse.patterns import Unstructured
from keras_sparse.studies.lenet_recipe import PROTOCOL, lenet_recipe
from keras_sparse.studies.study import Study
from keras_sparse.training.compilation import compile_classifier
from keras_sparse.training.saved_model import load_saved
from keras_sparse.transforms import mask_in_place, reinitialize, strip

DENSE, LONGER, ITERATIVE, ONE_TIME = "dense", "dense, trained on", "iterative", "one-time"
FOUND = "found"  # the weights with which pruning ended
NEW, FASTER, SCALED = "new weights", "higher rate", "scaled weights"
SPARSITIES = (0.5, 0.75, 0.9, 0.95, 0.99)


class PruningRuns(Study):
    """LeNets pruned at several sparsities, and new weights on their connections; a subclass says what comes of it.

    A piece is a dense network with all that is cut from it at once, or with one that it is pruned to iteratively.
    """

    protocol = (
        "All layers are pruned, weight by weight and to the same sparsity, the smallest first. Iterative: the trained "
        "dense network is trained once more, as long as before, and pruned every 200 steps (in short runs a twentieth "
        "of them), by a cubic polynomial that ends in the middle; beside it the dense network is trained on without. "
        "One-time: it is cut and not trained on. New weights are drawn as for the dense network and trained as long as "
        "it was, on the same batches; the higher rate is three times as high; "
        "scaled weights have the variance that suits the connections that are left (these two on structures of "
        f"iterative pruning, at the sparsities `more_at`). {PROTOCOL} Each of `seeds` is a dense network or one that "
        "is pruned, each of `initializations` new weights on its connections; errors "
        "and deviations count each of the latter as a run of its own."
    )
    scales = {  # noqa: RUF012
        "smoke": {
            "dataset": "digits", "batch_size": 50, "learning_rate": 0.05, "sparsities": (0.9,),
            "networks": {
                "lenet_300_100": {"examples": 600, "epochs": 2, "seeds": 1, "initializations": 1, "more_at": (0.9,)},
            },
        },
        "cpu": {
            "dataset": "mnist", "batch_size": 100, "learning_rate": 0.05, "sparsities": SPARSITIES,
            "networks": {
                "lenet5": {"examples": 20000, "epochs": 6, "seeds": 1, "initializations": 3, "more_at": (0.95, 0.99)},
                "lenet_300_100": {"examples": None, "epochs": 8, "seeds": 3, "initializations": 1, "more_at": ()},
            },
        },
        "full": {
            "dataset": "mnist", "batch_size": 100, "learning_rate": 0.05, "sparsities": SPARSITIES,
            "networks": {
                "lenet5": {"examples": None, "epochs": 40, "seeds": 3, "initializations": 5, "more_at": SPARSITIES},
                "lenet_300_100": {
                    "examples": None, "epochs": 40, "seeds": 5, "initializations": 3, "more_at": SPARSITIES,
                },
            },
        },
    }  # fmt: skip

    def pieces(self):
        pieces = {}
        for network, how in self.settings["networks"].items():
            for seed in range(how["seeds"]):
                common = {"network": network, "seed": seed}
                pieces[f"{network}, one-time, seed {seed}"] = {**common, "sparsity": None}
                for sparsity in self.settings["sparsities"]:
                    pieces[f"{network}, iterative {sparsity:.0%}, seed {seed}"] = {**common, "sparsity": sparsity}
        return pieces

    def run_piece(self, data_dir, folder, network, seed, sparsity):
        dense = self.train(self._recipe(network, network, seed), folder / "dense", data_dir)
        trained = dense.output / "last.keras"
        if sparsity is not None:
            return self._iterative(dense, data_dir, folder, network, seed, sparsity)
        longer = self.train(self._recipe(trained, network, seed), folder / "longer", data_dir)
        rows = self._rows(dense.history, network, DENSE, 0.0, seed)
        rows += self._rows(longer.history, network, LONGER, 0.0, seed)
        for sparsity in self.settings["sparsities"]:
            model = load_saved(trained, "pruned_structures")
            cut_once(model, sparsity)
            test = self._test(model, data_dir, dense.recipe)
            rows += self._rows([{"epoch": dense.recipe.epochs, **test}], network, ONE_TIME, sparsity, seed)
            structure = folder / f"{sparsity}.keras"
            model.save(structure)
            rows += self._retrained(structure, data_dir, network, ONE_TIME, sparsity, seed, [NEW])
        return rows

    def _iterative(self, dense, data_dir, folder, network, seed, sparsity):
        how = dense.recipe
        steps = how.epochs * load(how.dataset, data_dir, 0.0, how.examples).train.steps(how.batch_size)
        prune = {"sparsity": sparsity, "end": steps // 2}
        recipe = self._recipe(dense.output / "last.keras", network, seed, prune=prune)
        pruned = self.train(recipe, folder / "pruned", data_dir)
        rows = self._rows(pruned.history, network, ITERATIVE, sparsity, seed)
        ways = [NEW, FASTER, SCALED] if sparsity in self.settings["networks"][network]["more_at"] else [NEW]
        structure = pruned.output / "last.keras"
        return rows + self._retrained(structure, data_dir, network, ITERATIVE, sparsity, seed, ways)

    def _retrained(self, structure, data_dir, network, method, sparsity, seed, ways):
        """Rows of new weights on the connections of a saved model."""
        rows = []
        for way in ways:
            for initialization in range(self.settings["networks"][network]["initializations"]):
                name = f"{structure.stem}-{way}-{initialization}".replace(" ", "-")
                start = structure.with_name(f"{name}.keras")
                new_weights(structure, 100 * seed + initialization + 1, scaled=way == SCALED).save(start)
                recipe = self._recipe(start, network, seed, faster=way == FASTER)
                history = self.train(recipe, structure.with_name(name), data_dir).history
                rows += self._rows(history, network, method, sparsity, seed, way, initialization)
        return rows

    def _recipe(self, model, network, seed, faster=False, **verbs):
        settings, how = self.settings, self.settings["networks"][network]
        rate = settings["learning_rate"] * (3 if faster else 1)
        return lenet_recipe(
            model, settings["dataset"], how["examples"], how["epochs"], settings["batch_size"], rate, seed, **verbs
        )

    @staticmethod
    def _test(model, data_dir, recipe):
        compile_classifier(model, "sgd")
        test = load(recipe.dataset, data_dir, 0.0, recipe.examples).test
        found = model.evaluate(test.batches(256), verbose=0, return_dict=True)
        return {"val_accuracy": found["accuracy"], "val_loss": found["loss"]}

    @staticmethod
    def _rows(history, network, method, sparsity, seed, weights=FOUND, initialization=None):
        """A row for each epoch, after which the test split was looked at."""
        return [
            {
                "network": network,
                "method": method,
                "sparsity": sparsity,
                "seed": seed,
                "weights": weights,
                "initialization": initialization,
                "epoch": epoch["epoch"],
                "accuracy": epoch["val_accuracy"],
                "loss": epoch["val_loss"],
            }
            for epoch in history
        ]

    def _last(self, rows):
        """The rows of last epochs."""
        return [row for row in rows if row["epoch"] == self.settings["networks"][row["network"]]["epochs"]]


def cut_once(model, sparsity):
    """Cuts the smallest weights of each layer of a trained model, which is changed."""
    for layer in mask_in_place(model):
        layer.set_mask(Unstructured().mask(np.abs(layer.dense_kernel()), sparsity))


def new_weights(structure, seed, scaled=False):
    """A model with the connections of a saved one and weights that nobody has trained.

    Args:
        structure: Path of a `.keras` file whose layers with a kernel are all masked.
        seed: Integer >= 0.
        scaled: Boolean, whether the variance follows the connections instead of the dense layer.
    """
    found = load_saved(structure, "new_weights")
    if scaled:
        reinitialize(found, seed)
        return found
    fresh = strip(found)
    reinitialize(fresh, seed)
    for layer in mask_in_place(fresh):
        layer.set_mask(found.get_layer(layer.name).mask, trained=False)
    return fresh
