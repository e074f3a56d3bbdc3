"""Time to the same accuracy: connections that double while training goes on, beside all of them from the start.

    python benchmarks/incremental.py --dataset cifar10 --data-dir DIR
    python benchmarks/incremental.py --quick

The network has three sparse 3x3 convolutions of 256 channels (after a dense one, with pooling between them). The sides:
"dense", stock layers; "incremental", compact layers that begin with `--initial` of the connections, which double every
`--period` epochs up to `--final` (`callbacks.Densify`). Both take the same number of epochs with the same optimizer.
Time is that of training, without evaluation, tracing of new stages included. The table has accuracy on the test images
and seconds after each epoch; the last line says when each first had the accuracy that both reach. For accuracy against
multiply-adds, from several densities and over seeds: `keras-sparse study incremental`.
"""

import argparse
import os
import time


def network(image_shape, sparse, initial, width):
    """A compiled model."""
    import keras

    import keras_sparse as ks

    def convolution(x):
        arguments = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        if not sparse:
            return keras.layers.Conv2D(width, 3, **arguments)(x)
        return ks.layers.SparseConv2D(width, 3, sparsity=1 - initial, format="compact", seed=0, **arguments)(x)

    inputs = keras.Input(image_shape)
    x = keras.layers.Rescaling(1 / 128, -1)(inputs)
    x = keras.layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    for _ in range(3):
        x = convolution(keras.layers.MaxPooling2D(2)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return model


def train(sparse, train_data, test_data, arguments):
    """Rows of epoch, density, seconds of training so far, accuracy on the test images."""
    import keras

    import keras_sparse as ks

    keras.utils.set_random_seed(arguments.seed)
    model = network(train_data[0].shape[1:], sparse, arguments.initial, arguments.width)
    steps = -(-len(train_data[0]) // arguments.batch_size)
    doubling = ks.schedules.Doubling(arguments.initial, arguments.period * steps, arguments.final)
    callbacks = [ks.callbacks.Densify(doubling, new="initializer")] if sparse else []
    rows, seconds = [], 0.0
    for epoch in range(arguments.epochs):
        began = time.perf_counter()
        history = model.fit(
            *train_data, initial_epoch=epoch, epochs=epoch + 1, batch_size=arguments.batch_size, verbose=0,
            callbacks=callbacks,
        ).history  # fmt: skip
        seconds += time.perf_counter() - began
        accuracy = model.evaluate(*test_data, batch_size=256, verbose=0)[1]
        density = history["density"][-1] if sparse else 1.0
        rows.append((epoch + 1, density, seconds, accuracy))
        name = "incremental" if sparse else "dense"
        print(f"| {name} | {epoch + 1} | {100 * density:.1f}% | {seconds:.1f} | {100 * accuracy:.2f}% |", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--examples", type=int, default=10_000, help="training images")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--initial", type=float, default=0.02)
    parser.add_argument("--period", type=int, default=2, help="epochs from one doubling to the next")
    parser.add_argument("--final", type=float, default=0.64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="64 channels, four epochs, 1,000 images")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.width, arguments.epochs, arguments.period, arguments.examples = 64, 4, 1, 1000
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    from keras_sparse import datasets

    data = datasets.load(arguments.dataset, arguments.data_dir, examples=arguments.examples)
    train_data, test_data = (data.train.images, data.train.labels), (data.test.images, data.test.labels)
    print(machine(), f"{len(train_data[0])} images of {arguments.dataset}", sep="; ")
    print("| side | epoch | connections | seconds of training | test accuracy |\n|---|---|---|---|---|", flush=True)
    sides = {name: train(name == "incremental", train_data, test_data, arguments) for name in ("dense", "incremental")}
    common = min(max(row[3] for row in rows) for rows in sides.values())
    when = {name: next(row[2] for row in rows if row[3] >= common) for name, rows in sides.items()}
    total = {name: rows[-1][2] for name, rows in sides.items()}
    print(
        f"\n{100 * common:.2f}%, which both reach: dense after {when['dense']:.1f} s, incremental after "
        f"{when['incremental']:.1f} s, {when['dense'] / when['incremental']:.2f} times as fast; "
        f"all epochs {total['dense']:.1f} s and {total['incremental']:.1f} s"
    )


if __name__ == "__main__":
    main()
