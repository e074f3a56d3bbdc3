"""Many small networks trained at once, beside Keras networks one after another: 784-300-10 with masks, on MNIST's size.

    python benchmarks/stack.py
    python benchmarks/stack.py --sparsity 0.7 --networks 100
    python benchmarks/stack.py --quick

In each round every side trains, in turns, on the same batches of 32 images: a network as Keras would, built, compiled
and fitted with all cores; one stack with all cores; and two stacks of half the networks in a process for each of two
cores, as `keras-sparse study` does. All that belongs to a network is counted, its building and tracing too, but not
the start of Python. The goal is a tenth of the time for each network.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import statistics
import time

SIZES = (784, 300, 10)


def images(count):
    """A data set of noise, as large as MNIST's images are."""
    import numpy as np

    from keras_sparse.datasets.dataset import Dataset
    from keras_sparse.datasets.splits import ArraySplit

    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (count, 28, 28, 1), np.uint8), rng.integers(0, 10, count)
    split = ArraySplit("mnist", pixels, labels)
    return Dataset("mnist", 10, (28, 28, 1), split, split.take(slice(0, 32)), split.take(slice(0, 32)))


def one_network(steps, sparsity):
    """Seconds for a network of stock and masked layers."""
    import keras

    from keras_sparse.applications import MLP

    data = images(32 * steps).train
    began = time.perf_counter()
    model = MLP(
        (SIZES[1],), sparsity={"hidden1": sparsity}, topology="expander", seed=0, classifier_activation="sigmoid"
    )
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), "mse")
    batches = data.training_batches(32, 1).map(lambda x, y: (x, keras.ops.one_hot(y, 10)))
    model.fit(batches, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    return time.perf_counter() - began


def one_stack(steps, sparsity, networks):
    """Seconds for a stack."""
    from keras_sparse.studies.snn_sweep import stacked_network
    from keras_sparse.training import train_stack

    data = images(32 * steps)
    began = time.perf_counter()
    train_stack([stacked_network("expander", 1 - sparsity, SIZES, seed) for seed in range(networks)], data, epochs=1)
    return time.perf_counter() - began


def side_by_side(pool, steps, sparsity, networks):
    """Seconds for a stack in each process of a pool that has been used before."""
    began = time.perf_counter()
    for future in [pool.submit(one_stack, steps, sparsity, networks // 2) for _ in range(2)]:
        future.result()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few networks, steps and rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.networks, arguments.steps, arguments.rounds = 4, 20, 1
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    from keras_sparse.studies.run_study import one_thread_each

    steps, sparsity, networks = arguments.steps, arguments.sparsity, arguments.networks
    print(f"{machine()}; 784-300-10, {sparsity:.0%} zeros, {steps} steps, networks: {networks}", flush=True)
    seconds = {"Keras, one after another": [], "one stack": [], "a stack on each of two cores": []}
    with one_thread_each(), concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        side_by_side(pool, 2, sparsity, 4)
        one_network(2, sparsity)
        for _ in range(arguments.rounds):
            measured = (
                one_network(steps, sparsity),
                one_stack(steps, sparsity, networks) / networks,
                side_by_side(pool, steps, sparsity, networks) / networks,
            )
            for side, value in zip(seconds, measured, strict=True):
                seconds[side].append(value)
    print("| side | seconds for a network | times as fast |\n|---|---|---|")
    first = statistics.median(seconds["Keras, one after another"])
    for side, values in seconds.items():
        print(f"| {side} | {statistics.median(values):.3f} | {first / statistics.median(values):.1f} |", flush=True)


if __name__ == "__main__":
    main()
