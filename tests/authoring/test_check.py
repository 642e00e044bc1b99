from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from unified_vl.authoring.checking.check import check_paths
from unified_vl.authoring.checking.tokens import load_codec
from unified_vl.cli.main import app
from unified_vl.errors import UserError

Spoil = Callable[..., None]


def found(root: Path, **options: Any) -> list[str]:
    result = check_paths([root / "task.yaml"], data=root, **options)
    return [str(finding) for finding in result.findings]


def test_a_good_task_has_no_finding(root: Path) -> None:
    result = check_paths([root], data=root)
    assert result.findings == ()
    assert result.checked == {
        "task file": 1,
        "split": 2,
        "row": 40,
        "compared row": 40,
        "box": 40,
        "image": 40,
    }
    expected = "checked 1 task file, 2 splits, 40 rows, 40 boxes, 40 images, 40 compared rows"
    assert result.summary() == f"{expected}: all well"


def test_without_a_data_root_only_the_file_is_checked(root: Path) -> None:
    assert check_paths([root / "task.yaml"]).summary() == "checked 1 task file: all well"


@pytest.mark.parametrize(("rows", "checked"), [(0, 40), (10, 20), (3, 4), (1, 4), (1000, 40)])
def test_rows_are_spread_over_the_languages(root: Path, rows: int, checked: int) -> None:
    assert check_paths([root], data=root, rows=rows).checked["row"] == checked


SPOILT = [
    ({"phrase": ""}, "error: train.jsonl:4: phrase: is empty; expected text"),
    ({"phrase": None}, "error: train.jsonl:4: phrase: is missing"),
    ({"lang": "arr"}, "error: train.jsonl:4: lang: the language 'arr' is not among data.languages"),
    ({"box": [2, 1, 21, 9]}, "error: train.jsonl:4: box: box [2, 1, 21, 9] (xyxy) lies outside"),
    ({"box": [2, 1, 2, 9]}, "error: train.jsonl:4: box: box [2, 1, 2, 9] (xyxy) is empty"),
    ({"box": [2, 1, 2.01, 9]}, "warning: train.jsonl:4: the box [0.1000, 0.1000, 0.1005, 0.9000]"),
    ({"image": "9.png"}, "error: train.jsonl:4: image: there is no image '9.png'"),
    ({"image": "../a.png"}, "error: train.jsonl:4: image: the image '../a.png' leaves the data"),
    ({"image": "task.yaml"}, "error: train.jsonl:4: image: the image 'task.yaml' cannot be read"),
    ({"key": "1"}, "warning: {root}/task.yaml:10: data.key_column: train has 20 rows and 19 dist"),
]


@pytest.mark.parametrize(("columns", "message"), SPOILT)
def test_a_spoilt_row_is_found(
    root: Path, spoil: Spoil, columns: dict[str, Any], message: str
) -> None:
    spoil([3], **columns)
    (finding,) = found(root)
    assert finding.startswith(message.format(root=root))


def test_a_row_that_would_be_skipped_is_a_warning(root: Path, spoil: Spoil) -> None:
    spoil([3, 5], phrase="")
    text = (root / "task.yaml").read_text()
    (root / "task.yaml").write_text(text.replace("  key_column: key", "  on_bad_row: skip"))
    result = check_paths([root], data=root)
    assert [str(finding) for finding in result.findings] == [
        "warning: train.jsonl:4: phrase: is empty; expected text (and 1 more like it)"
    ]
    assert not result.failed
    assert result.summary().endswith(": 1 warning")


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        (
            "column: phrase",
            "column: phrases",
            ["error: {spec}:13: fields.phrase.column: '{train}'"],
        ),
        ("test: test", "test: tset", ["error: {spec}:6: data.path: there is no file '{root}/tset"]),
        ("[en, ar]", "[en, ar, de]", ["warning: {spec}:8: data.languages: train holds no row in"]),
        ("[en, ar]", "[en]", ["error: train.jsonl:2: lang: the language 'ar' is not among data."]),
        ("xyxy", "xyhw", ["error: {spec}:14: fields.region.layout: found 'xyhw'; expected 'xyxy'"]),
        ('get: "{region', 'get: "{regoin', ["error: {spec}:17: example.target: unknown slot"]),
        (
            "version: 1\nabout: Point",
            "version: one\nabuot: Point",
            ["error: {spec}:2: version: found 'one'", "error: {spec}:3: abuot: is not a known key"],
        ),
    ],
)
def test_a_spec_that_does_not_fit_is_found(
    root: Path, old: str, new: str, messages: list[str]
) -> None:
    spec = root / "task.yaml"
    text = spec.read_text()
    assert old in text
    spec.write_text(text.replace(old, new))
    findings = found(root)
    for message in messages:
        place = message.format(spec=spec, root=root, train=root / "train.jsonl")
        assert any(finding.startswith(place) for finding in findings), findings


