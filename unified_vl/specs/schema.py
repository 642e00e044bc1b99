"""JSON Schemas of all kinds of spec file, for editors that complete and check."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from unified_vl.specs.document import Document
from unified_vl.specs.engine import EngineSpec
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.run import Run
from unified_vl.specs.task import TaskSpec


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (draft 2020-12) of task, mixture, run, image tokenizer and engine files."""
    schemas = {}
    documents: dict[str, type[Document]] = {
        "task": TaskSpec,
        "mixture": Mixture,
        "run": Run,
        "image_tokenizer": ImageTokenizerSpec,
        "engine": EngineSpec,
    }
    for name, model in documents.items():
        schema = model.model_json_schema(schema_generator=_InOrder)
        schemas[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return schemas


class _InOrder(GenerateJsonSchema):
    """Leaves keys in the order of their classes, and those of examples as they were written."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value
