"""The numbers that say how good the answers of a task are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from unified_vl.metrics.registry import METRICS
from unified_vl.specs.reading.document import LanguageTag, Name, Part
from unified_vl.specs.tasks.score_rules import COLUMNS, known_metric

if TYPE_CHECKING:
    from unified_vl.metrics.metric import Metric


class _NameOfMetric:
    """Says in the JSON Schema which metrics there are by then."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"enum": list(METRICS), "type": "string"}


class ScoreSpec(Part):
    """One number that says how good the answers are."""

    metric: Annotated[str, BeforeValidator(known_metric), _NameOfMetric()] = Field(
        description="The metric; docs/metrics.md says what each one is.", examples=["box_accuracy"]
    )
    against: Name = Field(description="The field with the right answers.", examples=["region"])
    iou: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="box_accuracy and grounding_f1 only: the overlap that counts as right (0.5 "
        "unless given).",
        examples=[0.5],
    )
    within: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="point_accuracy against points only: the distance that counts as right, as a "
        "fraction of the image's diagonal (0.05 unless given).",
        examples=[0.05],
    )
    implies: str | None = Field(
        default=None,
        description="consistency only, and mandatory there: the column with the keys of the rows "
        "whose answers follow from this one's.",
        examples=["entailed"],
    )
    group: str | None = Field(
        default=None,
        description="group_accuracy and keypoint_ap only, and mandatory there: the column that is "
        "the same for rows of a group, such as all points of a person.",
        examples=["image_id"],
    )
    relevance: str | None = Field(
        default=None,
        description="ndcg only, and mandatory there: the column with a number for each choice, how "
        "fitting people find it.",
        examples=["relevance"],
    )
    keypoint: str | None = Field(
        default=None,
        description="keypoint_ap only, and mandatory there: the column with the name of the point.",
        examples=["name"],
    )
    area: str | None = Field(
        default=None,
        description="keypoint_ap only, and mandatory there: the column with the area of the "
        "object in pixels, by which distances are measured.",
        examples=["area"],
    )
    rest: str | None = Field(
        default=None,
        description="grounding_f1_all and grounding_f1_loc only, and mandatory there: the column "
        "with the text of the caption behind its last box.",
        examples=["rest"],
    )
    top: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="nearest_reference, recall, and with read_by: how many of the best count (1).",
        examples=[5],
    )
    read_by: Name | None = Field(
        default=None,
        description="exact_match and accuracy, of tasks that write an image: the task of the model "
        "that says what is in it, which then is compared with the field.",
        examples=["emoji_caption"],
    )
    positive: str | None = Field(
        default=None,
        min_length=1,
        description="binary_f1 only, and mandatory there: the class whose F1 it is.",
        examples=["duplicate"],
    )
    with_: Name | None = Field(
        default=None,
        alias="with",
        description="joint_accuracy only, and mandatory there: the task whose row of the same key "
        "must be right too; it is evaluated beside this one.",
        examples=["vcr_answers"],
    )
    mean_over: Literal["language"] | None = Field(
        default=None,
        description="In place of the score of all rows the mean of the languages' scores, each "
        "alike.",
        examples=["language"],
    )
    without: tuple[LanguageTag, ...] | None = Field(
        default=None,
        min_length=1,
        description="mean_over only: languages that the mean leaves out.",
        examples=[["en"]],
    )
    primary: bool = Field(
        default=False, description="Marks the one score that stands for the task.", examples=[True]
    )

    @property
    def definition(self) -> Metric:
        """What the metric is."""
        return METRICS[self.metric]

    @property
    def columns(self) -> dict[str, str]:
        """The columns beside the fields, by the keys that name them."""
        named = {key: getattr(self, key) for key in COLUMNS}
        return {key: column for key, column in named.items() if column is not None}

    @property
    def threshold(self) -> float:
        """The overlap (intersection over union) from which a box counts as right; for points
        the distance up to which they do."""
        given = self.within if self.iou is None else self.iou
        return self.definition.threshold if given is None else given
