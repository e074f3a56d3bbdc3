"""Very deep networks: time to build, to take the first step, to take later ones, to save and to load; peak memory.

    python benchmarks/depth.py --model sparsenet-bc --depth 1001
    python benchmarks/depth.py --model sparsenet-sum --depth 2000
    python benchmarks/depth.py --model resnet --depth 2000

Each call measures one network in a process of its own and prints one line of Markdown table. The reloaded model must
predict what the saved one does, or the command fails.
"""

import argparse
import os
import resource
import tempfile
import time

MODELS = ("sparsenet-bc", "sparsenet-sum", "densenet-bc", "resnet")


def build(name, depth):
    from keras_sparse.applications import DenseNet, ResNet, SparseNet

    return {
        "sparsenet-bc": lambda: SparseNet(depth, 12, bottleneck=True),
        "sparsenet-sum": lambda: SparseNet(depth, 16, operator="sum"),
        "densenet-bc": lambda: DenseNet(depth, 12, bottleneck=True),
        "resnet": lambda: ResNet(depth),
    }[name]()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="sparsenet-bc")
    parser.add_argument("--depth", type=int, default=1001)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="steps after the first, of which the median counts")
    arguments = parser.parse_args()

    import keras
    import numpy as np

    from keras_sparse.training import CoupledDecaySGD
    from keras_sparse.training.compilation import compile_classifier

    keras.utils.set_random_seed(0)
    seconds = {}

    def clocked(what, function):
        began = time.perf_counter()
        result = function()
        seconds[what] = time.perf_counter() - began
        return result

    model = clocked("build", lambda: build(arguments.model, arguments.depth))
    compile_classifier(model, CoupledDecaySGD(0.1, momentum=0.9, nesterov=True))
    model.optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(arguments.batch_size, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, arguments.batch_size)
    before = model.get_weights()[0]
    clocked("first step", lambda: model.train_on_batch(x, y))
    steps = []
    for _ in range(arguments.steps):
        clocked("step", lambda: model.train_on_batch(x, y))
        steps.append(seconds.pop("step"))
    assert not np.array_equal(before, model.get_weights()[0]), "a step must change the first kernel"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        clocked("save", lambda: model.save(path))
        again = clocked("load", lambda: keras.saving.load_model(path))
    # Eager calls: tracing another graph would double what is measured.
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(x)) for m in (model, again)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    columns = ["build", "first step", "save", "load"]
    print(
        "| model | depth | batch | parameters | "
        + " | ".join(f"{c} (s)" for c in columns)
        + " | step (s) | peak (GiB) |"
    )
    print("|---" * (4 + len(columns) + 2) + "|")
    cells = [f"{seconds[c]:.1f}" for c in columns] + [f"{sorted(steps)[len(steps) // 2]:.2f}", f"{peak:.1f}"]
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    print(
        f"| {arguments.model} | {arguments.depth} | {arguments.batch_size} | {parameters:,} | "
        + " | ".join(cells)
        + " |"
    )


if __name__ == "__main__":
    main()
