"""Whole networks: time of a training step and of a prediction, and peak memory, sparse beside dense.

    python benchmarks/models.py
    python benchmarks/models.py --network resnet50 --threads 1
    python benchmarks/models.py --quick

`lenet-300-100` and `lenet-5` grow to 10 and 100 times the units with the connections that they have (Alford et al.,
2018, could not train the last for memory; first and last layer stay dense, and grow). `resnet50` is that of
`keras.applications` on 64 x 64 pixels, its weights but those of the first convolution and the classifier cut to 90 and
97%, dense beside compact. Each line is a process of its own, which takes steps of Adam on one batch of random images
and must see the loss fall; lines take turns `--rounds` times, and the table has the medians. Peak memory is that of the
process, of which importing TensorFlow takes the part given. What needs more than `--limit` ends, and is said to.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time

GB = 1e9
# network: lines of (width or sparsity, format)
NETWORKS = {
    "lenet-300-100": [(1, "dense"), (10, "compact"), (100, "compact")],
    "lenet-5": [(1, "dense"), (10, "masked"), (10, "compact"), (100, "compact")],
    "resnet50": [(0, "dense"), (0.9, "compact"), (0.97, "compact")],
}
BATCH = {"lenet-300-100": 128, "lenet-5": 32, "resnet50": 16}


def network(name, size, format):
    """A model, and the shape of what it reads."""
    import keras

    import keras_sparse as ks

    if name == "resnet50":
        model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
        if size:
            exclude = ["conv1_conv", "predictions"]
            model = ks.compact(ks.sparsify(model, size, exclude=exclude, seed=0))
        return model, (64, 64, 3)
    constructor = ks.applications.LeNet5 if name == "lenet-5" else ks.applications.LeNet_300_100
    # With "random_fan_in" no unit is without an input; "random_edge" is the paper's.
    twin = {} if format == "dense" else {"topology": "random_fan_in", "format": format, "seed": 0}
    return constructor(width=size, sparsity="same_connections", **twin), (28, 28, 1)


def measure(name, size, format, threads, steps):
    """Trains one network and returns what it took."""
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_sparse.analysis import profile
    from keras_sparse.training.compilation import compile_classifier

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    imported = peak()
    model, shape = network(name, size, format)
    x = rng.normal(size=(BATCH[name], *shape)).astype("float32")
    y = rng.integers(0, 10, len(x))
    compile_classifier(model, keras.optimizers.Adam(1e-4))
    model.optimizer.build(model.trainable_variables)
    losses, step, inference = [], [], []
    for _ in range(steps):
        began = time.perf_counter()
        losses.append(float(model.train_on_batch(x, y)[0]))
        model.reset_metrics()
        step.append(time.perf_counter() - began)
    assert losses[-1] < losses[0], "the loss must fall on the batch that is trained"
    memory = peak()
    for _ in range(steps):
        began = time.perf_counter()
        model.predict_on_batch(x)
        inference.append(time.perf_counter() - began)
    return {
        "connected": profile(model).connected_parameters,
        "imported": imported,
        "peak": memory,
        "first": step[0],
        "step": statistics.median(step[2:]),
        "inference": statistics.median(inference[2:]),
    }


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(task, limit):
    """`measure` in a process with a limit on its memory; None if that was not enough."""
    limit = int(limit * GB)
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(task)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        check=False,
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    words = ("OOM", "MemoryError", "bad_alloc", "exhausted", "allocate")
    if done.returncode < 0 or any(word in done.stderr for word in words):
        return None
    raise RuntimeError(done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=0, help="of TensorFlow (default: all)")
    parser.add_argument("--steps", type=int, default=20, help="training steps, and predictions, of each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each line")
    parser.add_argument("--limit", type=float, default=14, metavar="GB")
    parser.add_argument("--quick", action="store_true", help="the lenets only, 10 times at most, one round")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(*json.loads(arguments.child))))
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    print(f"{machine()}; {arguments.threads or 'all'} thread(s) of TensorFlow, {arguments.steps} steps of Adam")
    columns = ("network", "size", "format", "connected", "peak (GB)", "of it imports", "first step (s)", "step (ms)",
               "times as fast as the first line", "prediction (ms)", "times as fast")  # fmt: skip
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for name in ("lenet-300-100", "lenet-5") if arguments.quick else arguments.network:
        lines = [line for line in NETWORKS[name] if not (arguments.quick and line[0] == 100)]
        results = {line: [] for line in lines}
        for _ in range(1 if arguments.quick else arguments.rounds):
            for line in lines:
                task = [name, *line, arguments.threads, arguments.steps]
                results[line].append(child(task, arguments.limit))
        medians = {line: median(found) for line, found in results.items()}
        dense = medians[lines[0]]
        for (size, format), result in medians.items():
            label = f"{100 * size:g}% zeros" if name == "resnet50" else f"x{size}"
            print(row(name, label, format, result, dense, arguments.limit), flush=True)


def median(results):
    """Of each figure; None if any process had not enough memory."""
    if None in results:
        return None
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def row(name, label, format, result, dense, limit):
    """A line of the table."""
    if result is None:
        return f"| {name} | {label} | {format} | | more than {limit:g} |" + " |" * 6
    cells = [
        name, label, format, f"{math.floor(result['connected']):,}", f"{result['peak'] / GB:.2f}",
        f"{result['imported'] / GB:.2f}", f"{result['first']:.1f}", f"{1000 * result['step']:.1f}",
        f"{dense['step'] / result['step']:.2f}", f"{1000 * result['inference']:.1f}",
        f"{dense['inference'] / result['inference']:.2f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
