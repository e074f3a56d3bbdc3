import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import keras
import pytest

from keras_sparse.kernels.native import build, cache, lock, processor
from keras_sparse.kernels.native.not_built import NotBuilt

ROOT = Path(__file__).resolve().parents[3]

AT_ONCE = """
import pathlib, sys, time
from keras_sparse.kernels.native import build
build.SOURCES = pathlib.Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(build.library_path(build.Framework("2.0", ("-std=c++17",), ())))
"""


def test_built_once_and_found_from_then_on(sources, fresh, framework, counted):
    assert build.find_library(framework) is None
    assert not fresh.exists()  # whoever looks leaves no trace
    library = build.library_path(framework)
    assert ctypes.CDLL(str(library)).Answer() == 42
    assert build.find_library(framework) == library
    build._remembered.clear()
    assert build.library_path(framework) == library
    assert counted() == 1
    assert sorted(os.listdir(fresh)) == ["lock", library.name]
    assert fresh.stat().st_mode & 0o777 == 0o700


def test_the_name_follows_all_that_the_library_depends_on(sources, framework, compiler_script, monkeypatch):
    def name():
        build._remembered.clear()
        return build.library_path(framework).name

    names = [name()]
    (sources / "operations.cc").write_text('#include "answer.h"\nextern "C" int Answer() { return -answer; }\n')
    names.append(name())
    (sources / "answer.h").write_text("constexpr int answer = 41;\n")
    names.append(name())
    framework = framework._replace(version="2.1")
    names.append(name())
    framework = framework._replace(compile_flags=("-std=c++17", "-DONE"))
    names.append(name())
    framework = framework._replace(link_flags=("-lm",))
    names.append(name())
    monkeypatch.setattr(build, "runnable_paths", lambda: [processor.VectorPath("another", 4, ("-O1",), frozenset())])
    names.append(name())
    newer = 'if [ "$1" = --version ]; then echo g++ 99; else exec "$REAL" "$@"; fi'
    monkeypatch.setenv("CXX", str(compiler_script("newer", newer)))
    names.append(name())
    assert len(set(names)) == len(names)
    assert names[-1].rpartition("-")[0] == names[-2].rpartition("-")[0]  # the compiler is apart from the rest
    (sources / "unrelated.txt").write_text("")
    assert name() == names[-1]


def test_without_a_compiler_what_another_built_will_do(sources, framework, tmp_path, monkeypatch):
    library = build.library_path(framework)
    build._remembered.clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.library_path(framework) == library
    with pytest.raises(NotBuilt, match="no C\\+\\+ compiler on the path"):
        build.library_path(framework._replace(version="3.0"))


def test_two_processes_at_once_compile_once(sources, fresh, counted):
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", AT_ONCE, str(sources)]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=300)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(answers) == 1
    assert Path(answers.pop().strip()).parent == fresh
    assert counted() == 1


@pytest.mark.parametrize("has_flock", [True, False])
def test_threads_at_once_compile_once(sources, framework, counted, has_flock, monkeypatch):
    if not has_flock:
        monkeypatch.setattr(lock, "fcntl", None)
    job, found = build._library(framework), []
    threads = [threading.Thread(target=lambda: found.append(build.obtain(job))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert counted() == 1


def test_a_failure_is_remembered_until_the_cache_is_emptied(sources, fresh, framework, counted):
    (sources / "operations.cc").write_text("this is not C++\n")
    for _ in range(3):
        with pytest.raises(NotBuilt) as caught:
            build.library_path(framework)
    assert counted() == 1
    message = str(caught.value)
    assert "failed (exit code 1) at operations.cc. Sparse layers and dense blocks take stock operations" in message
    assert "KERAS_SPARSE_NATIVE=0" in message
    assert "operations.cc:1:1: error:" in message
    assert os.listdir(fresh) == ["lock"]  # nothing half done
    (sources / "operations.cc").write_text("")
    build.clean()
    build.library_path(framework)


def test_a_full_disk_is_no_more_than_a_missing_library(sources, framework, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "compile_file", fail)
    with pytest.raises(NotBuilt, match="No space left on device"):
        build.library_path(framework)


def test_a_library_that_others_can_write_is_built_anew(sources, framework, counted):
    library = build.library_path(framework)
    library.write_bytes(b"something else")
    library.chmod(0o777)
    build._remembered.clear()
    assert build.find_library(framework) is None
    assert ctypes.CDLL(str(build.library_path(framework))).Answer() == 42
    assert library.stat().st_mode & 0o777 == 0o755
    assert counted() == 2


def test_a_library_in_a_folder_that_others_can_write_is_not_taken(sources, fresh, framework):
    planted = build.library_path(framework)
    fresh.chmod(0o777)
    build._remembered.clear()
    assert build.find_library(framework) is None
    library = build.library_path(framework)
    assert library.name == planted.name
    assert library.parent == cache.candidates()[1].folder


def test_a_folder_that_cannot_be_written_still_serves_what_is_there(sources, fresh, framework, monkeypatch):
    """As in an image: filled by root, read by all."""
    library = build.library_path(framework)
    build._remembered.clear()
    monkeypatch.setattr(os, "access", lambda path, mode: not Path(path).is_relative_to(fresh))  # root may do anything
    assert build.library_path(framework) == library
    assert build.library_path(framework._replace(version="3.0")).parent == cache.candidates()[1].folder


def test_whatever_the_umask(sources, fresh, framework):
    before = os.umask(0)
    try:
        library = build.library_path(framework)
    finally:
        os.umask(before)
    assert library.stat().st_mode & 0o022 == 0
    assert fresh.stat().st_mode & 0o777 == 0o700


def test_switched_off(sources, fresh, framework, monkeypatch):
    monkeypatch.setenv("KERAS_SPARSE_NATIVE", "0")
    with pytest.raises(NotBuilt, match="switched off by KERAS_SPARSE_NATIVE=0"):
        build.library_path(framework)
    assert build.find_library(framework) is None
    assert not fresh.exists()
    monkeypatch.setenv("KERAS_SPARSE_NATIVE", "1")
    assert build.library_path(framework).is_file()
    monkeypatch.setenv("KERAS_SPARSE_NATIVE", "off")
    with pytest.raises(ValueError, match="`KERAS_SPARSE_NATIVE` of the environment must be one of"):
        build.library_path(framework)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="is an operation of TensorFlow")
def test_the_real_library_loads(native_library):
    import tensorflow as tf

    operations = tf.load_op_library(str(native_library))
    x, values = tf.reshape(tf.range(6.0), (1, 1, 2, 3)), tf.fill((2, 1, 1), 2.0)
    y = operations.keras_sparse_product(x=x, values=values, inputs=[2, 0], outputs=[0, 1], filters=2)
    assert y.numpy().tolist() == [[[[4, 0], [10, 6]]]]
