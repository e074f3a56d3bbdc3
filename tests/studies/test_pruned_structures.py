"""Cutting at once, new weights on what is left, and what is said of them."""

import keras
import numpy as np

from keras_sparse import schedules
from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.callbacks import Prune
from keras_sparse.studies.pruned_structures import PrunedStructures
from keras_sparse.studies.pruning_runs import cut_once, new_weights


def small():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.Dense(20, activation="relu", bias_initializer="ones")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


def test_cut_once_is_what_prune_does():
    model = small()
    kernels = [layer.kernel.numpy() if hasattr(layer.kernel, "numpy") else np.array(layer.kernel)
               for layer in model.layers if layer.weights]  # fmt: skip
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    cut_once(model, 0.9)
    layers = sparse_layers(model)
    for layer, kernel in zip(layers, kernels, strict=True):
        count = int(0.9 * kernel.size)
        assert (~layer.mask).sum() == count
        assert np.abs(kernel[~layer.mask]).max() <= np.abs(kernel[layer.mask]).min()
        np.testing.assert_array_equal(layer.dense_kernel(), np.where(layer.mask, kernel, 0))
    other.compile("sgd", "sparse_categorical_crossentropy")
    other.optimizer.learning_rate = 0.0
    other.fit(np.zeros((4, 8, 8, 1)), np.zeros(4), verbose=0, callbacks=[Prune(schedules.OneShot(0.9, step=0))])
    for layer, pruned in zip(layers, sparse_layers(other), strict=True):
        np.testing.assert_array_equal(layer.mask, pruned.mask)


def test_new_weights(tmp_path):
    model = small()
    cut_once(model, 0.9)
    model.save(tmp_path / "structure.keras")
    one, again, other, scaled = (
        new_weights(tmp_path / "structure.keras", seed, scaled) for seed, scaled in ((1, 0), (1, 0), (2, 0), (1, 1))
    )
    for drawn in (one, other, scaled):
        for layer, found in zip(sparse_layers(drawn), sparse_layers(model), strict=True):
            np.testing.assert_array_equal(layer.mask, found.mask)
            np.testing.assert_array_equal(layer.dense_kernel() != 0, found.mask)
            assert not np.isin(layer.dense_kernel()[layer.mask], found.dense_kernel()).any()
    for first, second in zip(one.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    dense, few = (sparse_layers(drawn)[1].dense_kernel() for drawn in (one, scaled))
    limit = np.sqrt(6 / (144 + 20))  # Glorot's of the dense layer
    assert 0.95 * limit < np.abs(dense).max() <= limit
    assert few.std() > 2 * dense.std()
    assert not np.array_equal(dense, sparse_layers(other)[1].dense_kernel())


def test_pieces_cover_the_paper():
    pieces = PrunedStructures("full").pieces()
    iterative = {(one["network"], one["sparsity"]) for one in pieces.values()}
    assert iterative == {(n, s) for n in ("lenet5", "lenet_300_100") for s in (0.5, 0.75, 0.9, 0.95, 0.99, None)}


def test_findings_compare_with_the_dense_network_of_the_same_seed():
    def row(method, sparsity, seed, weights, accuracy, initialization=None):
        return {
            "network": "lenet5", "method": method, "sparsity": sparsity, "seed": seed, "weights": weights,
            "initialization": initialization, "epoch": 6, "accuracy": accuracy, "loss": 1 - accuracy / 2,
        }  # fmt: skip

    rows = [row("dense", 0.0, 0, "found", 0.9), row("dense", 0.0, 1, "found", 0.7)]
    rows += [row("dense, trained on", 0.0, seed, "found", 0.85) for seed in (0, 1)]
    rows += [row("iterative", 0.95, seed, "found", 0.8 - 0.2 * seed) for seed in (0, 1)]  # 0.1 below, both
    rows += [row("iterative", 0.95, 0, "new weights", accuracy, i) for i, accuracy in enumerate((0.5, 0.6, 0.7))]
    early = {**row("dense", 0.0, 0, "found", 0.0), "epoch": 1}
    lines = PrunedStructures("cpu").findings([early, *rows])
    assert lines[0].startswith("lenet5: dense 80.00 ± 10.00, trained on 85.00;")
    assert lines[0].endswith("95% -10.00 ± 0.00.")
    assert "95% -30.00 ± 5.77" in lines[1]
    assert lines[2].endswith("(claim, for LeNet-5: large): iterative 95% 10.00.")
    assert "of the test loss with new weights" in lines[3]
    assert lines[3].endswith("iterative 95% 0.05.")
    assert lines[4] == "lenet5, iterative 95%, new weights: 60.00 ± 5.77, best 70.00%; published 98.54%."
    titles, cells = PrunedStructures("cpu").table(rows)
    assert dict(zip(titles, cells[2], strict=True))["lowest to highest"] == "50.00 to 70.00"
