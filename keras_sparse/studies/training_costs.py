"""Seconds that training takes, and how costs grow."""

import math
import time

import numpy as np

from keras_sparse.training import CoupledDecaySGD
from keras_sparse.training.compilation import compile_classifier


def prepare(model, learning_rate=0.01):
    """Compiles a classifier as the papers train it, and builds the optimizer, so that no step has to."""
    compile_classifier(model, CoupledDecaySGD(learning_rate, momentum=0.9, nesterov=True))
    model.optimizer.build(model.trainable_variables)


def random_batch(size, image_shape, classes, seed=0):
    """`(images, labels)` to take steps on that are only measured."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, *image_shape)).astype("float32"), rng.integers(0, classes, size)


def clocked(function, *arguments):
    """`(seconds, result)` of a call."""
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def exponent(depths, costs):
    """The slope of the straight line through logarithms of depth and cost: `cost ~ depth ** exponent`."""
    points = [(math.log(depth), math.log(max(cost, 1e-3))) for depth, cost in zip(depths, costs, strict=True)]
    middle, mean = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - middle) * (y - mean) for x, y in points) / sum((x - middle) ** 2 for x, _ in points)
