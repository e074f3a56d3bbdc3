"""Memory for training LeNet-5 with 100 times the channels and the same number of connections, compact and masked.

    python benchmarks/compact_memory.py
    python benchmarks/compact_memory.py --quick

Alford et al. (2018) could not train this network for memory. Each line is a process of its own, which builds the
network, takes steps of Adam on one batch of random images, and reports its peak resident memory. "Connections" are
those of `conv2` and `hidden1`; the first and the last layer are dense, as in the paper. "At least" is arithmetic, not a
measurement: the kernels of those two four times (kernel, gradient, Adam's two slots) and their masks or indices. A
network that needs more than `--limit` by that is not started; the others get it as their limit. The goal: 100 times as
large, compact, within 4 GB.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time

GB = 1e9


def bytes_at_least(width, format):
    """Bytes that `conv2` and `hidden1` hold while Adam trains them."""
    pairs = (20 * width * 50 * width, 800 * width * 500 * width)
    if format == "dense":
        stored, beside = pairs, 0
    elif format == "masked":
        stored, beside = pairs, 1
    else:
        stored, beside = (max(20 * 50, 50 * width), 800 * 500), 8
    return sum(n * (4 * 4 * positions + beside) for n, positions in zip(stored, (25, 1), strict=True))


def connections(layer):
    """Pairs of units or channels that a layer connects, dense or sparse."""
    return layer.connections.count if hasattr(layer, "connections") else math.prod(layer.kernel.shape[-2:])


def measure(width, format, topology, batch_size, steps):
    """Trains one network and returns what it took."""
    import keras
    import numpy as np

    from keras_sparse.applications import LeNet5
    from keras_sparse.training.compilation import compile_classifier

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch_size, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, batch_size)
    imported = peak()
    began = time.perf_counter()
    twin = {"topology": topology, "format": format, "seed": 0} if format != "dense" else {}
    model = LeNet5(width=width, sparsity="same_connections", **twin)
    compile_classifier(model, keras.optimizers.Adam(1e-4))
    model.optimizer.build(model.trainable_variables)
    built = time.perf_counter() - began
    losses, seconds = [], []
    for _ in range(steps):
        began = time.perf_counter()
        losses.append(float(model.train_on_batch(x, y)[0]))
        model.reset_metrics()
        seconds.append(time.perf_counter() - began)
    assert losses[-1] < losses[0], "the loss must fall on the batch that is trained"
    return {
        "connections": sum(connections(model.get_layer(name)) for name in ("conv2", "hidden1")),
        "parameters": sum(math.prod(variable.shape) for variable in model.trainable_variables),
        "build": built,
        "first": seconds[0],
        "step": sorted(seconds[1:])[len(seconds[1:]) // 2],
        "losses": (losses[0], losses[-1]),
        "imported": imported,
        "peak": peak(),
    }


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(arguments, width, format):
    """`measure` in a process with a limit on its memory; None if that was not enough."""
    limit = int(arguments.limit * GB)
    task = [width, format, arguments.topology, arguments.batch_size, arguments.steps]
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
    parser.add_argument("--quick", action="store_true", help="10 times the channels only")
    parser.add_argument("--topology", default="random_fan_in", help='"random_edge" is the paper\'s')
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--limit", type=float, default=14, metavar="GB")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(*json.loads(arguments.child))))
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    columns = (
        "width", "format", "connections", "parameters", "at least (GB)", "peak (GB)", "of it imports (GB)", "build (s)",
        "first step (s)", "step (s)", "loss",
    )  # fmt: skip
    print(f"LeNet-5, topology {arguments.topology}, batch {arguments.batch_size}, {arguments.steps} steps of Adam\n")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    larger = [(width, format) for width in (10, 100) for format in ("compact", "masked")]
    for width, format in larger[:2] if arguments.quick else [(1, "dense"), *larger]:
        least = bytes_at_least(width, format) / GB
        cells = [f"x{width}", format]
        result = child(arguments, width, format) if least < arguments.limit else None
        if result is None:
            reason = "not started" if least >= arguments.limit else f"more than {arguments.limit:g}"
            cells += ["", "", f"{least:.3g}", reason, *[""] * 5]
        else:
            first, last = result["losses"]
            cells += [
                f"{result['connections']:,}",
                f"{result['parameters']:,}",
                f"{least:.3g}",
                f"{result['peak'] / GB:.2f}",
                f"{result['imported'] / GB:.2f}",
                f"{result['build']:.1f}",
                f"{result['first']:.1f}",
                f"{result['step']:.3f}",
                f"{first:.2f} to {last:.2f}",
            ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
