from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests import regional
from unified_vl.authoring.checking.check import CheckResult, check_paths
from unified_vl.authoring.checking.fingerprints import normal
from unified_vl.cli.main import app
from unified_vl.data.regions.writing import write_regions
from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.load import load_task

LONG = "A man rides a wave on top of a surfboard."
TEXTS = """\
task: {task}
version: 1
about: Translate.
data:
  reader: jsonl
  path: "{task}/{{split}}.jsonl"
  splits: {{{splits}}}
  languages: [en, de]
  language_column: lang
fields:
  text: {{kind: text, column: text}}
  answer: {{kind: text, column: answer}}
example: {{source: "{{language}} {{text}}", target: "{{answer}}"}}
score: [{{metric: chrf, against: answer, primary: true}}]
"""
IMAGES = """\
task: {task}
version: 1
about: Describe.
data: {{reader: jsonl, path: "{task}/{{split}}.jsonl", splits: {{{splits}}}, languages: [en]}}
fields:
  image: {{kind: image, column: image}}
  caption: {{kind: text, column: caption}}
example: {{source: "{{image}}", target: "{{caption}}"}}
score: [{{metric: cider, against: caption, primary: true}}]
"""
CODES = """\
task: {task}
version: 1
about: Complete.
data: {{reader: jsonl, path: "{task}/{{split}}.jsonl", splits: {{{splits}}}, languages: [en]}}
fields:
  image: {{kind: image_codes, column: image}}
  caption: {{kind: text, column: caption}}
example: {{source: "{source}", target: "{{image}}"{noise}}}
generate: {{allow: image_codes, max_tokens: 65}}
score: [{{metric: psnr, against: image, primary: true}}]
"""
BOTH = "train: train, test: test"


