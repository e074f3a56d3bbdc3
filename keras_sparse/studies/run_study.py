"""Does the pieces of a study, on all cores, and goes on where it stopped."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import sys
import time

from keras_sparse import checks
from keras_sparse.kernels.choice import has_accelerator
from keras_sparse.studies.end_with_parent import end_with_parent
from keras_sparse.studies.study_folder import PIECE, StudyFolder
from keras_sparse.training.run_folder import absolute

# Of the libraries that compute: processes that each take one core disturb each other the least.
ONE_THREAD = dict.fromkeys(
    ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)
SECONDS_BETWEEN_FIGURES = 60  # drawing one takes about a second


def run_study(name, scale, output, data_dir=None, jobs=None, verbose=True, rows_from=None):
    """Runs a study, or what is left of it, and writes rows, table and figure.

    The rows of a piece are in `rows.csv`, and counted in `table.md`, as soon as it is done; `figure.png` follows once a
    minute. Called again with the same folder, the study goes on with the pieces that are missing.

    Args:
        name: Name in `STUDIES`.
        scale: "smoke", "cpu" or "full".
        output: Folder to write.
        data_dir: Folder of the TFDS data sets; see `datasets.load`.
        jobs: Integer >= 1, processes that work side by side, each on one core. A single one runs in this process, with
            all cores: the default at the smallest scale, with a GPU or TPU, and where pieces are measured; else there
            is one for each core.
        verbose: Boolean, print a line for each piece, with the time left.
        rows_from: Folder of another study of the same pieces, with the same settings, whose rows are taken instead of
            doing those pieces again: "connectivity" trains the networks of "snn_topologies".

    Returns:
        The report, a string of Markdown; what `table.md` holds.

    Raises:
        ValueError: If an argument is none of these, the folder holds another study, pieces that are to be measured
            would run side by side, or rows are to be taken from a study of other pieces.
        FileNotFoundError: If a data set is not prepared.

    Example:
        >>> print(run_study("complexity", "smoke", "runs/complexity"))
    """
    from keras_sparse.studies import STUDIES

    study = STUDIES.lookup(name, "run_study")(scale)
    jobs = _default_jobs(study) if jobs is None else checks.integer("jobs", jobs, "run_study", minimum=1)
    if study.alone and jobs > 1:
        raise checks.error(
            "jobs", "run_study", f"1 for {name}, which measures time and memory", jobs, "Leave it out.",
        )  # fmt: skip
    folder = StudyFolder(absolute(output), study, name)  # what is kept there names files, for later calls as well
    folder.begin()
    if rows_from is not None:
        folder.take_rows(StudyFolder.open(absolute(rows_from)))
    rows = folder.read_rows()
    done = {row[PIECE] for row in rows}
    pieces = study.pieces()
    left = {
        piece: {"folder": folder.piece(piece), **arguments} for piece, arguments in pieces.items() if piece not in done
    }
    if left:
        folder.note(data_dir)
        if verbose:
            print(f"{name} {scale}: {len(pieces) - len(left)}/{len(pieces)}", file=sys.stderr, flush=True)
    work = {piece: study.work(**arguments) for piece, arguments in pieces.items() if piece in left}
    rest = sum(work.values())
    began = drawn = time.monotonic()
    for number, (piece, found) in enumerate(_results(name, study, data_dir, left, jobs), start=1):
        rows = folder.in_order([*rows, *({PIECE: piece, **row} for row in found)])
        folder.write(rows)
        folder.forget_piece(piece)
        if time.monotonic() - drawn > SECONDS_BETWEEN_FIGURES:
            folder.write_figure(rows)
            drawn = time.monotonic()
        if verbose:
            rest -= work[piece]
            seconds = (time.monotonic() - began) * rest / (sum(work.values()) - rest)
            count = len(pieces) - len(left) + number
            ending = f", {duration(seconds)} left" if number < len(left) else ""
            print(f"{name} {scale}: {count}/{len(pieces)} {piece}{ending}", file=sys.stderr, flush=True)
    if not left:  # an older version may have written the table
        folder.write(rows)
    folder.write_figure(rows)
    return folder.report(rows)


def duration(seconds):
    """`"1 h 05 min"`, `"4 min 10 s"`, `"9 s"`."""
    minutes, seconds = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _results(name, study, data_dir, pieces, jobs):
    """Yields `(piece, rows)` as they are done."""
    has_own_process = study.alone and study.scale != "smoke"
    if not pieces:
        return
    if jobs < 2 and not has_own_process:
        for piece, arguments in pieces.items():
            yield piece, _run_piece(name, study.scale, data_dir, arguments)
        return
    with contextlib.nullcontext() if has_own_process else one_thread_each():
        # Processes of their own, not forks: TensorFlow does not survive one.
        executor = concurrent.futures.ProcessPoolExecutor(
            min(jobs, len(pieces)),
            multiprocessing.get_context("spawn"),
            initializer=end_with_parent,
            max_tasks_per_child=1 if has_own_process else None,
        )
        try:
            waiting = {
                executor.submit(_run_piece, name, study.scale, data_dir, arguments): piece
                for piece, arguments in pieces.items()
            }
            for future in concurrent.futures.as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            # Whoever interrupts does not want to wait for pieces that are under way.
            for process in list(executor._processes.values()):
                process.terminate()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _run_piece(name, scale, data_dir, arguments):
    from keras_sparse.studies import STUDIES

    return STUDIES.lookup(name, "run_study")(scale).run_piece(data_dir, **arguments)


def _default_jobs(study):
    # Processes take longer to start than what they would have to do at the smallest scale.
    if study.alone or study.scale == "smoke" or has_accelerator():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def one_thread_each():
    """While it lasts, processes that are started compute on one core each."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
