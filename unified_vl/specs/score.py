"""The numbers that say how good the answers of a task are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from unified_vl.specs.document import LanguageTag, Name, Part
from unified_vl.specs.score_rules import COLUMNS_OF_METRICS, known_metric

Metric = Literal[
    "exact_match",
    "accuracy",
    "vqa_accuracy",
    "anls",
    "f1",
    "bleu",
    "chrf",
    "ter",
    "cider",
    "rouge_l",
    "coco_bleu_1",
    "coco_bleu_2",
    "coco_bleu_3",
    "coco_bleu_4",
    "box_accuracy",
    "mean_iou",
    "coco_map",
    "mean_absolute_error",
    "point_accuracy",
    "mask_iou",
    "psnr",
    "ssim",
    "nearest_reference",
    "consistency",
    "group_accuracy",
    "macro_f1",
    "binary_f1",
    "matthews_correlation",
    "pearson",
    "spearman",
    "pearson_spearman",
]


class ScoreSpec(Part):
    """One number that says how good the answers are."""

    metric: Annotated[Metric, BeforeValidator(known_metric)] = Field(
        description="The metric; docs/metrics.md says what each one is.", examples=["box_accuracy"]
    )
    against: Name = Field(description="The field with the right answers.", examples=["region"])
    iou: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="box_accuracy only: the overlap that counts as right (0.5 unless given).",
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
        description="group_accuracy only, and mandatory there: the column that is the same for "
        "rows of a group.",
        examples=["image_id"],
    )
    top: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="nearest_reference, and with read_by: how many of the best count (1).",
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
    def column(self) -> tuple[str, str] | None:
        """The key that names a column beside the fields, and the column."""
        for key in COLUMNS_OF_METRICS.values():
            name = getattr(self, key)
            if name is not None:
                return key, name
        return None

    @property
    def threshold(self) -> float:
        """The overlap (intersection over union) from which a box counts as right; for points
        the distance up to which they do."""
        if self.metric == "point_accuracy":
            return 0.05 if self.within is None else self.within
        return 0.5 if self.iou is None else self.iou
