"""Whether a tokenizer's vocabulary and a model's codec have what a task writes and reads."""

from __future__ import annotations

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.vocabulary import IMAGE_TAG
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.example import IMAGE_MASK_TAG, MASK_TAG, sentinel_tag


def refuse_unknown_tags(spec: TaskSpec, codec: SequenceCodec) -> None:
    """That a codec knows the images, regions, tags and marks of noise of a task's fields.

    Raises:
        UserError: at the field, or the noise of one.
    """
    if codec.code_images is None:
        for name, value in spec.fields.items():
            if value.in_codes:
                raise spec.error(
                    ("fields", name),
                    "the tokenizer has no image codes",
                    expected="one that `unified-vl tokenizer train --image-tokenizer` made",
                )
    for name, value in spec.fields.items():
        if value.of_kind.has_features and codec.region_sizes is None:
            raise spec.error(
                ("fields", name),
                "the model reads no regions",
                expected="model.region_features of the run: how many numbers a feature has",
            )
        tags = value.of_kind.tags(value)
        known = sum(tag in codec.vocabulary.tags for tag in tags)
        if known < len(tags):
            raise spec.error(
                ("fields", name),
                f"the tokenizer's vocabulary has {known} of its {len(tags)} tags ({tags[0]}, ...)",
                expected="one that `unified-vl tokenizer train --spec` made for this task, or "
                "`unified-vl tokenizer extend`",
            )
    needed = {
        "masking": (MASK_TAG, "mask"),
        "span_corruption": (sentinel_tag(0), "sentinels"),
        "code_masking": (IMAGE_MASK_TAG, "mask of images"),
    }
    for name, noise in spec.example.noise.items():
        tag, what = needed.get(noise.kind, (IMAGE_TAG, ""))
        if tag not in codec.vocabulary.tags:
            raise spec.error(
                ("example", "noise", name),
                f"the tokenizer's vocabulary has no {what}",
                expected="one that `unified-vl tokenizer train --spec` made for this task",
            )
