"""The rows of a task as a probe sees them: features of one image, and a class.

Legend: N rows, P places of an image, M width of the model, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from unified_vl.codecs.segments import Image, Text
from unified_vl.data.batching import collate_encoded, encode_example
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.good_examples import good_examples
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.closed_answers import learn_choices
from unified_vl.data.rows.other_rows import train_rows
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.evaluation.answering import chosen_rows
from unified_vl.inference.inputs import chunks
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.model.backbone import Backbone
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

BATCH = 128
SIDE = 24  # of pictures whose pixels are features
Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ProbedRows:
    """Rows of a split.

    Attributes:
        features: (N, ...) by the name of what makes them.
        classes: the answer of each.
        skipped: bad rows.
    """

    features: dict[str, Features]
    classes: list[str]
    skipped: int


def probed_rows(
    predictor: UnifiedVL,
    towers: dict[str, Backbone],
    spec: TaskSpec,
    split: SplitName,
    root: Path,
    limit: int | None,
) -> ProbedRows:
    """The rows of a split, with features of each tower and of the pixels.

    Args:
        predictor: whose codec reads the rows.
        towers: models whose image branches make features.
        spec: the task.
        split: of its rows.
        root: the folder that its paths are relative to.
        limit: at most so many rows, a fixed random choice.

    Raises:
        UserError: for a task that asks for something else than the class of one image.
    """
    data = TaskData(spec, split, root)
    spec = learn_choices(spec, root)
    codec = predictor.codec
    builder = ExampleBuilder(  # without a codec, which would look for the tags of a new task
        spec,
        ImageLoader(root, codec.image_size, fit=codec.fit),
        rows=data,
        train=train_rows(spec, root, data),
    )
    rows = data.rows(chosen_rows(len(data), limit))
    skipped = 0

    def examples() -> Iterator[Example]:
        nonlocal skipped
        for _, example in good_examples(builder, rows):
            if example is None:
                skipped += 1
            else:
                yield example

    features: dict[str, list[Features]] = {name: [] for name in (*towers, "pixels")}
    classes: list[str] = []
    for chunk in chunks(examples(), BATCH):
        classes += [class_of(example, spec) for example in chunk]
        shown = [encode_example(_image_alone(each), codec) for each in chunk]
        batch = collate_encoded(shown)
        pixels_NCHW = batch.pixel_values_NCHW
        assert pixels_NCHW is not None, "each row has an image"
        features["pixels"].append(_pixels(pixels_NCHW))
        for name, model in towers.items():
            features[name].append(_tower(model, pixels_NCHW))
    if not classes:
        raise UserError(
            f"the task {spec.task!r} has no good row of the split {split!r}",
            file=spec.file,
            field="data",
        )
    joined = {name: np.concatenate(parts) for name, parts in features.items()}
    return ProbedRows(joined, classes, skipped)


def _image_alone(example: Example) -> Example:
    """Tags and words that the model has never seen are not read: the image branch sees none."""
    return replace(example, source=tuple(e for e in example.source if isinstance(e, Image)))


def class_of(example: Example, spec: TaskSpec) -> str:
    """The class that a row's image has.

    Raises:
        UserError: for a task that shows another number of images, or writes something else.
    """
    images = sum(isinstance(each, Image) for each in example.source)
    texts: Sequence[object] = [each for each in example.target if not isinstance(each, Text)]
    if images != 1 or texts or not example.target:
        found = f"{images} images" if images != 1 else "something else than a text"
        verb = "shows" if images != 1 else "writes"
        raise UserError(
            f"the task {spec.task!r} {verb} {found}",
            file=spec.file,
            field="example",
            expected="one image in the source, and its class as the target",
        )
    return "".join(each.text for each in example.target if isinstance(each, Text))


def _pixels(pixels_NCHW: torch.Tensor) -> Features:
    """The picture itself, made small."""
    small = F.adaptive_avg_pool2d(pixels_NCHW.float() / 255, SIDE)
    return small.flatten(1).numpy()


@torch.inference_mode()
def _tower(model: Backbone, pixels_NCHW: torch.Tensor) -> Features:
    """The mean over an image's places, (N, M); those that a packed image lacks are zero."""
    feature_NPM = model.image_features(pixels_NCHW.to(model.device)).float()
    real_NP1 = feature_NPM.any(dim=-1, keepdim=True)
    mean_NM = feature_NPM.sum(dim=1) / real_NP1.sum(dim=1).clamp(min=1)
    return mean_NM.cpu().numpy()
