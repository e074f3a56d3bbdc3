import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_sparse.kernels.native import build, cache
from keras_sparse.kernels.native.not_built import NotBuilt

ROOT = Path(__file__).resolve().parents[3]

USE_LAST_RESORT = """
import os
from keras_sparse.kernels.native import cache
folder = cache.writable_folder()
child = os.fork()
if not child:
    raise SystemExit  # runs what was registered for the end: of the parent's folder, nothing
os.waitpid(child, 0)
(folder / "operations-1.so").touch()
assert cache.find("operations-*") == folder / "operations-1.so"
print(folder)
"""


def folders():
    return [candidate.folder for candidate in cache.candidates()]


def test_the_order_of_folders(fresh, tmp_path, monkeypatch):
    last = tmp_path / "temporary" / f"keras-sparse-{os.geteuid()}"
    assert folders() == [fresh, last]
    monkeypatch.delenv("KERAS_SPARSE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders() == [tmp_path / ".cache" / "keras-sparse", last]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert folders() == [tmp_path / ".cache" / "keras-sparse", last]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folders() == [tmp_path / "xdg" / "keras-sparse", last]
    monkeypatch.setenv("KERAS_SPARSE_CACHE", "~/own")
    assert folders() == [tmp_path / "own", last]
    assert not any(folder.exists() for folder in folders())  # to name them makes none
    assert cache.writable_folder() == tmp_path / "own"


def test_parents_are_made_closed_to_others(fresh, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_SPARSE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    before = os.umask(0)
    try:
        folder = cache.writable_folder()
    finally:
        os.umask(before)
    assert [level.stat().st_mode & 0o777 for level in (folder, folder.parent)] == [0o700, 0o700]


def unwritable_home(home):
    (home / ".cache").write_text("")  # root may write anywhere, but not into a file


def read_only_home(home):
    home.mkdir()


def missing_home(home):
    pass


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (missing_home, "does not exist"),
        (unwritable_home, ".cache is not a folder"),
        (read_only_home, "cannot be written"),
    ],
)
def test_a_home_that_cannot_be_written(fresh, tmp_path, monkeypatch, make, problem):
    home = tmp_path / "home"
    if make is unwritable_home:
        home.mkdir()
    make(home)
    if make is read_only_home:
        monkeypatch.setattr(os, "access", lambda path, mode: not Path(path).is_relative_to(home))
    there = home.exists()
    monkeypatch.delenv("KERAS_SPARSE_CACHE")
    monkeypatch.setenv("HOME", str(home))
    folder = cache.writable_folder()
    assert folder == tmp_path / "temporary" / f"keras-sparse-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache.candidates()[0].problem.endswith(problem)
    assert home.exists() == there


def test_the_last_resort_ends_with_the_process(fresh, tmp_path):
    for folder in folders():
        folder.write_text("")  # in the way
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "PYTHONPATH": str(ROOT), "TMPDIR": str(fresh.parent / "t")}
    Path(environment["TMPDIR"]).mkdir(mode=0o700)
    Path(environment["TMPDIR"], f"keras-sparse-{os.geteuid()}").write_text("")
    command = [sys.executable, "-c", USE_LAST_RESORT]
    answer = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    folder = Path(answer.stdout.strip())
    assert folder.parent == Path(environment["TMPDIR"])
    assert not folder.exists()


def test_no_folder_at_all(fresh, tmp_path, monkeypatch):
    for folder in folders():
        folder.write_text("")
    monkeypatch.setattr("tempfile.mkdtemp", lambda **options: os.mkdir("/proc/none"))
    with pytest.raises(NotBuilt, match="no folder for compiled files is safe") as caught:
        cache.writable_folder()
    assert "KERAS_SPARSE_CACHE: " in str(caught.value)
    assert f"{fresh} is not a folder" in str(caught.value)


def test_only_files_of_ours_are_removed(sources, fresh, framework, tmp_path):
    library = build.library_path(framework)
    (fresh / "building-left").mkdir()
    (fresh / "building-left" / "operations.so").write_text("")
    (fresh / "mine.txt").write_text("")
    (fresh / "check-link").symlink_to(tmp_path / "sources")
    assert build.clean() == [fresh / "building-left", fresh / "check-link", library]
    assert os.listdir(fresh) == ["mine.txt"]
    assert (sources / "operations.cc").is_file()
    assert build.clean() == []
    assert build.library_path(framework) == library
