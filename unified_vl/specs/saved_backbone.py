"""What is this project's own in the `config.json` of a saved model that `transformers` computes."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from unified_vl.specs.reading.document import Document
from unified_vl.specs.runs.vision import VisionSpec
from unified_vl.specs.saved_model import Id, Text, Tokens
from unified_vl.specs.task import TaskTags

Channels = tuple[
    Annotated[float, Field(allow_inf_nan=False)],
    Annotated[float, Field(allow_inf_nan=False)],
    Annotated[float, Field(allow_inf_nan=False)],
]
Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=0, le=1 << 13)]


class SavedBackboneSpec(Document):
    """The keys under `unified_vl`; all others are those of the architecture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_token_id: Id | None = None
    image_size: tuple[Side, Side]
    mean: Channels
    std: tuple[Scale, Scale, Scale]
    vision: VisionSpec | None = None
    task_tags: TaskTags = "task"
    vocabulary_fingerprint: Text
    text_fingerprint: Text
    max_source_tokens: Tokens
    max_target_tokens: Tokens
