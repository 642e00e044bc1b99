"""What a task may be trained for beside its target tokens: keys of a mixture's tasks."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from unified_vl.specs.objectives.rules import hides, paired, points_to_phrase, texts_alone
from unified_vl.specs.reading.document import Name, Part, Weight
from unified_vl.specs.variants import Variant, Variants

Asked = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]  # a weight; 0 asks for nothing


class ContrastKeys(Part):
    """Of the image-text contrastive loss."""

    contrast: Asked = Field(
        default=0.0,
        description=(
            "Weight of an image-text contrastive loss beside its own: each target must be "
            "found by its image or video among the batch, and each of these by its target."
        ),
        examples=[0.1],
    )
    contrast_temperature: float = Field(
        default=0.1,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="contrast: what similarities are divided by.",
        examples=[0.07],
    )
    contrast_queue: int = Field(
        default=0,
        ge=0,
        le=1 << 20,
        description=(
            "contrast: images and captions of earlier batches that each is told from, beside those "
            "of its own; all are read by a momentum copy of the weights (`momentum_decay` of the "
            "run). 0 compares with the batch alone, without such a copy."
        ),
        examples=[1024],
    )
    contrast_within: Asked = Field(
        default=0.0,
        description=(
            "contrast: weight of the same loss between images, and between captions, beside that "
            "between the two; the other side is the momentum copy's."
        ),
        examples=[1.0],
    )


class MatchingKeys(Part):
    """Of image-text matching."""

    matching: Asked = Field(
        default=0.0,
        description=(
            "Weight of telling each image's own target from that of another row, and the other "
            "way round; read together. The likelier is drawn what the contrast finds more alike."
        ),
        examples=[1.0],
    )


class AlignmentKeys(Part):
    """Of word-region alignment."""

    alignment: Asked = Field(
        default=0.0,
        description=(
            "Weight of an optimal transport from the words of each target to the places of its "
            "image, read together, which is to cost less than that to an image of another row."
        ),
        examples=[0.1],
    )


class PhraseAlignmentKeys(Part):
    """Of phrases and the places that their boxes cover, or the frames of their moments."""

    phrase_alignment: Asked = Field(
        default=0.0,
        description=(
            "Weight of finding the places that the target's boxes cover by the words of the "
            "source, among all places of the image: where the encoder, which reads both, finds "
            "them most alike (MDETR, GLIP). Of a target of moments it is the frames that lie in "
            "them, among all of the video (UniVTG)."
        ),
        examples=[1.0],
    )


class MomentumDistillationKeys(Part):
    """Of what a momentum copy of the weights makes of targets."""

    momentum_distillation: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description=(
            "Share of the targets that is not the data's but what a momentum copy of the weights "
            "(`momentum_decay` of the run) finds likely: of each target token, and with "
            "`contrast_queue` or `contrast_within` of what image and text are to find. "
            "0 keeps no such copy."
        ),
        examples=[0.4],
    )
    momentum_distillation_ramp: int = Field(
        default=0,
        ge=0,
        le=10**12,
        description=(
            "momentum_distillation: batches of the task over which the share grows evenly from 0, "
            "while the copy has little to say; 0 begins with all of it."
        ),
        examples=[1000],
    )


class TextAsImageSpec(Part):
    """Where a text stands in for an image (CapDec, arXiv 2211.00575)."""

    task: Name = Field(
        description="A task of the mixture with `contrast`, which describes images: in its source "
        "the text takes the places of the image.",
        examples=["caption"],
    )
    weight: Weight = Field(
        default=1.0,
        description="Weight of what is learnt so, beside the task's own loss.",
        examples=[0.5],
    )


class TextAsImageKeys(Part):
    """Of texts that stand in for images."""

    text_as_image: TextAsImageSpec | None = Field(
        default=None,
        description=(
            "Each target, a text, is learnt once more from the source of a task that describes "
            "images, where the encoder's reading of the row's own text stands in for the image."
        ),
        examples=[{"task": "caption"}],
    )


class TextContrastKeys(Part):
    """Of the contrastive loss between texts."""

    text_contrast: Asked = Field(
        default=0.0,
        description=(
            "Weight of a contrastive loss between texts, such as sentences and their translations: "
            "each target must be found by its source among the batch, and each source by its "
            "target (LaBSE, InfoXLM)."
        ),
        examples=[1.0],
    )


class AdversarialSpec(Part):
    """How sources are changed against the model (VILLA, arXiv 2006.06195; FreeLB, 1909.11764)."""

    weight: Weight = Field(
        default=1.0,
        description="Weight of what is learnt of changed sources.",
        examples=[0.5],
    )
    epsilon: float = Field(
        default=0.05,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="The largest change of a source, as a share of the length of its embeddings.",
        examples=[0.1],
    )
    step_size: float = Field(
        default=0.05,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="How far a step changes it, likewise.",
        examples=[0.02],
    )
    steps: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Steps to where the loss is larger; each reads the batch forward and back.",
        examples=[3],
    )
    places: Literal["all", "images", "words"] = Field(
        default="all",
        description="Which embeddings are changed: all, those of images' places and regions, or "
        "those of words and tags.",
        examples=["images"],
    )


class AdversarialKeys(Part):
    """Of sources that are changed against the model."""

    adversarial: AdversarialSpec | None = Field(
        default=None,
        description=(
            "Each target is learnt from its source once more, of which the embeddings are moved a "
            "little to where the loss is larger; and no other answers shall become likely."
        ),
        examples=[{"weight": 1.0, "steps": 1}],
    )


class MaskedRegionFeaturesKeys(Part):
    """Of the regression of hidden features."""

    masked_region_features: Asked = Field(
        default=0.0,
        description="Weight of guessing the features of the regions that the task's `hide` hides: "
        "their mean squared error (UNITER's MRFR).",
        examples=[1.0],
    )


class MaskedRegionClassesKeys(Part):
    """Of the classes of hidden regions."""

    masked_region_classes: Asked = Field(
        default=0.0,
        description="Weight of guessing the detector's classes of the regions that the task's "
        "`hide` hides: the divergence from what it says (UNITER's MRC-kl).",
        examples=[1.0],
    )


# each is asked for by a key of its own name, which without a value (0, null) asks for nothing
OBJECTIVES = Variants(
    "an objective",
    Variant("contrast", ContrastKeys, partial(paired, "contrast", videos=True)),
    Variant("matching", MatchingKeys, partial(paired, "matching")),
    Variant("alignment", AlignmentKeys, partial(paired, "alignment")),
    Variant("phrase_alignment", PhraseAlignmentKeys, points_to_phrase),
    Variant("momentum_distillation", MomentumDistillationKeys),
    Variant("adversarial", AdversarialKeys),
    Variant("text_as_image", TextAsImageKeys, partial(texts_alone, "text_as_image")),
    Variant("text_contrast", TextContrastKeys, partial(texts_alone, "text_contrast")),
    Variant(
        "masked_region_features",
        MaskedRegionFeaturesKeys,
        partial(hides, "masked_region_features"),
    ),
    Variant(
        "masked_region_classes", MaskedRegionClassesKeys, partial(hides, "masked_region_classes")
    ),
)

# what the first checkpoints did not know of a task: no part of a fingerprint where it is not used
ADDED_LATER = tuple(k for each in OBJECTIVES.values() for k in each.reads if k != "contrast")
