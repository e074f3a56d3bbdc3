import itertools
import json
import re
import shutil

import pytest

from html_page import HtmlPage
from keras_sparse.cli import main
from keras_sparse.reports import write_report
from keras_sparse.studies import STUDIES
from run_files import rows_of


@pytest.fixture(scope="module")
def page(report):
    return HtmlPage(report.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def job(runs):
    return next(runs.glob("*/job.json")).parent


def test_every_figure_is_the_one_that_lies_in_the_folder(page, runs, job):
    images = page.images()
    files = [job / "mlp/curves.png", job / "lenet_300_100/curves.png", runs / "pruned/curves.png"]
    files += [runs / "search/pareto.png", runs / "studies/counts/figure.png"]
    # The first is that of all runs together.
    assert [file.read_bytes() for file in files] == images[1:]
    assert all(attributes["alt"] for attributes, _ in page.of("img"))


def test_it_loads_nothing(report, page):
    text = report.read_text(encoding="utf-8")
    for _, attributes, _ in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "script" not in {name for name, *_ in page.elements}
    assert not re.search(r"@import|url\(|https?://", text)
    policies = [a["content"] for a, _ in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_it_can_be_found_ones_way_in(page):
    assert page.of("html")[0][0]["lang"] == "en"
    levels = [int(name[1]) for name, *_ in page.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids) == 6
    links = [attributes["href"] for attributes, _ in page.of("a")]
    # A contents of all chapters, then the runs of the table.
    assert links == [*(f"#{name}" for name in ids), *(f"#{name}" for name in ids[1:4])]
    for attributes, _ in page.of("figure"):
        assert not attributes
    assert len(page.of("figcaption")) == len(page.of("figure"))
    boxes = [attributes for attributes, _ in page.of("div") if attributes.get("class") == "box"]
    assert len(boxes) == len(page.of("figure"))
    assert all(box["aria-label"] and box["tabindex"] == "0" for box in boxes)
    assert all(attributes["scope"] in ("row", "col") for attributes, _ in page.of("th"))


def test_text_is_text(report, page, job):
    assert "<b>" in job.name
    assert not page.of("b")
    assert f"Run {job.name}/mlp" in [text for _, text in page.of("h2")]
    assert "<b>job" not in report.read_text(encoding="utf-8")


def test_runs_are_compared_by_what_they_came_to(page, runs, job):
    table = page.of("table")[0][1]
    for folder in (job / "mlp", job / "lenet_300_100", runs / "pruned"):
        result = json.loads((folder / "result.json").read_text())
        for cell in (f"{result['test_accuracy']:.2%}", f"{result['val_accuracy']:.2%}", f"{result['parameters']:,}"):
            assert cell in table
    assert f"{float(rows_of(runs / 'pruned' / 'history.csv')[-1]['sparsity']):.2%}" in table


def test_all_tables_are_there(page, runs):
    text = page.of("main")[0][1]
    captions = [text for _, text in page.of("figcaption")]
    for caption in ("Recipe", "What came out", "History", "Connections after the last epoch", "Trials"):
        assert caption in captions
    assert (runs / "pruned" / "profile.txt").read_text() in text
    for trial in rows_of(runs / "search" / "trials.csv"):
        assert f"{int(trial['parameters']):,}" in text
    study = STUDIES.lookup("counts", "test")
    assert all(part in text for part in (study.paper, study.claim, study.protocol))
    table = (runs / "studies" / "counts" / "table.md").read_text()
    for cell in re.findall(r"^\| (\S+) ", table, re.MULTILINE)[2:]:
        assert cell in text
    for finding in re.findall(r"^- (.*)$", table, re.MULTILINE):
        assert finding.replace("`", "") in text


def test_the_same_folders_the_same_page(runs, report, tmp_path):
    again = write_report([runs], tmp_path / "new" / "again.html")
    assert again.output.read_bytes() == report.read_bytes()
    assert again.left_out == []


def test_one_run_is_a_chapter_of_its_own(runs, tmp_path, capsys):
    assert main(["report", str(runs / "pruned"), "--output", str(tmp_path / "r.html")]) == 0
    assert capsys.readouterr().out == f"Written to {tmp_path / 'r.html'}: Run pruned\n"
    page = HtmlPage((tmp_path / "r.html").read_text())
    assert [text for _, text in page.of("h1") + page.of("h2")] == ["Report on 1 run", "Run pruned"]
    assert not page.of("nav")
    assert len(page.images()) == 1


def test_unfinished_ones_say_so(runs, job, tmp_path, capsys):
    shutil.copytree(runs, tmp_path / "runs")
    pruned = tmp_path / "runs" / "pruned"
    lines = (pruned / "history.csv").read_text().splitlines()
    (pruned / "history.csv").write_text("\n".join(lines[:2]) + "\n")
    study = tmp_path / "runs" / "studies" / "counts"
    rows = (study / "rows.csv").read_text().splitlines()
    (study / "rows.csv").write_text("\n".join(rows[:2]) + "\n")
    shutil.rmtree(tmp_path / "runs" / job.name / "mlp")
    older = tmp_path / "runs" / "studies" / "older"
    older.mkdir()
    (older / "study.json").write_text('{"study": "complexity", "scale": "smoke", "settings": {}}')
    output = tmp_path / "r.html"
    assert main(["report", str(tmp_path / "runs"), "--output", str(output)]) == 0
    left_out = f"'{tmp_path / 'runs' / job.name / 'mlp'}': a run of a job, which has not begun."
    written = capsys.readouterr().out
    assert f"Not in the report: {left_out}\n" in written
    assert f"Not in the report: '{older}' cannot be read: '{older}' holds complexity at scale smoke, with" in written
    page = HtmlPage(output.read_text())
    notes = [text for attributes, text in page.of("p") + page.of("div") if attributes.get("class") == "note"]
    assert notes[0] == (
        f"Unfinished, 1 of 2 epochs: keras-sparse train --resume --output {pruned} goes on, and computes test figures."
    )
    assert re.fullmatch(r"Unfinished: 1 of \d+ pieces\.", notes[1])
    assert left_out in notes[2]
    assert len(page.images()) == 5  # of the study too, as far as it is


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "is no folder. Pass what `--output` of train, prune, search or study named."),
        ({}, "holds no run, search or study. It holds nothing."),
        ({"notes.txt": "", "a/b.txt": ""}, "holds no run, search or study. It holds a/, notes.txt."),
        ({"recipe.json": "{}"}, "recipe.json' is no recipe"),
        ({"search.json": "{"}, "cannot be read: "),
        ({"study.json": '{"study": "alchemy", "scale": "smoke"}'}, "must be one of 'beyond'"),
        (
            {"study.json": '{"study": "complexity", "scale": "smoke", "settings": {}}'},
            "holds complexity at scale smoke, with other settings than this version has.",
        ),
    ],
    ids=str,
)
def test_what_is_none_of_these_is_refused(files, message, tmp_path, capsys):
    for name, text in (files or {}).items():
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text(text)
    if files == {}:
        (tmp_path / "x").mkdir()
    assert main(["report", str(tmp_path / "x"), "--output", str(tmp_path / "r.html")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert str(tmp_path / "x") in error
    assert not (tmp_path / "r.html").exists()


def test_what_was_only_begun_says_how_to_go_on(runs, tmp_path, capsys):
    def refused(folder):
        assert main(["report", str(folder), "--output", str(tmp_path / "r.html")]) == 2
        return capsys.readouterr().err

    run = tmp_path / "a run"
    run.mkdir()
    shutil.copy(runs / "pruned" / "recipe.json", run)
    assert refused(run).endswith(
        f"'{run}': a run was begun, but no epoch was completed. It holds recipe.json. Go on with it: keras-sparse "
        f"train --resume --output '{run}'\n"
    )
    (tmp_path / "search").mkdir()
    shutil.copy(runs / "search" / "search.json", tmp_path / "search")
    assert "a search was begun, but none of its 0 trials was trained. It holds search.json." in refused(
        tmp_path / "search"
    )
    (tmp_path / "study").mkdir()
    shutil.copy(runs / "studies" / "counts" / "study.json", tmp_path / "study")
    assert "keras-sparse study counts --scale smoke --output" in refused(tmp_path / "study")


@pytest.mark.parametrize("output", ["report.pdf", "report", "."])
def test_the_page_is_a_file_of_html(output, runs, capsys):
    assert main(["report", str(runs), "--output", output]) == 2
    assert "`--output` must be a file, *.html. Received: output=" in capsys.readouterr().err
