import os
import time
from pathlib import Path

import pytest

from keras_sparse.kernels.native import compiler
from keras_sparse.kernels.native.compiler import compile_file, find_compiler
from keras_sparse.kernels.native.not_built import NotBuilt

OLD = """
case "$*" in
*--version*) echo "g++ (GCC) 8.5.0" ;;
*) echo "cc1plus: error: bad value ('x86-64-v4') for '-march=' switch" >&2; exit 1 ;;
esac
"""
GOOD = 'exec "$REAL" "$@"'


def test_no_compiler_on_the_path(fresh, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotBuilt, match="neither g\\+\\+ nor clang\\+\\+") as caught:
        find_compiler()
    assert "Sparse layers and dense blocks take stock operations instead" in str(caught.value)
    assert "apt-get install g++" in str(caught.value)


def test_a_compiler_that_is_named_and_not_there(fresh, monkeypatch):
    monkeypatch.setenv("CXX", "g++-99 -m64")
    with pytest.raises(NotBuilt, match="CXX='g\\+\\+-99 -m64' names no program that is there"):
        find_compiler()


def test_a_named_compiler_with_flags(sources, compiler_script, monkeypatch):
    script = compiler_script("own", GOOD)
    monkeypatch.setenv("CXX", "own -DONE")
    found = find_compiler()
    assert found.command == (str(script), "-DONE")
    assert found.name.startswith(f"{script} -DONE: ")


def test_one_that_is_too_old_is_passed_over(sources, compiler_script):
    compiler_script("g++", OLD)
    good = compiler_script("clang++", GOOD)
    assert find_compiler(("-march=x86-64-v4",)).command == (str(good),)


def test_only_one_that_is_too_old(sources, compiler_script, monkeypatch):
    monkeypatch.setenv("CXX", str(compiler_script("g++", OLD)))
    with pytest.raises(NotBuilt) as caught:
        find_compiler()
    message = str(caught.value)
    assert "GCC 11 or newer, or clang, is needed" in message
    assert "g++ (GCC) 8.5.0" in message
    assert "bad value ('x86-64-v4')" in message


def test_the_probe_tells_what_is_too_old(sources):
    command = [*find_compiler().command, "-x", "c++", "-E", "-"]
    assert compiler._call(command, 60, compiler.PROBE).returncode == 0
    without = compiler.PROBE.replace("!defined(__clang__) && __GNUC__ < 11", "1")
    assert compiler._call(command, 60, without).returncode != 0


def test_a_program_that_is_no_compiler(fresh, compiler_script, monkeypatch):
    monkeypatch.setenv("CXX", str(compiler_script("broken", "echo no such toolchain >&2; exit 3")))
    with pytest.raises(NotBuilt, match="no such toolchain"):
        find_compiler()


def test_the_message_ends_in_the_last_lines(sources, tmp_path):
    (sources / "long.cc").write_text("\n".join(f"#warning number {i}" for i in range(50)) + "\n#error here\n")
    with pytest.raises(NotBuilt) as caught:
        compile_file(find_compiler(), sources / "long.cc", (), (), tmp_path / "long")
    lines = str(caught.value).splitlines()
    assert len(lines) <= 13
    assert any("#error here" in line for line in lines)


def test_a_compiler_that_does_not_end(sources, compiler_script, monkeypatch, tmp_path):
    script = compiler_script("slow", 'case "$*" in *--version*|*-E*) exec "$REAL" "$@";; esac\nsleep 60; true')
    monkeypatch.setenv("CXX", str(script))
    slow = find_compiler()
    monkeypatch.setattr(compiler, "TIME_LIMIT", 0.2)
    started = time.monotonic()
    with pytest.raises(NotBuilt, match="did not end within"):
        compile_file(slow, sources / "operations.cc", (), (), tmp_path / "result")
    assert time.monotonic() - started < 10  # what it had started was ended with it
    assert not [name for name in os.listdir(tmp_path) if name.startswith("building-")]


def test_needs_no_folder_but_that_of_the_result(sources, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nowhere")
    target = tmp_path / "own" / "result.so"
    target.parent.mkdir()
    compile_file(find_compiler(), sources / "operations.cc", ("-shared", "-fPIC"), (), target)
    assert os.listdir(Path(target).parent) == ["result.so"]
