"""Whether anyone else could have put a file where it lies. A library is code: who can write it can be us."""

import os
import stat


def folder_problem(folder, is_new=False):
    """Why someone else could write into a folder, now or later.

    Every folder up to the root must belong to us or to root, and be writable by nobody else. In a folder where all may
    write but only owners may rename (`/tmp`), what is next on the way must be ours and closed to all others.

    Args:
        folder: Path of an existing folder, without symbolic links (`os.path.realpath`): they could change later.
        is_new: Boolean, whether a folder is to be made in `folder`, ours and closed to all others.

    Returns:
        String, or None if nobody can.
    """
    below_is_private = is_new
    for level in (folder, *folder.parents):
        state = os.stat(level, follow_symlinks=False)
        if not stat.S_ISDIR(state.st_mode):
            return f"{level} is not a folder"
        if state.st_uid not in _trusted():
            return f"{level} belongs to another user (number {state.st_uid})"
        if _others_can_write(state) and not (state.st_mode & stat.S_ISVTX and below_is_private):
            return f"others can write to {level} (mode {stat.S_IMODE(state.st_mode):o})"
        below_is_private = state.st_uid == os.geteuid() and not state.st_mode & 0o077
    return None


def file_problem(file):
    """Why someone else could have written a file in a folder that is safe; None if nobody could."""
    state = os.stat(file, follow_symlinks=False)
    if not stat.S_ISREG(state.st_mode):
        return f"{file} is not a plain file"
    if state.st_uid not in _trusted():
        return f"{file} belongs to another user (number {state.st_uid})"
    if _others_can_write(state):
        return f"others can write to {file} (mode {stat.S_IMODE(state.st_mode):o})"
    return None


def _trusted():
    # In a container root may have another number; whoever owns `/` has everything anyway.
    return {0, os.geteuid(), os.stat("/").st_uid}


def _others_can_write(state):
    return bool(state.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
