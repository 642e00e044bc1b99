"""JSON Schemas of all kinds of spec file, for editors that complete and check."""

from __future__ import annotations

from typing import Any

from unified_vl.specs.document import Document
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.run import Run
from unified_vl.specs.task import TaskSpec


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (draft 2020-12) of task, mixture, run and image tokenizer files."""
    schemas = {}
    documents: dict[str, type[Document]] = {
        "task": TaskSpec,
        "mixture": Mixture,
        "run": Run,
        "image_tokenizer": ImageTokenizerSpec,
    }
    for name, model in documents.items():
        schema = model.model_json_schema()
        schemas[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return schemas
