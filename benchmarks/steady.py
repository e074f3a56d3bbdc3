"""Memory of a process that trains on and on: three compact layers, whose products are compiled in C++.

    python benchmarks/steady.py
    python benchmarks/steady.py --quick

A line for each tenth of the steps: the most memory that the process has held so far, which is not to grow.
"""

import argparse
import os
import resource


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="500 steps")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import numpy as np
    from masked_training import machine

    import keras_sparse as ks

    sparse = {"sparsity": 0.9, "format": "compact"}
    model = keras.Sequential(
        [
            keras.Input((8, 8, 16)),
            ks.layers.SparseConv2D(32, 3, seed=0, activation="relu", **sparse),
            ks.layers.SparseConv2D(32, 1, seed=1, activation="relu", **sparse),
            keras.layers.Flatten(),
            ks.layers.MaskedDense(64, seed=2, **sparse),
        ]
    )
    model.compile("adam", "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 8, 8, 16)).astype("float32"), rng.normal(size=(16, 64)).astype("float32")
    steps = 500 if arguments.quick else arguments.steps
    used = [layer.implementation_in_use for layer in model.layers if hasattr(layer, "mask")]
    print(machine(), f"products: {', '.join(used)}", sep="; ")
    print("| steps | peak (MB) |\n|---|---|", flush=True)
    for done in range(1, steps + 1):
        model.train_on_batch(x, y)
        if done % (steps // 10) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
            print(f"| {done} | {peak:.1f} |", flush=True)


if __name__ == "__main__":
    main()
