"""Time of the products of compact layers, forward and backward, beside the dense Keras layer.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --quick
    python benchmarks/kernels.py --threads 2 --case conv3x3 --density 0.01 0.1 --plot kernels.png
    python benchmarks/kernels.py --alone
    python benchmarks/kernels.py --others

A round is one call of each: output, gradient to the inputs, gradient to the weights, in one compiled function. The
sides take turns in a new random order each round, on as many threads as `--threads` says; the table has medians, and
how many times faster than the dense layer that is. With `--alone` they do not: caches and memory are then one side's
own, as in a network of one kind, but whatever else the machine does falls on one of them. "auto" is what the layer
takes when it is not told. `--others` times the forward product alone, beside those of SciPy, TensorFlow and, where it
is installed, PyTorch, on the same connections. "goal" is what the package aims at on one thread of an idle machine.
"""

import argparse
import os
import statistics
import time

# kind, channels or units, side of the image, batch, size of the kernel, block size
CASES = {
    "conv3x3": ("conv", 256, 16, 8, 3, 1),
    "conv1x1": ("conv", 256, 16, 8, 1, 1),
    "dense": ("dense", 2048, None, 128, None, 1),
    "blocks32": ("dense", 2048, None, 128, None, 32),
}
GOALS = {
    "conv3x3": {0.01: 20, 0.03: 12, 0.1: 5, 0.25: 2},
    "conv1x1": {0.01: 8, 0.03: 5, 0.1: 2.5, 0.25: 1.2},
    "dense": {0.01: 12, 0.03: 7, 0.1: 3, 0.25: 1.2},
    "blocks32": {0.1: 5, 0.25: 2.5},
}


def layers_of(case, density, implementations):
    """Built layers by name, "dense" first, and what they read."""
    import keras
    import numpy as np

    import keras_sparse as ks

    kind, width, size, batch, kernel, block = CASES[case]
    shape = (batch, size, size, width) if kind == "conv" else (batch, width)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    sparse = {"sparsity": 1 - density, "format": "compact", "block_size": block, "seed": 0}
    if kind == "conv":
        layers = {"dense": keras.layers.Conv2D(width, kernel, padding="same")}
        for name in implementations:
            layers[name] = ks.layers.SparseConv2D(width, kernel, padding="same", implementation=name, **sparse)
    else:
        layers = {"dense": keras.layers.Dense(width)}
        for name in implementations:
            layers[name] = ks.layers.MaskedDense(width, implementation=name, **sparse)
    for layer in layers.values():
        layer.build(shape)
    return layers, x