def test_an_answer_that_is_given_away_is_found(root: Path) -> None:
    spec = root / "task.yaml"
    spec.write_text(spec.read_text().replace("{phrase}", "{phrase} {region}"))
    (finding,) = found(root)
    said = f"warning: {spec}:16: example.source: {{region}} gives the answer away"
    assert finding == f"{said}; remedy: take {{region}} out of the source"


@pytest.mark.parametrize(
    ("limits", "edit", "message"),
    [
        ({}, ("", ""), None),
        (
            {"max_source": 8},
            ("", ""),
            "warning: train.jsonl:1: source: the source of 20 of 20 rows (100.0 %) is cut to 8 ",
        ),
        (
            {},
            ("max_tokens: 5", "max_tokens: 4"),
            "warning: {spec}:18: generate.max_tokens: the target of 20 of 20 rows (100.0 %) of "
            "train needs more: 5 tokens for the longest (first: train.jsonl:1); remedy: "
            "max_tokens: 5",
        ),
        ({"max_target": 4}, ("", ""), "error: train.jsonl:1: a sequence needs 5 tokens without"),
        ({}, ("task: ground", "task: grounds"), "error: train.jsonl:1: the vocabulary has no tag"),
    ],
)
def test_what_does_not_fit_the_tokenizer_is_found(
    root: Path,
    tokenizer: Path,
    limits: dict[str, int],
    edit: tuple[str, str],
    message: str | None,
) -> None:
    options = {"max_source": 256, "max_target": 128, **limits}
    codec = load_codec(tokenizer, image_size=(8, 8), image_tokens=4, **options)
    spec = root / "task.yaml"
    spec.write_text(spec.read_text().replace(*edit))
    findings = found(root, codec=codec)
    if message is None:
        assert findings == []
    else:
        message = message.format(spec=spec)
        assert any(finding.startswith(message) for finding in findings), findings


def test_mixtures_and_runs_are_checked_too(root: Path) -> None:
    task = "\n  - {spec: task.yaml}"
    (root / "mixture.yaml").write_text(f"mixture: one\nversion: 1\ntasks:{task}{task}\n")
    (root / "run.yaml").write_text("run: one\nversion: 1\nmixture: mixture.yaml\n")
    result = check_paths([root])
    findings = [str(finding) for finding in result.findings]
    message = f"error: {root}/mixture.yaml:5: tasks.1.spec: the task 'ground' is listed twice"
    assert findings[0] == message
    assert f"error: {root}/run.yaml:1: output: is missing; expected text" in findings
    assert result.checked == {"mixture file": 1, "run file": 1, "task file": 1}


def test_the_data_of_a_mixtures_tasks_are_checked_once(root: Path) -> None:
    mixture = root / "mixture.yaml"
    mixture.write_text("mixture: one\nversion: 1\ntasks:\n  - {spec: task.yaml}\n")
    for paths in ([mixture], [mixture, root / "task.yaml"]):
        assert check_paths(paths, data=root).checked["row"] == 40


def test_a_folder_without_specs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no spec below it"):
        check_paths([tmp_path])


def test_a_data_root_that_is_not_there_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="none: is not a folder; expected the data root"):
        check_paths([root], data=root / "none")


def test_the_command_prints_findings_and_a_summary(root: Path, spoil: Spoil) -> None:
    good = CliRunner().invoke(app, ["check", str(root), "--data", str(root)])
    assert (good.exit_code, good.stdout.splitlines()[-1].endswith(": all well")) == (0, True)
    spoil([3], phrase="")
    bad = CliRunner().invoke(app, ["check", str(root), "--data", str(root)])
    assert bad.exit_code == 2
    assert bad.stdout.splitlines()[0] == "error: train.jsonl:4: phrase: is empty; expected text"
    assert bad.stdout.splitlines()[-1].endswith(": 1 error")


