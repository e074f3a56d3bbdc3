"""The compiled library of the native product: from the cache, or built once and kept there.

    from keras_sparse.kernels.native import build, tensorflow

    build.library_path(tensorflow.framework())      # a path for `tf.load_op_library`, or NotBuilt is raised

The name of a library holds two hashes: one of all that its content depends on (sources, TensorFlow, flags, and with the
flags what the processor can do, so that unlike machines may share a home), and one of the compiler. Where there is no
compiler, one that another has built will do.
"""

import hashlib
import json
import os
import platform
import threading
from pathlib import Path
from typing import NamedTuple

from keras_sparse import checks
from keras_sparse.kernels.native import cache
from keras_sparse.kernels.native.compiler import compile_file, find_compiler
from keras_sparse.kernels.native.lock import locked
from keras_sparse.kernels.native.not_built import NotBuilt
from keras_sparse.kernels.native.processor import runnable_paths

SOURCES = Path(__file__).resolve().parent


class Framework(NamedTuple):
    """What a library is compiled against: `version` tells any two apart; the flags are tuples of strings."""

    version: str
    compile_flags: tuple
    link_flags: tuple


class Build(NamedTuple):
    """What is made of `<name>.cc`: flags before and behind it, flags for a processor, the version of what it uses."""

    name: str
    suffix: str
    before: tuple
    after: tuple
    processor: tuple
    version: str = ""


def library_path(framework):
    """The library of TensorFlow operations for this machine, built if it is not there.

    What came of it, a failure too, is remembered until the process ends: it may be asked for every layer.

    Args:
        framework: `Framework`.

    Returns:
        Path.

    Raises:
        NotBuilt: If there is none: switched off, no compiler, a compiler that fails, no safe folder.
    """
    refusal = refused()
    if refusal is not None:
        raise refusal
    with _one_at_a_time:
        if framework not in _remembered:
            try:
                _remembered[framework] = obtain(_library(framework))
            except NotBuilt as error:
                _remembered[framework] = error
        known = _remembered[framework]
    if isinstance(known, NotBuilt):
        raise NotBuilt(*known.args)  # a new one: its traceback grows where it is raised
    return known


def find_library(framework):
    """The same without building anything: None where it would have to be built first, or cannot be."""
    return None if refused() else find(_library(framework))


def refused():
    """A `NotBuilt` where there is to be no native product whatever can be compiled, else None."""
    value = os.environ.get("KERAS_SPARSE_NATIVE", "")
    checks.choice("KERAS_SPARSE_NATIVE", value, "the environment", ("", "0", "1"), "Set it to 0, or unset it.")
    if value == "0":
        return NotBuilt("switched off by KERAS_SPARSE_NATIVE=0", "Unset it to have the native product.")
    return None


def clean():
    """Empties the cache; `cache.clean`. What this process remembers is forgotten."""
    with _one_at_a_time:
        _remembered.clear()
        return cache.clean()


def obtain(build):
    """The compiled file, from the cache or built; of many processes that ask at once, one builds.

    Args:
        build: `Build`.

    Returns:
        Path.

    Raises:
        NotBuilt: If that fails.
    """
    present = find(build)
    if present is not None:
        return present
    compiler = find_compiler(build.processor)
    try:
        target = cache.writable_folder() / _file_name(build, compiler)
        with locked(target.parent):
            if cache.find(target.name) is None:  # otherwise it was built while we waited
                flags = (*build.before, *build.processor)
                compile_file(compiler, SOURCES / f"{build.name}.cc", flags, build.after, target)
        present = cache.find(target.name)
    except OSError as error:
        raise NotBuilt(
            f"a compiled file could not be written ({error})",
            "Make room, or set KERAS_SPARSE_CACHE to a folder that only you can write.",
        ) from error
    if present is None:
        raise NotBuilt(f"{target} was built and is gone", "Someone may have emptied the cache just now: start again.")
    return present


def find(build):
    """The compiled file if it is there, else None."""
    try:
        compiler = find_compiler(build.processor)
    except NotBuilt:
        compiler = None
    return cache.find(_file_name(build, compiler))


def _library(framework):
    before = ("-shared", "-fPIC", "-O3", "-w", *framework.compile_flags)
    return Build(
        "operations", ".so", before, framework.link_flags, runnable_paths()[0].compiler_flags, framework.version
    )


def _file_name(build, compiler):
    """`operations-<content>-<compiler>.so`; without a compiler, a pattern that any will do for."""
    content = hashlib.sha256(json.dumps([platform.system(), platform.machine(), *build]).encode())
    for file in sorted([*SOURCES.glob("*.h"), SOURCES / f"{build.name}.cc"]):
        content.update(json.dumps([file.name, file.read_text()]).encode())
    by = "*"
    if compiler is not None:
        by = hashlib.sha256(json.dumps([compiler.command[1:], compiler.version]).encode()).hexdigest()[:8]
    return f"{build.name}-{content.hexdigest()[:16]}-{by}{build.suffix}"


_one_at_a_time = threading.Lock()
_remembered = {}  # Framework -> Path or NotBuilt
