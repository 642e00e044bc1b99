"""How a row becomes what the model reads and what it shall write."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_vl.specs.document import Name, Part


class ExampleSpec(Part):
    """How a row becomes what the model reads and what it shall write."""

    source: str = Field(
        min_length=1,
        description="Template of what the model reads. Slots: fields, wordings, {language}, "
        "{task}, {language_name}.",
        examples=["{task} {language} {image} {question}"],
    )
    target: str = Field(
        min_length=1, description="Template of what it shall write.", examples=["{answers}"]
    )
    pick: dict[Name, Literal["random", "first"]] = Field(
        default_factory=dict,
        description="For fields with many values: which one an example of training takes.",
        examples=[{"answers": "random"}],
    )
