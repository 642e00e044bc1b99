"""The pages and schemas of all keys: complete, true, and up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter
from ruamel.yaml import YAML
from typer.testing import CliRunner

from unified_vl.authoring.reference import pages
from unified_vl.authoring.yaml_text import in_flow
from unified_vl.cli.main import app
from unified_vl.readers.registry import READERS
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.load import file_kind
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.reading.schema import editor_schemas
from unified_vl.specs.run import Run
from unified_vl.specs.runs.engine import EngineSpec
from unified_vl.specs.task import TaskSpec

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted((REPOSITORY / "task_specs").rglob("*.yaml"))


def models(*kinds: Any) -> Iterator[type[BaseModel]]:
    """The classes of all mappings that a kind of file is made of."""
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
            yield from models(*(field.annotation for field in kind.model_fields.values()))
        elif get_origin(kind) in (dict, tuple, list, Union, UnionType, Annotated):
            yield from models(*get_args(kind))


DOCUMENTS = (TaskSpec, Mixture, Run, ImageTokenizerSpec, EngineSpec)
KEYS = {
    f"{model.__name__}.{key}": field
    for model in models(*DOCUMENTS, *(reader.keys for reader in READERS.values()))
    for key, field in model.model_fields.items()
}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_a_description_and_an_example_that_is_right(key: str) -> None:
    field = KEYS[key]
    assert field.description, f"{key} has no description"
    assert field.examples, f"{key} has no example: Field(examples=[...])"
    kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    for example in field.examples:
        TypeAdapter(kind).validate_json(json.dumps(example), strict=True)


@pytest.mark.parametrize("name", pages())
def test_the_pages_are_up_to_date(name: str) -> None:
    found = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    assert found == pages()[name], (
        f"docs/{name} is stale: unified-vl schema --markdown --output docs"
    )


def test_the_page_of_keys_names_every_key_with_its_example() -> None:
    page = pages()["keys.md"]
    for key, field in KEYS.items():
        name = field.alias or key.rpartition(".")[2]
        assert f"`{name}: {in_flow(field.examples[0])}`".replace("|", "&#124;") in page, key


def test_the_page_of_readers_names_every_reader_and_column() -> None:
    page = pages()["readers.md"]
    for name, info in READERS.items():
        assert f"## `{name}`\n\n{info.about}" in page
        for column in info.columns or ():
            assert f"| `{column}` |" in page


def test_examples_are_shown_as_yaml() -> None:
    for value in (
        {"no": ["a b", "no", 1.5, None, True], "x": {"y": "{image} {q}"}, "z": "007"},
        [],
        "1e5",
        "a: b",
        "ü",
    ):
        assert YAML(typ="safe", pure=True).load(f"key: {in_flow(value)}")["key"] == value


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_the_schema_accepts_every_shipped_file(path: Path) -> None:
    kind = file_kind(path)
    assert kind is not None
    assert list(errors(kind, path.read_text(encoding="utf-8"))) == []


def errors(kind: str, text: str) -> Iterator[str]:
    schema = editor_schemas()[kind]
    Draft202012Validator.check_schema(schema)
    values = YAML(typ="safe", pure=True).load(text)
    yield from (error.message for error in Draft202012Validator(schema).iter_errors(values))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reader: coco_captions", "reader: coco_caption", "'coco_caption' is not one of"),
        ("about:", "abuot:", "'about' is a required property"),
        ("kind: image", "kind: picture", "'picture' is not one of"),
        ("version: 1", "version: one", "'one' is not of type 'integer'"),
        ("beams: 4", "beams: 400", "400 is greater than the maximum of 64"),
        ("metric: cider", "metric: meteor", "'meteor' is not one of"),
        ("task: coco_captions", "task: Coco", "'Coco' does not match"),
        ("splits: {train:", "splits: {training:", "('training' was unexpected)"),
        ("generate: {", "generate: {beam: 1, ", "('beam' was unexpected)"),
    ],
)
def test_the_schema_finds_what_is_wrong_while_typing(old: str, new: str, message: str) -> None:
    path = REPOSITORY / "task_specs/captioning/coco_captions.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    found = list(errors("task", text.replace(old, new)))
    assert any(message in each for each in found), found


def test_the_command_prints_and_writes_pages_and_schemas(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema", "--markdown"])
    assert printed.stdout == "\n".join(pages().values())
    words = ["schema", "--output", str(tmp_path)]
    assert CliRunner().invoke(app, [*words, "--markdown"]).exit_code == 0
    assert (tmp_path / "keys.md").read_text(encoding="utf-8") == pages()["keys.md"]
    assert CliRunner().invoke(app, words).exit_code == 0
    for name, schema in editor_schemas().items():
        assert json.loads((tmp_path / f"{name}.schema.json").read_text()) == schema
