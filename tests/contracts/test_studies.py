"""Every study at its smallest, by the command: rows, a table and a figure, on embedded data, in seconds."""

import csv

import pytest

from keras_sparse.cli import main
from keras_sparse.studies import SCALES, STUDIES
from keras_sparse.studies.study_folder import StudyFolder


@pytest.mark.parametrize("name", STUDIES)
def test_smoke(name, tmp_path, capsys):
    assert main(["study", name, "--output", str(tmp_path)]) == 0
    report = capsys.readouterr().out
    study = STUDIES.lookup(name, "test")("smoke")
    for part in (study.paper, study.claim, study.protocol, *study.published):
        assert part
        assert part in report
    with open(tmp_path / "rows.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["piece"] for row in rows} == set(study.pieces())
    assert main(["study", name, "--output", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().out == report  # of what was read from the file
    assert "nan" not in report.split("**Settings.**")[1]
    assert len([line for line in report.splitlines() if line.startswith("| ")]) > 3
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
    # What is written while a study is under way, in whatever order pieces end.
    folder = StudyFolder(tmp_path, study, name)
    kept = folder.read_rows()
    for piece in study.pieces():
        others = [row for row in kept if row["piece"] != piece]
        if others:
            assert "**Unfinished**" in folder.report(others)
            assert study.plot(others).axes


@pytest.mark.parametrize("name", STUDIES)
def test_scales_have_the_same_settings(name):
    study = STUDIES.lookup(name, "test")
    assert tuple(study.scales) == SCALES
    assert len({tuple(settings) for settings in study.scales.values()}) == 1
    for scale in SCALES:
        assert study(scale).pieces()
