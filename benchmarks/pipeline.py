"""Images per second of the input pipeline, beside those that a training step takes.

    python benchmarks/pipeline.py --dataset cifar10 --data-dir DIR --csv pipeline.csv
    python benchmarks/pipeline.py --quick

First images in memory (`ArraySplit`), for each augmentation; then photographs of 500x375 pixels that are decoded from
JPEG and cut to 224x224, as of ImageNet (`StreamSplit`; they are made up, of smooth noise, for no photographs come with
this package). The pipeline is read alone, by nobody who computes. The last lines are training steps on the same number
of images at once, alone as well: where both use the same cores, a pipeline that is `n` times as fast as the step costs
the step about `1 / n` of its time.
"""

import argparse
import csv
import os
import statistics
import time

AUGMENTATIONS = ("none", "shift", "shift_mirror")
COLUMNS = ("what", "of", "batch", "images per second", "times the step")


def photographs(count, classes=1000):
    """A `StreamSplit` of JPEG files in memory."""
    import numpy as np
    import tensorflow as tf

    from keras_sparse.datasets import StreamSplit

    rng = np.random.default_rng(0)
    coarse = tf.constant(rng.uniform(0, 255, (32, 12, 16, 3)), tf.float32)
    images = tf.cast(tf.image.resize(coarse, (375, 500), "bicubic"), tf.float32)
    images = tf.cast(tf.clip_by_value(images + rng.normal(0, 4, images.shape), 0, 255), tf.uint8)
    jpegs = tf.stack([tf.io.encode_jpeg(image, quality=90) for image in images])
    files = tf.data.Dataset.range(count).map(lambda i: (jpegs[i % 32], i % classes))
    return StreamSplit("imagenet2012", lambda host=0, hosts=1: files, count)


def images_per_second(batches, seconds, warm_up=3):
    """How fast batches come: the median of five stretches, each of a fifth of the time."""
    iterator, speeds = iter(batches), []
    for _ in range(warm_up):
        next(iterator)
    for _ in range(5):
        images, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds / 5:
            images += next(iterator)[0].shape[0]
        speeds.append(images / (time.perf_counter() - began))
    return statistics.median(speeds)


def step_speed(model, batch, seconds):
    """Images per second of training steps on one batch again and again."""
    from keras_sparse.training import CoupledDecaySGD
    from keras_sparse.training.compilation import compile_classifier

    compile_classifier(model, CoupledDecaySGD(0.1, momentum=0.9, nesterov=True))
    x, y = batch
    model.train_on_batch(x, y)
    took, began = [], time.perf_counter()
    while len(took) < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        model.train_on_batch(x, y)
        took.append(time.perf_counter() - start)
    return x.shape[0] / statistics.median(took)


def measure(split, what, model, batch_size, seconds):
    """Rows of the table for one split."""
    endless = {"epochs": 10**6, "seed": 0}
    first = next(iter(split.training_batches(batch_size, 1)))
    step = step_speed(model, first, seconds)
    for augmentation in AUGMENTATIONS:
        speed = images_per_second(split.training_batches(batch_size, augmentation=augmentation, **endless), seconds)
        yield what, augmentation, batch_size, round(speed), f"{speed / step:.1f}"
    yield "training step", model.name, batch_size, round(step, 1), "1.0"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each line")
    parser.add_argument("--csv", metavar="FILE", help="write the table to it, too")
    parser.add_argument("--quick", action="store_true", help="a second for each line, and no photographs")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    import keras_sparse as ks

    seconds = 1.0 if arguments.quick else arguments.seconds
    data = ks.datasets.load(arguments.dataset, data_dir=arguments.data_dir)
    network = ks.applications.SparseNet(40, 12, bottleneck=True, input_shape=data.image_shape, classes=data.classes)
    parts = [(data.train, f"{arguments.dataset}, in memory", network, arguments.batch_size)]
    if not arguments.quick:
        # A shuffle buffer full of photographs would take longer to fill than all else.
        parts.append((photographs(640), "photographs, 500x375", ks.applications.SparseNet121(), 16))
    print(machine(), flush=True)
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    rows = []
    for part in parts:
        for row in measure(*part, seconds):
            rows.append(row)
            print(f"| {' | '.join(map(str, row))} |", flush=True)
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
