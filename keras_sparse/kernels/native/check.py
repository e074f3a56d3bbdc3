"""The native product under AddressSanitizer and UndefinedBehaviorSanitizer, beside plain loops; no TensorFlow needed.

A mistake in C++ may write where nobody looks and still give the right numbers. Here every read and write beyond an
array ends the program with a message, at random shapes, on every vector path that this processor can run.
"""

import subprocess
import time
from typing import NamedTuple

from keras_sparse import checks
from keras_sparse.kernels.native.build import Build, obtain
from keras_sparse.kernels.native.processor import VectorPath, runnable_paths

FLAGS = ("-std=c++17", "-O2", "-g", "-w", "-fno-omit-frame-pointer", "-fsanitize=address,undefined")
# What is undefined would otherwise be printed and passed over.
STRICT = ("-fno-sanitize-recover=all", "-pthread")


class Checked(NamedTuple):
    """`output`: all that the program printed; `seconds`: without building it."""

    vector_path: VectorPath
    passed: bool
    output: str
    seconds: float


def build_check(vector_path):
    """The program that runs the product over random shapes.

    Args:
        vector_path: One of `processor.runnable_paths()`.

    Returns:
        Path, in the cache.

    Raises:
        NotBuilt: If it cannot be compiled.
    """
    return obtain(Build("check", "", (*FLAGS, *STRICT), (), vector_path.compiler_flags))


def run_check(shapes=300, seed=0):
    """Runs the product over random shapes, on one vector path after another.

    Args:
        shapes: Integer >= 1, of each path.
        seed: Integer in [0, 2147483647]; the same seed draws the same shapes.

    Yields:
        `Checked`, one for each vector path.

    Raises:
        ValueError: If an argument is out of range.
        NotBuilt: If a program cannot be compiled.
    """
    shapes = checks.integer("shapes", shapes, "the check", minimum=1, maximum=2**31 - 1)
    seed = checks.integer("seed", seed, "the check", minimum=0, maximum=2**31 - 1)
    for vector_path in runnable_paths():
        program = build_check(vector_path)
        started = time.perf_counter()
        answer = subprocess.run(
            [program, str(shapes), str(seed)], text=True, errors="replace", capture_output=True, check=False
        )
        seconds = time.perf_counter() - started
        yield Checked(vector_path, answer.returncode == 0, answer.stdout + answer.stderr, seconds)
