"""`keras-sparse kernels`; it stands here for the stand-ins that it shares with its neighbours."""

import os
import re

import keras
import pytest

from keras_sparse.cli import main
from keras_sparse.commands import kernels
from keras_sparse.kernels.native import build


@pytest.fixture
def tensorflow(framework, monkeypatch):
    """The stand-in, on whatever backend the tests run."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setattr(kernels, "_framework", lambda: framework)


def rows(text):
    """`{name: value}` of the first table."""
    return dict(re.split(r"  +", line, maxsplit=1) for line in text.partition("\n\n")[0].splitlines())


def test_what_is_in_use(sources, fresh, tensorflow, capsys):
    assert main(["kernels"]) == 0
    text = capsys.readouterr().out
    told = rows(text)
    assert told["backend"] == f"tensorflow, Keras {keras.version()}"
    assert told["cache"] == f"{fresh} (KERAS_SPARSE_CACHE)"
    assert "g++" in told["compiler"]
    assert told["native product"].startswith("not built yet; `keras-sparse kernels --build`")
    assert told["KERAS_SPARSE_NATIVE"] == "not set (0 switches the native product off)"
    assert told["KERAS_SPARSE_CACHE"].startswith(f"{fresh} (")
    taken = next(line for line in text.splitlines() if line.startswith("3x3 convolution"))
    assert taken.split()[-5:] == ["native"] * 5
    assert next(line for line in text.splitlines() if line.startswith("1x1")).split()[-1:] == ["scattered"]
    assert not fresh.exists()


def test_build_show_clean(sources, fresh, tensorflow, capsys):
    assert main(["kernels", "--build"]) == 0
    library, seconds = re.fullmatch(r"(.*) built in (.*) seconds.\n", capsys.readouterr().out).groups()
    assert float(seconds) < 60
    assert main(["kernels", "--build"]) == 0
    assert capsys.readouterr().out == f"{library} was there already.\n"
    os.utime(library, (0, os.path.getmtime(library) - 2.5 * 86400))
    assert main(["kernels"]) == 0
    assert re.fullmatch(f"{library}, 0.0. MB, built 2 days ago", rows(capsys.readouterr().out)["native product"])
    assert main(["kernels", "--clean"]) == 0
    assert capsys.readouterr().out == f"removed {library}\n"
    assert main(["kernels", "--clean"]) == 0
    assert capsys.readouterr().out == "There was nothing to remove.\n"
    assert os.listdir(fresh) == []


def test_a_cache_that_cannot_serve(sources, fresh, tensorflow, capsys):
    fresh.mkdir()
    fresh.chmod(0o777)
    assert main(["kernels"]) == 0
    text = capsys.readouterr().out
    assert f"{fresh} (KERAS_SPARSE_CACHE), not for new files: others can write to {fresh} (mode 777)" in text
    assert f"keras-sparse-{os.geteuid()} (temporary files)\n" in text


def test_no_compiler(fresh, tensorflow, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["kernels"]) == 0
    assert rows(capsys.readouterr().out)["compiler"].startswith("none: there is no C++ compiler on the path")
    assert main(["kernels", "--build"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("keras-sparse kernels: error: No native operations: there is no C++ compiler")
    assert len(message.splitlines()) == 1


def test_switched_off(sources, tensorflow, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_SPARSE_NATIVE", "0")
    assert main(["kernels"]) == 0
    assert rows(capsys.readouterr().out)["native product"] == "none: switched off by KERAS_SPARSE_NATIVE=0"
    assert main(["kernels", "--build"]) == 2
    assert "switched off" in capsys.readouterr().err


def test_other_backends_have_none(sources, monkeypatch, capsys):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert main(["kernels"]) == 0
    assert "another backend" in rows(capsys.readouterr().out)["native product"]
    assert main(["kernels", "--build"]) == 2
    assert "Set KERAS_BACKEND=tensorflow" in capsys.readouterr().err


def test_check(sources, monkeypatch, capsys):
    try:
        build.obtain(build.Build("check", "", ("-fsanitize=address,undefined",), (), ()))
    except build.NotBuilt as error:
        pytest.skip(str(error))
    assert main(["kernels", "--check", "--shapes", "7"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^portable, \d+\.\d seconds: passed\n  7 shapes, seed 0\n", text, re.MULTILINE)
    assert main(["kernels", "--check", "--shapes", "7", "--seed", "4"]) == 1
    text = capsys.readouterr().out
    assert "portable" in text
    assert "FAILED" in text
    assert "out of bounds" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shapes", "3"], "`--shapes` is of `--check`"),
        (["--build", "--seed", "3"], "`--seed` is of `--check`"),
        (["--check", "--shapes", "0"], "`shapes` of the check must be an integer in [1, "),
    ],
)
def test_options_that_cannot_be_used(fresh, options, message, capsys):
    assert main(["kernels", *options]) == 2
    assert message in capsys.readouterr().err


def test_one_thing_at_a_time(capsys):
    with pytest.raises(SystemExit):
        main(["kernels", "--build", "--clean"])
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "less than a minute"),
        (60, "1 minute"),
        (7300, "2 hours"),
        (86400 * 400, "400 days"),
        (-3, "less than a minute"),
    ],
)
def test_ages(seconds, text):
    assert kernels._age(seconds) == text
