"""Sources that compile in a moment, in the place of the real ones."""

import os
import shutil
from pathlib import Path

import pytest

from keras_sparse.kernels.native import build
from keras_sparse.kernels.native.build import Framework
from keras_sparse.kernels.native.compiler import find_compiler
from keras_sparse.kernels.native.not_built import NotBuilt

CHECK = """
#include <cstdio>
#include <cstdlib>
int main(int, char** arguments) {
  std::printf("%s shapes, seed %s\\n", arguments[1], arguments[2]);
  int numbers[4] = {};
  volatile int at = std::atoi(arguments[2]);
  return numbers[at];  // a seed of 4 is one too many
}
"""


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """No cache yet, nothing remembered, nothing of the tester's environment."""
    for name in ("CXX", "KERAS_SPARSE_NATIVE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_SPARSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir(mode=0o700)
    monkeypatch.setattr(build, "_remembered", {})
    return tmp_path / "cache"


@pytest.fixture
def sources(fresh, tmp_path, monkeypatch):
    """A folder of sources that compile in a moment."""
    try:
        find_compiler()
    except NotBuilt as error:
        pytest.skip(str(error))
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "answer.h").write_text("constexpr int answer = 42;\n")
    (folder / "operations.cc").write_text('#include "answer.h"\nextern "C" int Answer() { return answer; }\n')
    (folder / "check.cc").write_text(CHECK)
    monkeypatch.setattr(build, "SOURCES", folder)
    return folder


@pytest.fixture
def framework():
    """Stands for TensorFlow."""
    return Framework("2.0", ("-std=c++17",), ())


@pytest.fixture
def compiler_script(tmp_path, monkeypatch):
    """Makes a program of a name, in shell, that comes first on the path; `$REAL` is the real compiler there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = shutil.which("g++") or shutil.which("clang++")

    def make(name, text):
        program = folder / name
        program.write_text(f"#!/bin/sh\nPATH='{os.environ['PATH']}'\nREAL='{real}'\n{text}\n")
        program.chmod(0o755)
        return program

    monkeypatch.setenv("PATH", str(folder) + os.pathsep + os.environ["PATH"])
    return make


@pytest.fixture
def counted(compiler_script, monkeypatch):
    """`CXX` is a compiler that is slow, and writes down each time that it compiles; returns how often it has."""
    log = Path(compiler_script("log", "").parent / "log.txt")
    compiles = 'case "$*" in *--version*|*-E*) ;; *) echo "$*" >> "$(dirname "$0")/log.txt"; sleep 0.5;; esac'
    monkeypatch.setenv("CXX", str(compiler_script("slow", f'{compiles}\nexec "$REAL" "$@"')))
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0