def test_the_command_prints_json(root: Path, spoil: Spoil) -> None:
    spoil([3, 7], phrase="")
    result = CliRunner().invoke(app, ["check", str(root), "--data", str(root), "--json"])
    assert result.exit_code == 2
    printed = json.loads(result.stdout)
    assert printed["checked"]["row"] == 40
    assert printed["findings"] == [
        {
            "severity": "error",
            "file": "train.jsonl",
            "line": None,
            "row": 4,
            "field": "phrase",
            "message": "is empty",
            "expected": "text",
            "nearest": None,
            "remedy": None,
            "rate": None,
            "count": 2,
        }
    ]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (["yes"], "3 of 3 rows (100.0 %) of train have fewer than 4 answers, and vqa_accuracy"),
        (["yes"] * 3, "3 of 3 rows (100.0 %) of train have fewer than 4 answers, and vqa_accuracy"),
        (["yes"] * 4, None),
        (["yes"] * 10, None),
    ],
)
def test_too_few_answers_for_vqa_accuracy_are_told(
    tmp_path: Path, answers: list[str], says: str | None
) -> None:
    (tmp_path / "task.yaml").write_text(
        "task: ask\nversion: 1\nabout: Ask.\n"
        "data: {reader: jsonl, path: train.jsonl, splits: {train: train}, languages: [en]}\n"
        "fields:\n  question: {kind: text, column: q}\n"
        "  answers: {kind: text, column: a, many: true}\n"
        'example: {source: "{question}", target: "{answers}", pick: {answers: first}}\n'
        "score: [{metric: vqa_accuracy, against: answers, primary: true}]\n"
    )
    rows = [json.dumps({"q": f"is it {n}?", "a": answers}) for n in range(3)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    said = [finding for finding in found(tmp_path) if "vqa_accuracy" in finding]
    assert len(said) == (says is not None)
    if says is not None:
        assert says in said[0] and "remedy: take accuracy" in said[0]


THREADS = """
import atexit, os, sys, threading

def tell():
    for thread in threading.enumerate():  # that of a spinner, which has been told to stop
        thread is threading.current_thread() or thread.join(5)
    tasks = (f"/proc/self/task/{task}/comm" for task in os.listdir("/proc/self/task"))
    names = [open(path).read().strip() for path in tasks]
    print("threads", sorted(name for name in names if name != "jemalloc_bg_thd"))

atexit.register(tell)
from unified_vl.cli.main import main

sys.argv = ["unified-vl", "check", sys.argv[1], "--data", "."]
main()
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux alone tells its threads")
@pytest.mark.parametrize("reader", ["csv", "tsv", "jsonl", "parquet"])
def test_no_thread_is_left_at_the_end(tmp_path: Path, reader: str) -> None:
    """One that is, of Arrow's, ended a process with SIGABRT now and then."""
    between = "\t" if reader == "tsv" else ","
    path = tmp_path / f"words.{reader}"
    if reader == "jsonl":
        path.write_text('{"a": "cat", "b": "Katze"}\n' * 3)
    elif reader == "parquet":
        pq.write_table(pa.table({"a": ["cat"] * 3, "b": ["Katze"] * 3}), path)
    else:
        path.write_text(f"a{between}b\n" + f"cat{between}Katze\n" * 3)
    (tmp_path / "words.yaml").write_text(
        f"""\
task: words
version: 1
about: Say it.
data: {{reader: {reader}, path: "words.{reader}", splits: {{train: all}}, languages: [en]}}
fields: {{a: {{kind: text, column: a}}, b: {{kind: text, column: b}}}}
example: {{source: "Say {{a}}", target: "{{b}}"}}
score: [{{metric: chrf, against: b, primary: true}}]
"""
    )
    found = subprocess.run(
        [sys.executable, "-c", THREADS, "words.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert len(ast.literal_eval(found.stdout.splitlines()[-1].removeprefix("threads "))) == 1