def step_of(layer, x):
    """A compiled function: output and all gradients."""
    import tensorflow as tf

    x = tf.constant(x)
    dy = tf.constant(tf.random.stateless_normal(layer.compute_output_shape(x.shape), (0, 0)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        weights = [variable.value for variable in layer.trainable_variables]
        return y, tape.gradient(y, [x, *weights], output_gradients=dy)

    def run():
        outputs, gradients = step()
        # Whatever runs at the same time is done when its result is.
        return outputs[..., :1].numpy(), [gradient.shape for gradient in gradients]

    return run


def timed(functions, rounds, alone=False, warm_up=3):
    """Median seconds of each function: dictionary by name. They take turns, or have all theirs one after the other."""
    import numpy as np

    if alone:
        return {name: timed({name: function}, rounds)[name] for name, function in functions.items()}
    rng = np.random.default_rng(0)
    seconds = {name: [] for name in functions}
    for turn in range(warm_up + rounds):
        for name in rng.permutation(list(functions)):
            began = time.perf_counter()
            functions[name]()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def products_of_others(density):
    """Forward products of 2048 to 2048 units, batch 128, by name."""
    import keras
    import numpy as np
    import scipy.sparse
    import tensorflow as tf

    from keras_sparse.kernels import compact

    layers, x = layers_of("dense", density, ["native"])
    c = layers["native"].connections
    values = keras.ops.convert_to_numpy(layers["native"].kernel)
    matrix = scipy.sparse.csr_array((values, (c.outputs, c.inputs)), shape=(c.fan_out, c.fan_in))
    columns = np.ascontiguousarray(x.T)
    sparse = tf.sparse.from_dense(matrix.toarray())
    rows, on_device, kernel = tf.constant(x), tf.constant(columns), layers["dense"].kernel.value
    arguments = (rows, tf.constant(values), tf.constant(c.inputs), tf.constant(c.outputs), c.fan_out, "native")
    functions = {
        "dense": tf.function(lambda: tf.matmul(rows, kernel)),
        "native": tf.function(lambda: compact.dense(*arguments)),
        "SciPy CSR": lambda: matrix @ columns,
        "TensorFlow sparse": tf.function(lambda: tf.sparse.sparse_dense_matmul(sparse, on_device)),
    }
    try:
        import torch
    except ImportError:
        return functions
    torch.set_num_threads(tf.config.threading.get_intra_op_parallelism_threads() or torch.get_num_threads())
    other = torch.from_numpy(matrix.toarray()).to_sparse_csr()
    right = torch.from_numpy(columns)
    return {**functions, "PyTorch CSR": lambda: other @ right}


def plot(rows, path):
    """Speed-up against density, a line for each case and implementation, the goals as crosses."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    cases = list(dict.fromkeys(row[0] for row in rows))
    figure, axes = plt.subplots(1, len(cases), figsize=(4.2 * len(cases), 4), sharey=True, squeeze=False)
    for axis, case in zip(axes[0], cases, strict=True):
        names = [name for row in rows if row[0] == case for name in row[2]]
        for name in dict.fromkeys(names):
            if name != "dense":
                points = [(100 * row[1], row[2]["dense"] / row[2][name]) for row in rows if row[0] == case]
                axis.plot(*zip(*points, strict=True), marker="o", label=name)
        goals = GOALS.get(case, {})
        axis.plot([100 * d for d in goals], list(goals.values()), "kx", label="goal")
        axis.axhline(1, color="grey", linewidth=0.8)
        axis.set(title=case, xscale="log", yscale="log", xlabel="connections (%)")
        for one, ticks in ((axis.xaxis, sorted({100 * row[1] for row in rows})), (axis.yaxis, (0.5, 1, 2, 5, 10, 20))):
            one.set_major_locator(FixedLocator(ticks))
            one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            one.set_minor_locator(NullLocator())
        axis.legend(frameon=False)
    axes[0][0].set_ylabel("times as fast as the dense Keras layer")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--density", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.25, 0.5])
    parser.add_argument("--implementation", nargs="+", help="default: all that the layer can take, and auto")
    parser.add_argument("--threads", type=int, default=1, help="of TensorFlow, for both sides (default: 1)")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--alone", action="store_true", help="all rounds of one side, then all of the next")
    parser.add_argument("--others", action="store_true", help="the forward products of other libraries instead")
    parser.add_argument("--plot", metavar="PNG", help="writes a figure of speed-up against density")
    parser.add_argument("--quick", action="store_true", help="two densities, five rounds")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf
    from masked_training import machine

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    densities, rounds = ([0.01, 0.1], 5) if arguments.quick else (arguments.density, arguments.rounds)
    print(machine(), f"{arguments.threads} thread(s) of TensorFlow", sep="; ", flush=True)
    if arguments.others:
        return print_others(densities, rounds, arguments.threads)
    rows = []
    print("| layer | connections | dense (ms) | implementation | ms | times as fast | goal |")
    print("|---" * 7 + "|", flush=True)
    for case in arguments.case:
        names = arguments.implementation or [
            "auto",
            "native",
            "blocked" if CASES[case][-1] > 1 else "gather",
            "scattered",
        ]
        for density in densities:
            keras.utils.clear_session()
            layers, x = layers_of(case, density, names)
            seconds = timed({name: step_of(layer, x) for name, layer in layers.items()}, rounds, arguments.alone)
            rows.append((case, density, seconds))
            for name in names:
                label = f"auto ({layers[name].implementation_in_use})" if name == "auto" else name
                ratio, goal = seconds["dense"] / seconds[name], GOALS.get(case, {}).get(density, "")
                print(
                    f"| {case} | {100 * density:g}% | {1000 * seconds['dense']:.2f} | {label} | "
                    f"{1000 * seconds[name]:.2f} | {ratio:.2f} | {goal} |",
                    flush=True,
                )
    if arguments.plot:
        plot(rows, arguments.plot)
        print(f"wrote {arguments.plot}")
    return None


def print_others(densities, rounds, threads):
    """The table of forward products."""
    import importlib.util

    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
    print("| connections | product | ms | times as fast as dense |")
    print("|---" * 4 + "|", flush=True)
    for density in densities:
        seconds = timed(products_of_others(density), rounds)
        for name, value in seconds.items():
            print(
                f"| {100 * density:g}% | {name} | {1000 * value:.2f} | {seconds['dense'] / value:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
