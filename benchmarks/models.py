"""Whole networks: time of a training step and of a prediction, and peak memory, sparse beside dense.

    python benchmarks/models.py
    python benchmarks/models.py --network resnet50 --threads 1
    python benchmarks/models.py --quick
    python benchmarks/models.py --pair densenet121 resnet50 --threads 2 --csv densenet.csv
    python benchmarks/models.py --pair densenet121 --size 64 128 224 --only memory

`lenet-300-100` and `lenet-5` grow to 10 and 100 times the units with the connections that they have (Alford et al.,
2018, could not train the last for memory; first and last layer stay dense, and grow). `resnet50` is that of
`keras.applications` on 64 x 64 pixels, its weights but those of the first convolution and the classifier cut to 90 and
97%, dense beside compact. Each line is a process of its own, which takes steps of Adam on one batch of random images
and must see the loss fall; lines take turns `--rounds` times, and the table has the medians. Peak memory is that of the
process, of which importing TensorFlow takes the part given. What needs more than `--limit` ends, and is said to.

With `--pair`, networks of `face_to_face.py` run against each other, with SGD and momentum as in the papers: the sides
take turns step by step in one process, and ratios are medians over those turns; first step and peak memory are taken
in a process for each side. What is folded (`fold_batch_norm`) predicts only. Memory is compared as it is, and without
what was there after the imports ("net").
"""

import argparse
import csv
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time

from face_to_face import PAIRS

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


def stepper(build, shape, batch, only_predicts):
    """Functions for a training step (None if it only predicts) and a prediction of a network, and what is in it."""
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_sparse.training.compilation import compile_classifier

    keras.utils.set_random_seed(0)
    model = build()
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(batch, *shape)).astype("float32"))
    y = tf.constant(rng.integers(0, 10, batch))
    compile_classifier(model, keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True))
    model.optimizer.build(model.trainable_variables)
    step = None if only_predicts else lambda: model.train_on_batch(x, y)
    return step, lambda: model.predict_on_batch(x)


def face_to_face(name, side, size, batch, threads, steps):
    """One side's first step and peak memory; or, if `side` is None, times of all sides, taking turns."""
    import tensorflow as tf
    from face_to_face import pairs

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shape, sides = pairs(size)[name]
    imported = peak()
    if side is not None:
        step, _ = stepper(sides[side], shape, batch, False)
        first = clocked(step)
        for _ in range(3):
            step()
        return {"imported": imported, "first": first, "peak": peak()}
    runs = {side: stepper(build, shape, batch, "folded" in side) for side, build in sides.items()}
    times = {}
    for what in (0, 1):
        running = {side: run[what] for side, run in runs.items() if run[what] is not None}
        for turn in range(steps + 2):
            for side, run in running.items():
                seconds = clocked(run)
                if turn > 1:
                    times.setdefault(side, ([], []))[what].append(seconds)
    return times


def clocked(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def run_pair(name, size, arguments, write):
    """Lines of the table for the networks of one pair."""
    common = [size, arguments.batch_size, arguments.threads]
    if arguments.only == "memory":
        from face_to_face import pairs

        times = {side: ([], []) for side in pairs(size)[name][1] if "folded" not in side}
    else:
        times = child(["pair", name, None, *common, arguments.steps], arguments.limit)
    if times is None:
        write([name, str(size), "", f"more than {arguments.limit:g} GB"])
        return
    first_side = first_alone = None
    for side, measured in times.items():
        first_side = first_side or measured
        cells = [name, str(size), side]
        for what, of_first in zip(measured, first_side, strict=True):
            ratio = statistics.median(b / a for a, b in zip(of_first, what, strict=True)) if what else None
            cells += [f"{1000 * statistics.median(what):.1f}", f"{ratio:.2f}"] if what else ["", ""]
        if arguments.only != "times" and "folded" not in side:
            alone = child(["pair", name, side, *common, 0], arguments.limit)
            first_alone = first_alone or alone
            net, net_of_first = (result["peak"] - result["imported"] for result in (alone, first_alone))
            peaks = [(alone["peak"], first_alone["peak"]), (net, net_of_first)]
            cells.append(f"{alone['first']:.1f}")
            cells += [cell for own, first in peaks for cell in (f"{own / GB:.2f}", f"{own / first:.2f}")]
        write(cells)


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
    parser.add_argument("--pair", choices=(*PAIRS, "all"), nargs="+", default=[], help="instead of --network")
    parser.add_argument("--size", type=int, nargs="+", default=[64], help="pixels of ImageNet's networks, in pairs")
    parser.add_argument("--only", choices=("times", "memory"), help="of pairs; first steps belong to memory")
    parser.add_argument("--batch-size", type=int, default=16, help="of pairs")
    parser.add_argument("--csv", metavar="FILE", help="write the table of pairs to it, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, *task = json.loads(arguments.child)
        print(json.dumps(face_to_face(*task) if kind == "pair" else measure(kind, *task)))
        return
    if arguments.steps < 3:
        parser.error(f"--steps must be at least 3, of which two are to warm up. Received: {arguments.steps}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    optimizer = "SGD" if arguments.pair else "Adam"
    threads = f"{arguments.threads or 'all'} thread(s) of TensorFlow"
    print(f"{machine()}; {threads}, {arguments.steps} steps of {optimizer}")
    if arguments.pair:
        run_pairs(arguments)
        return
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


def run_pairs(arguments):
    """The table of `--pair`, on the screen and as CSV."""
    columns = ("network", "pixels", "side", "step (ms)", "to the first", "prediction (ms)", "to the first",
               "first step (s)", "peak (GB)", "to the first", "net (GB)", "to the first")  # fmt: skip
    print(f"pixels across (CIFAR's: 32), batch {arguments.batch_size}")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    rows = [columns]

    def write(cells):
        rows.append(cells + [""] * (len(columns) - len(cells)))
        print(f"| {' | '.join(rows[-1])} |", flush=True)

    if arguments.quick:
        arguments.steps = 3
    names = PAIRS if "all" in arguments.pair else arguments.pair
    for name in names[:1] if arguments.quick else names:
        for size in arguments.size:
            run_pair(name, size, arguments, write)
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as file:
            csv.writer(file).writerows(rows)


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
