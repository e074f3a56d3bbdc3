"""What a mask costs: one training step of `MaskedDense` and `SparseConv2D`, masked, beside the stock Keras layer.

    python benchmarks/masked_training.py
    python benchmarks/masked_training.py --quick
    python benchmarks/masked_training.py --jit --optimizer adam --case dense-2048

Networks of one layer take their steps in turns, in a new random order each round: the stock layer, a masked one with
90% zeros, and the stock layer once more, whose ratio to the first says how far noise alone goes. A step is
`model.train_on_batch`, all of it: forward, backward, optimizer, constraint. The table has medians; the ratio is that
of the medians. The goal is 1.05 at most.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import time

# layer, units or filters, channels, size of the image, batch, rounds
CASES = {
    "dense-512": ("dense", 512, None, 128, 1000),
    "dense-2048": ("dense", 2048, None, 128, 200),
    "conv-64": ("conv", 64, 16, 32, 200),
    "conv-256": ("conv", 256, 16, 32, 40),
}
OPTIMIZERS = {
    "adam": lambda keras: keras.optimizers.Adam(1e-3),
    "momentum": lambda keras: keras.optimizers.SGD(1e-3, momentum=0.9),
}


def layer_of(case, masked):
    """The layer of a case, and the shape of what it reads."""
    from keras import layers

    from keras_sparse.layers import MaskedDense, SparseConv2D

    kind, units, size, _, _ = CASES[case]
    sparse = {"sparsity": 0.9, "seed": 0} if masked else {}
    if kind == "dense":
        return (MaskedDense if masked else layers.Dense)(units, activation="relu", **sparse), (units,)
    convolution = SparseConv2D if masked else layers.Conv2D
    return convolution(units, 3, padding="same", activation="relu", **sparse), (size, size, units)


def network(layer, shape, optimizer, jit):
    """A compiled model of one layer."""
    import keras

    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    model.compile(OPTIMIZERS[optimizer](keras), "mse", jit_compile=jit)
    return model


def timed_in_turns(models, batch, rounds, warm_up=5):
    """Seconds of the training steps of each model: lists by name, as `models` is."""
    import numpy as np

    rng = np.random.default_rng(0)
    some = next(iter(models.values()))
    x = rng.normal(size=(batch, *some.input_shape[1:])).astype("float32")
    y = rng.normal(size=(batch, *some.output_shape[1:])).astype("float32")
    names, seconds = list(models), {name: [] for name in models}
    for turn in range(warm_up + rounds):
        for name in rng.permutation(names):
            began = time.perf_counter()
            models[name].train_on_batch(x, y)
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def machine():
    """One line that says what measured."""
    import keras

    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    backend = keras.backend.backend()
    versions = f"Keras {keras.__version__}, {backend} {importlib.metadata.version(backend)}"
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} threads, {', '.join(keras.distribution.list_devices())}; {versions}, "
        f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--optimizer", choices=OPTIMIZERS, nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--jit", action="store_true", help="with XLA, which Keras uses on a GPU unless told otherwise")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds, and of the networks the smaller")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    cases = [case for case in arguments.case if not (arguments.quick and case == "conv-256")]
    print(machine(), f"jit_compile={arguments.jit}", sep="; ", flush=True)
    print("| layer | batch | optimizer | stock (ms) | masked (ms) | masked / stock | stock again / stock |", flush=True)
    print("|---" * 7 + "|", flush=True)
    for case in cases:
        _, _, _, batch, rounds = CASES[case]
        for optimizer in arguments.optimizer:
            keras.utils.clear_session()
            models = {
                name: network(*layer_of(case, name == "masked"), optimizer, arguments.jit)
                for name in ("stock", "masked", "again")
            }
            seconds = timed_in_turns(models, batch, max(10, rounds // 10 if arguments.quick else rounds))
            stock, masked, again = (1000 * statistics.median(seconds[name]) for name in models)
            print(
                f"| {case} | {batch} | {optimizer} | {stock:.2f} | {masked:.2f} | {masked / stock:.3f} | "
                f"{again / stock:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
