import subprocess

import pytest

from keras_sparse.kernels.native import build, check, processor
from keras_sparse.kernels.native.not_built import NotBuilt


@pytest.fixture
def one_path(monkeypatch):
    paths = [processor.VectorPath("plain", 4, (), frozenset())]
    monkeypatch.setattr(check, "runnable_paths", lambda: paths)
    try:
        build.obtain(build.Build("check", "", check.FLAGS, (), ()))
    except NotBuilt as error:
        pytest.skip(str(error))  # some compilers come without sanitizers


def test_every_vector_path(sources, fresh):
    answers = list(check.run_check(shapes=5, seed=1))
    assert [answer.vector_path for answer in answers] == processor.runnable_paths()
    assert all(answer.passed for answer in answers)
    assert {answer.output for answer in answers} == {"5 shapes, seed 1\n"}
    assert len(list(fresh.glob("check-*"))) == len(answers)


def test_a_read_beyond_an_array_fails(sources, one_path):
    (answer,) = check.run_check(shapes=5, seed=4)
    assert not answer.passed
    assert "index 4 out of bounds" in answer.output


@pytest.mark.parametrize(("arguments", "name"), [({"shapes": 0}, "shapes"), ({"seed": -1}, "seed")])
def test_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` of the check must be an integer"):
        next(check.run_check(**arguments))


def test_the_real_one():
    """A few shapes on the widest path; `keras-sparse kernels --check` has more."""
    try:
        program = check.build_check(processor.runnable_paths()[0])
    except NotBuilt as error:
        pytest.skip(str(error))
    answer = subprocess.run([program, "10", "3"], text=True, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "10 shapes, 0 failed" in answer.stdout
