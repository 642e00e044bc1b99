"""A spec that is another one with some keys overridden."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from unified_vl.errors import UserError
from unified_vl.specs.load import (
    load_image_tokenizer,
    load_mixture,
    load_run,
    load_task,
    load_tasks,
)
from unified_vl.specs.reading.parse import parse_text, validate
from unified_vl.specs.reading.schema import editor_schemas
from unified_vl.specs.task import TaskSpec

BASE = """\
task: base
version: 1
about: Say what it is.
data:
  reader: jsonl
  path: "{split}.jsonl"
  splits: {train: train, validation: dev, test: test}
  languages: [en]
fields:
  image: {kind: image, column: image}
  kind: {kind: label, column: kind, names: {file: kinds.txt}}
example: {source: "{image} {ask}", target: "{kind}"}
wording:
  ask: {en: "What is it?"}
score:
  - {metric: accuracy, against: kind, primary: true}
  - {metric: exact_match, against: kind}
"""


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, base=BASE)
    (tmp_path / "kinds.txt").write_text("cat\ndog\n")
    return tmp_path


def test_mappings_are_merged_and_all_else_is_replaced(root: Path) -> None:
    write(
        root,
        other="include: base.yaml\ntask: other\ndata:\n  path: 'x/{split}.jsonl'\n"
        "  splits: {validation: null, test: held}\n  languages: [en, de]\n"
        "  language_column: lang\nwording: {ask: {de: 'Was ist es?'}}\n"
        "score: [{metric: accuracy, against: kind, primary: true}]\n",
    )
    spec = load_task(root / "other.yaml")
    assert (spec.task, spec.about, spec.include) == ("other", "Say what it is.", None)
    assert spec.data.path == "x/{split}.jsonl"
    assert spec.data.splits == {"train": "train", "test": "held"}
    assert spec.wording["ask"] == {"en": ("What is it?",), "de": ("Was ist es?",)}
    assert [score.metric for score in spec.score] == ["accuracy"]
    assert spec.class_names("kind", "en") == ("cat", "dog")


def test_over_several_files_and_folders_each_file_is_relative_to_its_own(root: Path) -> None:
    write(
        root,
        sub__middle="include: ../base.yaml\ntask: middle\nversion: 2\n",
        sub__deep__last="include: ../middle.yaml\ntask: last\nabout: Otherwise.\n",
    )
    spec = load_task(root / "sub/deep/last.yaml")
    assert (spec.task, spec.version, spec.about) == ("last", 2, "Otherwise.")
    # the names lie beside the file that says so
    assert spec.class_names("kind", "en") == ("cat", "dog")
    assert spec.file == root / "sub/deep/last.yaml"
    assert spec.file_of("version") == root / "sub/middle.yaml"
    assert spec.file_of("data", "path") == root / "base.yaml"
    assert {one.task for one in load_tasks([root])} == {"base", "middle", "last"}


PLACES = [
    # what the including file says, and where the fault is
    ("about: ''\n", "other.yaml:3: about: found ''; expected text that is not empty"),
    ("fields: {image: {kind: imag}}\n", "other.yaml:3: fields.image.kind: found 'imag'"),
    ("data: {languages: null}\n", "other.yaml:3: data.languages: is missing; expected a list"),
    ("wording: {ask: null}\n", "base.yaml:12: example.source: "),
    ("wording: {ask: {en: null}}\n", "other.yaml:3: wording.ask: has no text for en"),
    ("data: {reader: moses}\n", "base.yaml:6: data.path: moses reads several files"),
    ("fields: {kind: {names: {file: kinds.tx}}}\n", "other.yaml:3: fields.kind.names.file: there"),
    ("aboot: a\n", "other.yaml:3: aboot: is not a known key; did you mean 'about'?"),
]


@pytest.mark.parametrize(("text", "message"), PLACES)
def test_errors_are_where_the_fault_was_written(root: Path, text: str, message: str) -> None:
    write(root, other=f"include: base.yaml\ntask: other\n{text}")
    with pytest.raises(UserError) as caught:
        load_task(root / "other.yaml")
    said = [str(error) for error in getattr(caught.value, "all", ()) or (caught.value,)]
    assert any(each.startswith(f"{root}/{message}") for each in said), said


def test_an_error_of_the_included_file_is_in_it(root: Path) -> None:
    write(root, base=BASE.replace("metric: exact_match", "metric: exactly"))
    write(root, other="include: base.yaml\ntask: other\n")
    with pytest.raises(UserError, match=r"base\.yaml:17: score\.1\.metric: found 'exactly'"):
        load_task(root / "other.yaml")


INCLUDES = [
    ("bse.yaml", r"other\.yaml:1: include: there is no task spec 'bse\.yaml'; .*mean 'base\.yaml'"),
    ("other.yaml", r"other\.yaml:1: include: the files go in a circle: .*other\.yaml includes"),
    ("round.yaml", r"round\.yaml:1: include: the files go in a circle: .*; expected another spec"),
    ("3", r"other\.yaml:1: include: found 3; expected the path of a task spec, relative to this"),
    ("/etc/base.yaml", r"other\.yaml:1: include: found '/etc/base\.yaml'; expected the path"),
    ("kinds.txt", r"kinds\.txt:1: found 'cat dog'; expected keys and values"),
    ("mixture.yaml", r"mixture\.yaml:1: is a mixture file; expected a task"),
]


@pytest.mark.parametrize(("name", "message"), INCLUDES)
def test_what_cannot_be_included(root: Path, name: str, message: str) -> None:
    write(
        root,
        other=f"include: {name}\ntask: other\n",
        round="include: other.yaml\ntask: round\n",
        mixture="mixture: m\nversion: 1\ntasks: [{spec: base.yaml}]\n",
    )
    with pytest.raises(UserError) as caught:
        load_task(root / "other.yaml")
    said = [str(error) for error in getattr(caught.value, "all", ()) or (caught.value,)]
    assert any(re.search(message, each) for each in said), said


def test_what_is_saved_needs_no_other_file(root: Path) -> None:
    write(root, other="include: base.yaml\ntask: other\nwording: {ask: {en: 'Ja: \"no\"? #1'}}\n")
    spec = load_task(root / "other.yaml")
    assert "include" not in parse_text(spec.text).values
    again = validate(TaskSpec, parse_text(spec.text))
    assert again.model_dump() == spec.model_dump()


def test_editors_ask_for_no_key_that_is_included() -> None:
    schema = editor_schemas()["task"]
    Draft202012Validator.check_schema(schema)

    def errors(text: str) -> list[str]:
        values = YAML(typ="safe", pure=True).load(text)
        return [error.message for error in Draft202012Validator(schema).iter_errors(values)]

    assert errors(BASE) == []
    assert errors("include: a.yaml\ndata: {path: b, images: null}\nscore: [{iou: 0.5}]\n") == []
    assert any("'kind' is a required" in e for e in errors(BASE.replace("kind: image, ", "")))
    assert any("'pth' was unexpected" in e for e in errors("include: a.yaml\ndata: {pth: b}\n"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mixture: a\nversion: 1\ninclude: b.yaml\n", "this is a mixture file; .*in their specs"),
        ("run: a\nversion: 1\ninclude: b.yaml\n", "this is a run file; .*train RUN"),
        ("image_tokenizer: a\nversion: 1\ninclude: b.yaml\n", "this is a image tokenizer file"),
    ],
)
def test_only_task_specs_include(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    load = {"mixture": load_mixture, "run": load_run, "image_tokenizer": load_image_tokenizer}
    with pytest.raises(UserError, match=rf"a.yaml:3: include: is a key of task .* {says}"):
        load[text.split(":")[0]](path)
