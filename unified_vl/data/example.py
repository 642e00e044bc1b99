"""What the model reads and writes for one row; segments, no tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Image, ImageCodes, Segment
from unified_vl.geometry import Shape
from unified_vl.kinds.fitted import onto_image
from unified_vl.kinds.hooks.fits import WHOLE, Content

Reference = str | Shape | LoadedImage


@dataclass(frozen=True, slots=True)
class Example:
    """An example of a task, of one row.

    Attributes:
        task: name of the task.
        language: tag of the row's language.
        key: names the row in predictions.
        source: what the model reads.
        target: what it shall write; empty when it was not asked for, or is nothing at all (an
            image without objects): `has_target` tells.
        references: the right answers by scored field; empty without target.
        groups: what the scores are broken down by, as names and values.
        where: `file:row`.
        image_size: (width, height) in pixels of the user's image, where there is one.
        read: fields of which the model reads another text than the row's, with that text.
        shots: how many rows are shown before it.
        without: its source without what `drop` names, which guidance compares with; empty where
            nobody asks for it.
        given: of an image that is to be completed, the codes that are known and None for the
            others; empty where there is no such image.
        shows: the text that an image is ranked by, where `generate.rerank` names it.
        copied: the texts among its source's fields, words of which an answer may copy whatever
            its language; empty in training.
        has_target: whether the target was asked for, even where nothing is to be written.
        content: where the image lies in what the network reads, in which the places of source and
            target are measured; those of references are in the image.
    """

    task: str
    language: str
    key: str
    source: tuple[Segment, ...]
    target: tuple[Segment, ...]
    references: Mapping[str, tuple[Reference, ...]]
    groups: Mapping[str, str]
    where: str
    image_size: tuple[int, int] | None
    read: Mapping[str, str] = field(default_factory=dict)
    shots: int = 0
    without: tuple[Segment, ...] = ()
    given: tuple[int | None, ...] = ()
    shows: str | None = None
    copied: tuple[str, ...] = ()
    has_target: bool = False
    content: Content = WHOLE
    perturbed: bool = False

    def in_image(self, segments: Iterable[Segment]) -> tuple[Segment, ...]:
        """Segments that the network reads or writes, with their places in the image."""
        return tuple(onto_image(s, self.content) if isinstance(s, Shape) else s for s in segments)

    @property
    def truncated(self) -> bool:
        """Whether an image that is read or to be written is one whose file ends early."""
        segments = (*self.source, *self.target)
        images = [part.image for part in segments if isinstance(part, Image | ImageCodes)]
        return any(image is not None and image.truncated for image in images)

    def by_name(self) -> Example:
        """What tells which row it is, without what is read and written: training holds many."""
        return replace(self, source=(), target=(), references={}, without=(), given=(), copied=())
