"""What people may write to the service, as types that say what is wrong with anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, create_model

from unified_vl.json_text import parse_json
from unified_vl.parts import Part, dotted
from unified_vl.serving.faults import Fault
from unified_vl.serving.limits import MOST_ANSWERS, MOST_CHOICES
from unified_vl.specs.reading.overrides import CHANGEABLE
from unified_vl.specs.reading.parse import problems_of
from unified_vl.specs.tasks.generate import GenerateSpec

P = TypeVar("P", bound=Part)
Choice = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]

_SAID = {key: GenerateSpec.model_fields[key].description for key in CHANGEABLE}
_KEYS: dict[str, Any] = {
    key: (kind | None, Field(default=None, description=_SAID[key]))
    for key, kind in CHANGEABLE.items()
}
GenerateKeys: type[Part] = create_model(
    "GenerateKeys",
    __base__=Part,
    __doc__="How to answer, in place of `generate` of the task's spec.",
    **_KEYS,
)


class PredictRequest(Part):
    """One question to one task of the model."""

    task: str = Field(description="A task of the model; GET /tasks lists them.")
    language: str | None = Field(
        default=None, description="Tag of the answer's language; needed where the task has several."
    )
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="The task's own fields by name. An image is a data URL "
        "(data:image/png;base64,...).",
    )
    n: int = Field(
        default=1, ge=1, le=MOST_ANSWERS, description="How many answers to give, the best first."
    )
    choices: list[Choice] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_CHOICES,
        description="The answer is one of these; ranked by score with method: score_choices.",
    )
    generate: GenerateKeys | None = Field(  # type: ignore[valid-type]
        default=None, description="How to answer, in place of what the task's spec says."
    )
    draw: bool = Field(
        default=False, description="Also give the picture with the answer's shapes drawn on it."
    )


class RetrieveRequest(Part):
    """A text or an image, to which the index is compared."""

    text: str | None = Field(default=None, description="The query, or")
    image: str | None = Field(default=None, description="an image, as a data URL.")
    language: str | None = Field(default=None, description="Tag of the text's language.")
    top: int = Field(default=10, ge=1, le=100, description="How many to give.")
    candidates: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="How many of the first stage are scored again; 0 for none.",
    )
    pictures: bool = Field(
        default=False, description="Also give the pictures that were found, reduced."
    )


def parsed(model: type[P], body: bytes) -> P:
    """The request that a JSON body holds.

    Raises:
        Fault: for what is not JSON, or not of the model, naming the key.
    """
    try:
        value = parse_json(body)
    except UnicodeDecodeError as error:
        raise Fault("the body is not UTF-8 text", expected="JSON in UTF-8") from error
    except ValueError as error:
        raise Fault(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Fault("the body is no object", expected="a JSON object")
    return checked(model, value)


def checked(model: type[P], values: Mapping[str, Any]) -> P:
    """The request that some values make.

    Raises:
        Fault: at the first key that is wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = next(problems_of(error, model))
        raise Fault(
            problem.message,
            field=dotted(problem.path) or None,
            expected=problem.expected,
            nearest=problem.nearest,
        ) from error
