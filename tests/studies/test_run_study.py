"""Pieces of work: done once, kept at once, and taken up where they stopped."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from keras_sparse import studies
from keras_sparse.cli import main
from keras_sparse.registry import Registry
from keras_sparse.studies import Study, run_study
from keras_sparse.studies.run_study import duration

ROOT = Path(__file__).resolve().parent.parent.parent
DONE = []
FOLDERS = []
NOW = [0]


class Squares(Study):
    """A study of a few numbers."""

    paper, claim, protocol, published = "Nobody, 1900", "Squares grow.", "They are computed.", ("None.",)
    scales = {"smoke": {"numbers": (1, 2, 3)}, "cpu": {"numbers": (1, 2)}, "full": {"numbers": (4,)}}  # noqa: RUF012

    def pieces(self):
        return {f"n={n}": {"n": n} for n in self.settings["numbers"]}

    def work(self, n):
        return n * n

    def run_piece(self, data_dir, folder, n):
        FOLDERS.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if n == 3 and len(DONE) < 3:
            DONE.append("failed")
            (folder / "half").touch()
            raise KeyboardInterrupt
        DONE.append("found" if (folder / "half").exists() else n)
        NOW[0] += n * n  # seconds
        return [{"n": n, "power": power, "value": n**power / 3, "note": None} for power in (2, 4)]

    def table(self, rows):
        return ("n", "value"), [(str(row["n"]), f"{row['value']:.3f}") for row in rows]

    def findings(self, rows):
        return [f"The last is {rows[-1]['value']!r}."]

    def plot(self, rows):
        from matplotlib.figure import Figure

        figure = Figure()
        figure.subplots().plot([row["value"] for row in rows])
        return figure


class Roots(Squares):
    """Another study of the same pieces."""

    def findings(self, rows):
        return ["Roots grow too."]


class Cubes(Squares):
    """A study of other pieces."""

    def run_piece(self, data_dir, folder, n):
        return [{"n": n, "power": 3, "value": n**3, "note": None}]


@pytest.fixture(autouse=True)
def _table_with_squares(monkeypatch):
    DONE.clear()
    FOLDERS.clear()
    monkeypatch.setattr(studies, "STUDIES", Registry("study", [Squares, Roots, Cubes]))


def test_a_stopped_study_goes_on_where_it_stopped(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        run_study("squares", "smoke", tmp_path)
    kept = (tmp_path / "rows.csv").read_text()
    assert kept.splitlines()[0] == "piece,n,power,value,note"
    assert len(kept.splitlines()) == 5  # the two pieces that were done
    assert [folder.name for folder in (tmp_path / "pieces").iterdir()] == ["n=3"]
    assert "**Unfinished**: 2 of 3 pieces." in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "figure.png").exists()  # too early
    report = run_study("squares", "smoke", tmp_path)
    assert DONE == [1, 2, "failed", "found"]  # none twice
    assert not (tmp_path / "pieces").exists()
    assert report == (tmp_path / "table.md").read_text()
    assert "| 3 | 27.000 |" in report
    assert "Unfinished" not in report
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert "squares smoke: 3/3 n=3" in capsys.readouterr().err
    run_study("squares", "smoke", tmp_path)
    assert DONE == [1, 2, "failed", "found"]
    run_study("squares", "smoke", tmp_path / "again", verbose=False)
    assert (tmp_path / "again" / "rows.csv").read_bytes() == (tmp_path / "rows.csv").read_bytes()


def test_the_folder_of_another_study_is_refused(tmp_path):
    run_study("squares", "cpu", tmp_path, jobs=1, verbose=False)
    with pytest.raises(ValueError, match=r"begun at scale cpu\. They differ in: scale, settings"):
        run_study("squares", "full", tmp_path)


def test_time_left_is_reckoned_by_work(tmp_path, capsys, monkeypatch):
    DONE.extend(("failed",) * 3)
    monkeypatch.setattr(run_study.__globals__["time"], "monotonic", lambda: NOW[0])
    run_study("squares", "smoke", tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "squares smoke: 0/3",
        "squares smoke: 1/3 n=1, 13 s left",
        "squares smoke: 2/3 n=2, 9 s left",
        "squares smoke: 3/3 n=3",
    ]


def test_rows_of_a_study_of_the_same_pieces(tmp_path):
    DONE.extend(("failed",) * 3)
    with pytest.raises(ValueError, match=r"'.*first' must be the folder of a study\. There is no study\.json in it"):
        run_study("roots", "smoke", tmp_path / "second", rows_from=tmp_path / "first")
    run_study("squares", "smoke", tmp_path / "first", verbose=False)
    DONE.clear()
    for _ in range(2):
        report = run_study("roots", "smoke", tmp_path / "second", rows_from=tmp_path / "first")
        assert "Roots grow too." in report
    assert DONE == []
    first, second = (json.loads((tmp_path / name / "study.json").read_text()) for name in ("first", "second"))
    assert first["made_with"] == second["made_with"]
    assert (tmp_path / "second" / "rows.csv").read_bytes() == (tmp_path / "first" / "rows.csv").read_bytes()
    for name, scale in (("cubes", "smoke"), ("roots", "cpu")):
        with pytest.raises(ValueError, match=f"that does the same work as {name} at scale {scale}. Received: .*first"):
            run_study(name, scale, tmp_path / name, rows_from=tmp_path / "first", jobs=1)


def test_data_and_versions_are_those_that_rows_were_found_with(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run_study("squares", "smoke", tmp_path, "/a")
    for data_dir in ("/b", "/c"):  # when it is complete nothing is found
        run_study("squares", "smoke", tmp_path, data_dir, verbose=False)
    made_with = json.loads((tmp_path / "study.json").read_text())["made_with"]
    assert [one["data_dir"] for one in made_with] == ["/a", "/b"]
    assert made_with[0]["environment"]["keras"] == keras.__version__


def test_a_folder_may_be_named_in_another_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_study("squares", "cpu", "x", jobs=1, verbose=False)
    assert [tmp_path / "x" / "pieces" / f"n={n}" for n in (1, 2)] == FOLDERS


def test_a_figure_is_there_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setitem(run_study.__globals__, "SECONDS_BETWEEN_FIGURES", -1)
    with pytest.raises(KeyboardInterrupt):
        run_study("squares", "smoke", tmp_path)
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_what_is_measured_has_the_machine_to_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(Squares, "alone", True)
    with pytest.raises(ValueError, match="`jobs` of run_study must be 1 for squares, which measures time and memory"):
        run_study("squares", "smoke", tmp_path, jobs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("square", "smoke"), "Did you mean 'squares'"),
        (("squares", "huge"), "must be one of 'smoke', 'cpu', 'full'"),
        (("squares", "smoke", None, 0), "`jobs` of run_study must be an integer >= 1"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path):
    name, scale, *others = arguments
    with pytest.raises(ValueError, match=message):
        run_study(name, scale, tmp_path, *others)


def test_durations():
    assert [duration(seconds) for seconds in (9.4, 250, 3900)] == ["9 s", "4 min 10 s", "1 h 05 min"]


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main(["study", "--list"]) == 0
    assert re.search(r"complexity\n    Links, .*\n    Zhu et al., 2018", capsys.readouterr().out)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="starts processes, for what is the same anywhere")
def test_processes_side_by_side_find_the_same(tmp_path, monkeypatch):
    monkeypatch.undo()  # other processes have the real studies
    monkeypatch.setitem(studies.Complexity.scales, "cpu", studies.Complexity.scales["smoke"])
    monkeypatch.setattr(studies.Complexity, "pieces", lambda self: {"a": {"architecture": "plain"}})
    run_study("complexity", "cpu", tmp_path / "one", jobs=1, verbose=False)
    first = (tmp_path / "one" / "rows.csv").read_text().splitlines()
    pieces = {"a": {"architecture": "plain"}, "b": {"architecture": "sparsenet"}}
    monkeypatch.setattr(studies.Complexity, "pieces", lambda self: pieces)
    monkeypatch.setitem(studies.Complexity.scales, "smoke", studies.Complexity.scales["cpu"])
    run_study("complexity", "smoke", tmp_path / "two", jobs=2, verbose=False)
    both = (tmp_path / "two" / "rows.csv").read_text().splitlines()
    assert both[: len(first)] == first
    assert len(both) == 2 * len(first) - 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes as Linux shows them")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="once is enough")
def test_processes_end_with_a_study_that_is_killed(tmp_path):
    study = subprocess.Popen(
        [sys.executable, "-m", "keras_sparse.cli", "study", "complexity", "--jobs", "2", "--output", tmp_path],
        env={**os.environ, "KERAS_BACKEND": "numpy"}, cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    children = Path(f"/proc/{study.pid}/task/{study.pid}/children")
    wait_for(lambda: len(children.read_text().split()) >= 2)
    workers = children.read_text().split()
    time.sleep(1)
    study.kill()
    study.wait()
    wait_for(lambda: not any(is_running(worker) for worker in workers))


def is_running(process):
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
