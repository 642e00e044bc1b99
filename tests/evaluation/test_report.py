"""unified_vl/evaluation/reporting/report.py: one page, whole, from what a run wrote."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.evaluation.metric_names import pretty
from unified_vl.evaluation.reporting import browser
from unified_vl.evaluation.reporting.report import PARTS, render, write_pictures, write_report

VOID = {"meta", "image", "rect", "br", "path", "use", "link"}


class Outline(HTMLParser):
    """Checks that tags pair up, and keeps what the tests look at."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.spoken: list[tuple[str | None, str | None, str]] = []
        self._span: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        self._span = dict(attrs) if tag == "span" else {}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "lang" in self._span:
            self.spoken.append((self._span["lang"], self._span.get("dir"), data.strip()))
            self._span = {}


@pytest.fixture
def page(run_directory: Path, world) -> str:
    return write_report(run_directory, world.data).read_text(encoding="utf-8")


def outline_of(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    return outline


def test_the_page_is_well_formed_and_needs_nothing_beside_it(page: str) -> None:
    for tag, attributes in outline_of(page).attributes:
        assert tag not in ("script", "link", "iframe", "img")
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value[:80])
    assert "http" not in page.replace("http://www.w3.org", "")
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_every_language_has_its_tag_and_direction(page: str) -> None:
    spoken = outline_of(page).spoken
    assert ("fa", "rtl", "گربه") in spoken
    assert ("ja", "ltr", "猫") in spoken
    assert {(lang, way) for lang, way, _ in spoken} == {
        ("en", "ltr"),
        ("de", "ltr"),
        ("fa", "rtl"),
        ("ja", "ltr"),
    }


def test_what_a_model_wrote_cannot_become_markup(page: str) -> None:
    assert "<b>falsch" not in page
    assert "&lt;b&gt;falsch &amp; kaputt&lt;/b&gt;" in page


def test_the_page_tells_scores_course_and_facts(page: str) -> None:
    for text in ("tiny_run", "One model, 3 tasks, 4 languages", "How it learned", "2.0 min"):
        assert text in page
    for text in ("What it says and where it points", "Task by language", "Seen and held out"):
        assert text in page
    for text in ("Text to text", "The worst mistakes", "exact match", "1 skipped"):
        assert text in page
    figures = re.findall(r'<p class="figure">([\d.]+)', page)
    assert figures == ["66.7", "75.0", "75.0"]  # captions on seen cells only
    assert page.count('class="true') == page.count('class="guess')


def test_the_page_is_of_the_model_that_was_scored(run_directory: Path, world) -> None:
    """Which need not be the last one: `training.json` in `model` says 100 steps."""
    path = run_directory / "report.json"
    report = json.loads(path.read_text())
    report["training"] = {"steps": 12_060, "scored_step": 12_000}
    path.write_text(json.dumps(report))
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    assert "<dt>updates</dt><dd>12,060</dd>" in page
    assert "<dt>best by what was measured after update</dt><dd>12,000</dd>" in page
    assert "2.0 min" in page  # what it does not say is that of the run


@pytest.mark.parametrize("line", [b"[]", b"7", b'{"step": 1}', b"\xff\xfe", b"\x00"])
def test_a_broken_line_of_the_record_is_left_out(
    run_directory: Path, world, page: str, line: bytes
) -> None:
    path = run_directory / "events.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert write_report(run_directory, world.data).read_text(encoding="utf-8") == page


def test_intervals_are_shown_where_all_rows_are(page: str, run_directory: Path, world) -> None:
    report = json.loads((run_directory / "report.json").read_text())
    ends = {
        name: "{:.1f}–{:.1f}".format(*task["intervals"][task["primary"]])
        for name, task in report["tasks"].items()
    }
    assert re.findall(r"95 % interval <b>([^<]*)", page) == [ends["ground"], ends["translate"]]
    assert re.findall(r"<small>([\d.]+–[\d.]+)</small>", page) == list(ends.values())
    for task in report["tasks"].values():  # a report of an earlier version
        del task["intervals"]
    (run_directory / "report.json").write_text(json.dumps(report))
    older = write_report(run_directory, world.data).read_text(encoding="utf-8")
    outline_of(older)
    assert "95 %" not in older


def test_what_may_be_amiss_is_told_by_task_and_language(run_directory: Path, world) -> None:
    report = json.loads((run_directory / "report.json").read_text())
    none = {"cut": 0.0, "source_cut": 0.0, "other_script": 0.0}
    for task in report["tasks"].values():
        task |= {"flags": none, "flags_by": {"language": {}}}
    (run_directory / "report.json").write_text(json.dumps(report))
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    assert "What may be amiss" not in page
    languages = {"en": none, "de": none | {"other_script": 12.5}}
    report["tasks"]["caption"] |= {
        "flags": none | {"other_script": 6.25},
        "flags_by": {"language": languages},
    }
    (run_directory / "report.json").write_text(json.dumps(report))
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    outline_of(page)
    section = page[page.index("What may be amiss") :]
    section = section[: section.index("</section>")]
    assert "in another script" in section and ">12.5<" in section and ">6.2<" in section
    assert "<small>de</small>" in section and "<small>en</small>" not in section