class Workplace:
    """A data root to which tasks and pictures are added."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def task(self, spec: str, task: str, **splits: list[dict[str, Any]]) -> Path:
        (self.root / task).mkdir()
        for split, rows in splits.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (self.root / task / f"{split}.jsonl").write_text(text)
        path = self.root / f"{task}.yaml"
        names = ", ".join(f"{split}: {split}" for split in splits)
        path.write_text(spec.format(task=task, splits=names))
        return path

    def picture(self, name: str, seed: int, **how: Any) -> str:
        cells = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(cells).resize((80, 60), Image.Resampling.BICUBIC)
        image.save(self.root / name, **how)
        return name

    def check(self, *paths: Path, **options: Any) -> CheckResult:
        return check_paths(paths or [self.root], data=self.root, **options)


def findings(result: CheckResult) -> list[str]:
    found = [str(finding) for finding in result.findings]
    return [each for each in found if "holds no row in" not in each]


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def row(text: str, answer: str = "a", lang: str = "en") -> dict[str, str]:
    return {"text": text, "answer": answer, "lang": lang}


def test_the_same_source_in_train_and_test_is_found_however_it_is_written(place: Workplace) -> None:
    spec = place.task(
        TEXTS,
        "one",
        train=[row("Yes, really!"), row("no"), row("other")],
        test=[row("yes  REALLY"), row("no", lang="de")],
    )
    result = place.check()
    (finding,) = findings(result)
    assert finding == (
        f"warning: {spec}:7: data.splits.train: 1 of 3 rows (33.3 %) of train are in test too: "
        "1 by the same text (first: one/train.jsonl:1 is one/test.jsonl:1); remedy: leave them "
        "out by data.exclude: FILE, which check --write-leaks writes"
    )
    assert [each.rate for each in result.findings if each.rate] == [1 / 3]


def test_validation_in_test_cannot_be_excluded_and_asks_for_another_split(place: Workplace) -> None:
    place.task(TEXTS, "one", train=[row("a")], validation=[row("b")], test=[row("b"), row("c")])
    (finding,) = findings(place.check())
    assert "1 of 1 rows (100.0 %) of validation are in test too" in finding
    assert finding.endswith("remedy: split the data anew")


def test_images_leak_by_content_and_by_looks(place: Workplace) -> None:
    a, b, c = (place.picture(f"{seed}.png", seed) for seed in range(3))
    copy = "copy.png"
    (place.root / copy).write_bytes((place.root / a).read_bytes())
    jpeg = place.picture("again.jpg", 1, quality=70)
    rows = [{"image": name, "caption": name} for name in (a, b, c)]
    place.task(IMAGES, "one", train=rows, test=[{"image": n, "caption": "x"} for n in (jpeg, copy)])
    (finding,) = findings(place.check())
    assert "2 of 3 rows (66.7 %) of train are in test too" in finding
    assert "1 by the image that looks the same, 1 by the same image" in finding


@pytest.mark.parametrize("reads", [True, False])
def test_images_in_codes_leak_where_they_are_read_and_not_where_they_are_the_answer(
    place: Workplace, reads: bool
) -> None:
    source, noise = "{{caption}}", ""
    if reads:
        source, noise = "{{image}} {{caption}}", ", noise: {{image: {{kind: code_masking}}}}"
    spec = CODES.replace("{source}", source).replace("{noise}", noise)
    same, other = place.picture("same.png", 1), place.picture("other.png", 2)
    train = [{"image": same, "caption": "a cat"}, {"image": other, "caption": "a dog"}]
    path = place.task(spec, "complete", train=train, test=[{"image": same, "caption": "a dog"}])
    found = str(place.check(path).findings)
    assert ("by the same image" in found) == reads
    assert ("by the same text" in found) != reads


def test_an_image_of_another_tasks_test_split_is_found_in_bytes_too(place: Workplace) -> None:
    first = place.task(IMAGES, "one", train=[{"image": place.picture("0.png", 0), "caption": "a"}])
    buffer = io.BytesIO()
    Image.open(place.root / "0.png").save(buffer, "PNG")
    table = pa.table({"image": [{"bytes": buffer.getvalue(), "path": None}], "caption": ["b"]})
    pq.write_table(table, place.root / "test.parquet")
    second = place.root / "two.yaml"
    text = IMAGES.format(task="two", splits="test: test").replace("jsonl", "parquet")
    second.write_text(text.replace("two/{split}", "{split}"))
    assert findings(place.check(first)) == []
    (finding,) = findings(place.check(first, second))
    assert "1 of 1 rows (100.0 %) of train are in test of two too" in finding


def test_validation_stands_for_test_where_another_task_has_none(place: Workplace) -> None:
    name = place.picture("0.png", 0)
    place.task(IMAGES, "one", train=[{"image": name, "caption": "a"}])
    place.task(IMAGES, "two", validation=[{"image": name, "caption": "b"}])
    (finding,) = findings(place.check())
    assert "are in validation of two too" in finding


def test_long_texts_leak_between_tasks_and_short_ones_do_not(place: Workplace) -> None:
    place.task(TEXTS, "one", train=[row(LONG), row("Yes, really!")])
    place.task(TEXTS, "two", test=[row("x", LONG.upper()), row("Yes, really!")])
    (finding,) = findings(place.check())
    assert "1 of 2 rows (50.0 %) of train are in test of two too: 1 by the same text" in finding


def test_a_question_about_another_image_is_no_leak_and_a_long_answer_is(place: Workplace) -> None:
    spec = IMAGES.replace(
        "fields:", "  # questions\nfields:\n  question: {{kind: text, column: q}}"
    )
    spec = spec.replace('"{{image}}"', '"{{image}} {{question}}"')
    one, two = place.picture("1.png", 1), place.picture("2.png", 2)
    place.task(spec, "one", train=[{"image": one, "caption": "blue", "q": LONG}])
    place.task(spec, "two", test=[{"image": two, "caption": "red", "q": LONG}])
    assert findings(place.check()) == []
    (place.root / "two/test.jsonl").write_text(
        json.dumps({"image": two, "caption": LONG, "q": "What is it?"})
    )
    (finding,) = findings(place.check())
    assert "by the same text" in finding


def test_a_question_about_regions_of_another_image_is_no_leak(place: Workplace) -> None:
    """Of the same one it is."""
    spec = IMAGES.replace("kind: image, column", "kind: regions, most: 3, features: [f], column")
    spec = spec.replace("fields:", "fields:\n  question: {{kind: text, column: q}}")
    spec = spec.replace('"{{image}}"', '"{{image}} {{question}}"')
    write_regions(place.root / "f", regional.images(2))
    question = {"q": LONG, "caption": "blue"}
    place.task(
        spec,
        "one",
        train=[{"image": "picture_0", **question}],
        test=[{"image": "picture_1", **question}],
    )
    assert findings(place.check()) == []
    (place.root / "one/test.jsonl").write_text(json.dumps({"image": "picture_0", **question}))
    (finding,) = findings(place.check())
    assert "of train are in test too" in finding


def test_texts_are_compared_by_letters_of_every_script() -> None:
    assert normal("Ｆｕｌｌ—width, ÉTÉ!") == "full width été"
    assert normal("कि") != normal("की")  # vowel signs are letters too
    assert normal("!?") == ""


def test_an_image_that_cannot_be_read_is_found_outside_the_sample_too(place: Workplace) -> None:
    names = [place.picture(f"{i}.png", i) for i in range(20)]
    train = [{"image": n, "caption": n} for n in names]
    other = place.picture("other.png", 99)
    place.task(IMAGES, "one", train=train, test=[{"image": other, "caption": "z"}])
    (place.root / "7.png").write_bytes(b"\x89PNG broken")
    for rows in (1, 0):  # sampled or not, each bad row is told once
        (finding,) = place.check(rows=rows).findings
        assert (finding.severity, finding.row, finding.count) == ("error", 8, 1)


def test_of_a_lone_split_only_the_sample_is_read(place: Workplace) -> None:
    name = place.picture("0.png", 0)
    place.task(IMAGES, "one", train=[{"image": name, "caption": str(n)} for n in range(20)])
    result = place.check(rows=5)
    assert result.checked["row"] == 5
    assert "compared row" not in result.checked


def test_without_leakage_only_the_sample_is_read(place: Workplace) -> None:
    name = place.picture("0.png", 0)
    rows = [{"image": name, "caption": "a"}]
    place.task(IMAGES, "one", train=rows, test=rows)
    result = place.check(leakage=False)
    assert result.findings == ()
    assert "compared row" not in result.checked


def invoke(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_leaking_rows_are_written_and_left_out(place: Workplace) -> None:
    shared = place.picture("0.png", 0)
    rows = [{"image": shared, "caption": "a"}, {"image": place.picture("1.png", 1), "caption": "b"}]
    spec = place.task(IMAGES, "one", train=rows, test=rows[:1])
    leaks = place.root / "leaks.jsonl"
    # what names the file is what data.exclude says, wherever the command is run
    command = ("check", spec, "--data", place.root, "--write-leaks", "leaks.jsonl")
    assert "are in test too" in invoke(*command).stdout
    (line,) = map(json.loads, leaks.read_text().splitlines())
    assert line == {
        "task": "one",
        "split": "train",
        "key": "one/train.jsonl:1",
        "where": "one/train.jsonl:1",
        "how": "same image",
        "held_task": "one",
        "held_split": "test",
        "held_where": "one/test.jsonl:1",
    }
    text = spec.read_text()
    spec.write_text(text.replace("languages: [en]", "languages: [en], exclude: leaks.jsonl"))
    data = TaskData(load_task(spec), "train", place.root)
    assert [row.where for row in data] == ["one/train.jsonl:2"]
    assert (data.excluded, len(TaskData(load_task(spec), "test", place.root))) == (1, 1)
    assert invoke(*command).stdout.endswith("3 compared rows: all well\n")
    assert len(leaks.read_text().splitlines()) == 1, "the list is whole although they are left out"


def test_rows_are_left_out_by_key_and_lines_of_other_tasks_passed_over(place: Workplace) -> None:
    rows = [row("a") | {"id": 1}, row("b") | {"id": 2}, row("c") | {"id": 3}]
    spec = place.task(TEXTS, "one", train=rows)
    text = spec.read_text().replace("fields:", "  key_column: id\n  exclude: out.jsonl\nfields:", 1)
    spec.write_text(text)
    lines = [{"task": "two", "key": "1"}, {"task": "one", "key": 2}, {"key": "3"}]
    (place.root / "out.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    assert [each.key("id") for each in TaskData(load_task(spec), "train", place.root)] == ["1"]


def test_an_exclusion_that_names_no_row_is_found(place: Workplace) -> None:
    spec = place.task(TEXTS, "one", train=[row("a")])
    spec.write_text(spec.read_text().replace("fields:", "  exclude: out.jsonl\nfields:", 1))
    (place.root / "out.jsonl").write_text('{"key": "gone"}\n')
    (finding,) = findings(place.check())
    assert "data.exclude: names no row of train; remedy: write it again" in finding
