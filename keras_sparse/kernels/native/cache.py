"""The folder in which compiled files are kept, for this user alone.

The first of these that exists or can be made, is safe and can be written: `KERAS_SPARSE_CACHE`, or else
`$XDG_CACHE_HOME/keras-sparse`, or else `~/.cache/keras-sparse`; then `keras-sparse-<user>` in the folder for temporary
files; last a folder that is removed when this process ends. A file that is there already is also taken from a folder
that cannot be written, such as one that was filled when an image was made.
"""

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from keras_sparse.kernels.native.lock import locked
from keras_sparse.kernels.native.not_built import NotBuilt
from keras_sparse.kernels.native.trust import file_problem, folder_problem

OURS = ("operations-*", "check-*", "building-*")  # names of what is made here


class Candidate(NamedTuple):
    """A folder that may serve; `problem`: why no file can be made there, None if it can."""

    folder: Path
    origin: str
    problem: str | None


def candidates():
    """The folders that may serve, in order, whether or not they exist; makes none.

    Returns:
        List of `Candidate`; empty where files have no owner and mode to look at.
    """
    found = []
    if os.name != "posix":
        return found
    for folder, origin in _named():
        folder = Path(os.path.realpath(folder))
        found.append(Candidate(folder, origin, _problem(folder)))
    return found


def find(pattern):
    """The newest file of a name with wildcards, from the first folder that has one and is safe; or None."""
    for folder in [candidate.folder for candidate in candidates()] + _folders_of_processes:
        with contextlib.suppress(OSError):  # not there, not ours, or just being emptied
            if folder_problem(folder) is None:
                files = [file for file in folder.glob(pattern) if file_problem(file) is None]
                if files:
                    return max(files, key=os.path.getmtime)
    return None


def writable_folder():
    """The folder for new files, made if need be.

    Raises:
        NotBuilt: If there is none.
    """
    if os.name != "posix":
        raise NotBuilt("it is compiled on Linux and macOS only")
    problems = []
    for folder, origin, problem in candidates():
        if problem is None:
            try:
                _make(folder)
                problem = _problem(folder)  # once more: someone else may have been quicker
            except OSError as error:
                problem = str(error)
        if problem is None:
            return folder
        problems.append(f"{origin}: {problem}")
    with contextlib.suppress(OSError):
        folder = _process_folder(os.getpid())
        if _problem(folder) is None:
            return folder
    raise NotBuilt(
        f"no folder for compiled files is safe and can be written ({'; '.join(problems)})",
        "Set KERAS_SPARSE_CACHE to a folder that only you can write.",
    )


def clean():
    """Removes compiled files, and what a killed build left, from every folder that may serve.

    Returns:
        List of the removed paths. What this package did not make stays.
    """
    removed = []
    for folder, _, problem in candidates():
        if problem is not None or not folder.is_dir():
            continue
        with locked(folder):
            for path in sorted(path for pattern in OURS for path in folder.glob(pattern)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                removed.append(path)
            (folder / "lock").unlink()
    return removed


def _named():
    """Pairs of a folder and the words for where its name comes from."""
    named, xdg = os.environ.get("KERAS_SPARSE_CACHE"), os.environ.get("XDG_CACHE_HOME", "")
    home = os.path.expanduser("~")
    if named:
        yield os.path.expanduser(named), "KERAS_SPARSE_CACHE"
    elif os.path.isabs(xdg):  # any other is to be ignored, says its specification
        yield os.path.join(xdg, "keras-sparse"), "XDG_CACHE_HOME"
    else:
        yield os.path.join(home, ".cache", "keras-sparse"), "home folder"
    with contextlib.suppress(FileNotFoundError):
        yield os.path.join(tempfile.gettempdir(), f"keras-sparse-{os.geteuid()}"), "temporary files"


def _problem(folder):
    """Why no file can be made in a folder, be it there or to be made."""
    home = Path(os.path.realpath(os.path.expanduser("~")))
    if home in folder.parents and not os.path.isdir(home):
        return f"{home} does not exist"  # and is not made: who runs a service may be meant to have none
    try:
        there = next(level for level in (folder, *folder.parents) if os.path.lexists(level))
        problem = folder_problem(there, is_new=there != folder)
        if problem is not None:
            return problem
        if not os.access(there, os.W_OK | os.X_OK):
            return f"{there} cannot be written"
        if os.statvfs(there).f_flag & getattr(os, "ST_NOEXEC", 0):
            return f"{there} is on a file system from which nothing may be run (noexec)"
    except OSError as error:
        return str(error)
    return None


def _make(folder):
    """Makes a folder and those above it, closed to others whatever the umask."""
    for level in reversed((folder, *folder.parents)):
        if not level.is_dir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(level, 0o700)


_folders_of_processes = []


@functools.cache
def _process_folder(process):
    """A folder until the process ends; one that is forked makes its own."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="keras-sparse-")))
    _folders_of_processes.append(folder)
    atexit.register(lambda: os.getpid() == process and shutil.rmtree(folder, ignore_errors=True))
    return folder