def test_a_cell_of_few_rows_says_how_many(run_directory: Path, world) -> None:
    report = json.loads((run_directory / "report.json").read_text())
    cell = report["tasks"]["translate"]["by"]["language"]["en"]
    for count, shown in ((3, True), (29, True), (30, False)):
        cell["count"] = count
        (run_directory / "report.json").write_text(json.dumps(report))
        page = write_report(run_directory, world.data).read_text(encoding="utf-8")
        assert (f"<small>n = {count}</small>" in page) == shown
        assert f'title="{count} rows"' in page


def test_bars_end_at_the_scale_of_cider(run_directory: Path, world) -> None:
    report = json.loads((run_directory / "report.json").read_text())
    task = report["tasks"]["translate"]
    task |= {"primary": "cider", "metrics": {"cider": 123.4}, "intervals": {"cider": [110, 130]}}
    for values in task["by"].values():
        for cell in values.values():
            cell["cider"] = 123.4
    (run_directory / "report.json").write_text(json.dumps(report))
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    assert "CIDEr-D" in page
    assert "123.4" in page
    assert max(float(w) for w in re.findall(r"width: ([\d.]+)%", page)) == 100
    assert max(float(v) for v in re.findall(r"--v: ([\d.]+)", page)) == 1


def test_learning_curves_are_drawn_in_the_pages_colours(page: str) -> None:
    charts = re.findall(r'<svg viewBox="[^"]*" role="img" aria-label="Loss of (\w+) over 100', page)
    assert charts == ["caption", "ground", "translate"]
    assert "var(--accent)" in page.split("</style>")[1]


def test_a_task_without_a_step_has_words_in_place_of_empty_axes(run_directory: Path, world) -> None:
    events = run_directory / "events.jsonl"
    step = re.compile(r'\{"event": "step", .*"task": "ground".*\n')
    events.write_text(step.sub("", events.read_text()))
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    outline_of(page)
    assert re.findall(r'aria-label="Loss of (\w+)', page) == ["caption", "translate"]
    assert page.count("no step of it yet") == 1


def test_a_page_can_be_made_without_events_images_and_model(
    run_directory: Path, tmp_path: Path
) -> None:
    (run_directory / "events.jsonl").unlink()
    (run_directory / "model/training.json").unlink()
    page = write_report(run_directory, tmp_path / "no_data").read_text(encoding="utf-8")
    outline_of(page)
    assert "How it learned" not in page
    assert "base64" not in page
    assert "گربه" in page


def test_the_same_run_gives_the_same_page(page: str, run_directory: Path, world) -> None:
    assert render(run_directory, world.data, PARTS) == page


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("report.json", None, r"there is no report.*evaluate .*model --data DATA --output .*json"),
        ("report.json", "{", r"report\.json: this is not a report"),
        (
            "report.json",
            '{"model": "m"}',
            r"report\.json: this is not a report: it has no 'seconds'",
        ),
        ("report.json", "[]", r"report\.json: .*this is not a report"),
        ("predictions.jsonl", None, r"there are no predictions.* --predictions .*\.jsonl"),
        ("predictions.jsonl", '{"a": 1}\n{', r"predictions\.jsonl:2: is not JSON"),
    ],
)
def test_what_is_missing_or_broken_is_named(
    run_directory: Path, world, name: str, content: str | None, said: str
) -> None:
    path = run_directory / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=said):
        write_report(run_directory, world.data)
    assert not (run_directory / "report.html").exists()


def test_pictures_are_drawn_of_parts_of_the_page(
    run_directory: Path, world, tmp_path: Path, monkeypatch
) -> None:
    drawn = []

    def draw(page: str, width: int) -> bytes:
        outline_of(page)
        drawn.append(page)
        return b"png"

    monkeypatch.setattr(browser, "picture_of", draw)
    written = write_pictures(run_directory, world.data, tmp_path / "pictures")
    assert [path.name for path in written] == ["gallery.png", "scores.png"]
    assert all(path.read_bytes() == b"png" for path in written)
    gallery, scores = drawn
    assert "where it points" in gallery
    assert "Task by language" not in gallery
    assert "Task by language" in scores
    assert "How it learned" in scores


def test_names_are_written_as_people_write_them() -> None:
    assert pretty("box_accuracy") == "box accuracy"
    assert pretty("bleu") == "BLEU"
    assert pretty("box_accuracy:region@0.5") == "box accuracy (region) @0.5"
    assert pretty("exact_match:emoji_caption@5") == "exact match (emoji caption) @5"
    assert pretty("nearest_reference@1") == "nearest reference @1"


def test_unknown_dimensions_have_a_section_of_their_own(run_directory: Path, world) -> None:
    report = json.loads((run_directory / "report.json").read_text())
    size = {name: {"count": 12, "exact_match": 50.0, "chrf": 60.0} for name in ("big", "small")}
    report["tasks"]["caption"]["by"]["size_class"] = size
    (run_directory / "report.json").write_text(json.dumps(report))
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    assert "By size class" in page


def test_a_language_that_tasks_spell_differently_is_one_row(run_directory: Path, world) -> None:
    report = json.loads((run_directory / "report.json").read_text())
    languages = report["tasks"]["caption"]["by"]["language"]
    languages["deu"] = languages.pop("de")
    (run_directory / "report.json").write_text(json.dumps(report))
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    assert "One model, 3 tasks, 4 languages" in page
    rows = page[page.index("Task by language") :].split("<tr>")
    assert sum("Deutsch" in row for row in rows) == 1
