import os
from pathlib import Path

import pytest

from keras_sparse.kernels.native import cache
from keras_sparse.kernels.native.trust import file_problem, folder_problem

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "above" / "own"
    made.mkdir(parents=True)
    for level in (made, made.parent):
        level.chmod(0o755)
    return made


def test_a_folder_of_our_own(folder):
    assert folder_problem(folder) is None
    assert folder_problem(Path("/usr")) is None  # root's


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_others_can_write(folder, mode):
    folder.chmod(mode)
    assert f"others can write to {folder} (mode {mode:o})" == folder_problem(folder)


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_others_can_write_above(folder, mode):
    folder.chmod(0o700)
    folder.parent.chmod(mode)
    assert f"others can write to {folder.parent}" in folder_problem(folder)


def test_where_only_owners_rename_the_next_folder_is_closed(folder):
    folder.parent.chmod(0o1777)
    assert f"others can write to {folder.parent}" in folder_problem(folder)
    folder.chmod(0o700)
    assert folder_problem(folder) is None
    assert folder_problem(folder.parent, is_new=True) is None  # as it will be made


@only_root
def test_of_another_user(folder):
    os.chown(folder.parent, 12345, -1)
    assert folder_problem(folder) == f"{folder.parent} belongs to another user (number 12345)"


def test_links_are_resolved_first(folder, tmp_path, monkeypatch):
    folder.chmod(0o777)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.setenv("KERAS_SPARSE_CACHE", str(tmp_path / "link"))
    candidate = cache.candidates()[0]
    assert candidate.folder == folder
    assert "others can write" in candidate.problem


def test_files(folder):
    file = folder / "operations-1.so"
    file.write_text("")
    file.chmod(0o755)
    assert file_problem(file) is None
    file.chmod(0o775)
    assert file_problem(file) == f"others can write to {file} (mode 775)"
    file.chmod(0o644)
    (folder / "link").symlink_to(file)
    assert file_problem(folder / "link").endswith("is not a plain file")


@only_root
def test_files_of_another_user(folder):
    file = folder / "operations-1.so"
    file.write_text("")
    os.chown(file, 12345, -1)
    assert file_problem(file) == f"{file} belongs to another user (number 12345)"
