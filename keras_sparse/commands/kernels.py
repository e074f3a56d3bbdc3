"""`keras-sparse kernels`: how sparse products are computed here, and why."""

import os
import time

import keras

from keras_sparse.analysis.text_table import text_table
from keras_sparse.commands import add_command
from keras_sparse.kernels import choice
from keras_sparse.kernels.native import build, cache
from keras_sparse.kernels.native.check import run_check
from keras_sparse.kernels.native.compiler import find_compiler
from keras_sparse.kernels.native.not_built import NotBuilt
from keras_sparse.kernels.native.processor import runnable_paths

VARIABLES = (
    ("KERAS_SPARSE_NATIVE", "0 switches the native product off"),
    ("KERAS_SPARSE_CACHE", "folder for compiled files, that only you can write"),
    ("XDG_CACHE_HOME", "folder that holds the folder for compiled files"),
    ("CXX", "C++ compiler"),
)


def add(commands):
    command = add_command(
        commands,
        "kernels",
        run,
        "Show how sparse products are computed here and why; build the native product ahead, test it, remove it.",
        (
            "keras-sparse kernels",
            "keras-sparse kernels --build",
            "keras-sparse kernels --check --shapes 1000 --seed 1",
            "KERAS_SPARSE_NATIVE=0 keras-sparse train --model lenet_300_100 --sparsity 0.9 --format compact",
        ),
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument("--build", action="store_true", help="compile the native product now, not at its first use")
    what.add_argument("--clean", action="store_true", help="remove what was compiled")
    what.add_argument("--check", action="store_true", help="run the native product under sanitizers")
    command.add_argument("--shapes", type=int, metavar="N", help="shapes that --check draws; 300 unless given")
    command.add_argument("--seed", type=int, metavar="N", help="of the shapes that --check draws; 0 unless given")


def run(arguments):
    drawn = {name: getattr(arguments, name) for name in ("shapes", "seed") if getattr(arguments, name) is not None}
    if arguments.check:
        return _check(drawn)
    if drawn:
        raise ValueError(f"`--{next(iter(drawn))}` is of `--check`. Received: no `--check`. Add it, or leave that out.")
    if arguments.clean:
        removed = build.clean()
        print("\n".join(f"removed {path}" for path in removed) or "There was nothing to remove.")
        return 0
    if arguments.build:
        return _build()
    _show()
    return 0


DENSITIES = (0.01, 0.03, 0.1, 0.25, 0.5)
# positions of the kernel, units or channels, block size
LAYERS = {
    "dense, 2048 units": (None, 2048, 1),
    "the same in blocks of 4": (None, 2048, 4),
    "the same in blocks of 32": (None, 2048, 32),
    "3x3 convolution, 256 channels": (9, 256, 1),
    "1x1 convolution, 256 channels": (1, 256, 1),
}


def layer_rows(native):
    """What compact layers take that are not told, by their connections: rows of strings.

    Args:
        native: Boolean, whether there is a native product, or will be at its first use.
    """
    return [
        (name, *(choice.fastest(_workload(density, *sizes), native) for density in DENSITIES))
        for name, sizes in LAYERS.items()
    ]


def _workload(density, positions, width, block_size):
    pairs = round(density * (width // block_size) ** 2)
    return choice.Workload(pairs, positions, width, width, block_size)


def _show():
    native, state = _native()
    vector_path = runnable_paths()[0]
    try:
        compiler = find_compiler(vector_path.compiler_flags).name
    except NotBuilt as error:
        compiler = f"none: {error.reason}"
    rows = [
        ("backend", f"{keras.backend.backend()}, Keras {keras.version()}"),
        ("processor", f"{vector_path.name}, {vector_path.numbers} numbers to a register"),
        ("compiler", compiler),
        *(("cache", text) for text in _folders()),
        ("native product", state),
        *((name, f"{os.environ.get(name) or 'not set'} ({meaning})") for name, meaning in VARIABLES),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:{width}}  {value}" for name, value in rows))
    print()
    titles = ("taken without implementation=, by connections", *(f"{100 * density:g}%" for density in DENSITIES))
    print(text_table(titles, layer_rows(native), words=(None,) * len(titles)))


def _folders():
    """The folder for new files, and before it those that would come first and cannot serve."""
    for folder, origin, problem in cache.candidates():
        yield f"{folder} ({origin})" + (f", not for new files: {problem}" if problem else "")
        if problem is None:
            return
    yield "a folder for each process, removed when it ends"


def _native():
    """Whether there is a native product, or can be; and the words for it."""
    refusal = build.refused()
    if refusal is not None:
        return False, f"none: {refusal.reason}"
    if keras.backend.backend() != "tensorflow":
        return False, "none: it is an operation of TensorFlow, and this is another backend"
    library = build.find_library(_framework())
    if library is not None:
        state = library.stat()
        return True, f"{library}, {state.st_size / 1e6:.2f} MB, built {_age(time.time() - state.st_mtime)} ago"
    return True, "not built yet; `keras-sparse kernels --build` does, and so does the first layer that uses it"


def _framework():
    from keras_sparse.kernels.native.tensorflow import framework  # other backends may not have it

    return framework()


def _build():
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"`--build` makes an operation of TensorFlow. Received: Keras with the backend "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow, or leave it: other backends do not use it."
        )
    started = time.perf_counter()
    was_there = build.find_library(_framework()) is not None
    library = build.library_path(_framework())
    seconds = time.perf_counter() - started
    print(f"{library} was there already." if was_there else f"{library} built in {seconds:.1f} seconds.")
    return 0


def _check(drawn):
    failed = 0
    for checked in run_check(**drawn):
        print(f"{checked.vector_path.name}, {checked.seconds:.1f} seconds: {'passed' if checked.passed else 'FAILED'}")
        print("\n".join(f"  {line}" for line in checked.output.splitlines()), flush=True)
        failed += not checked.passed
    return int(failed > 0)


def _age(seconds):
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"
