"""What training does to pictures: the `augment` key of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, model_validator

from unified_vl.augmentation.affine import Affine, AffineKeys
from unified_vl.augmentation.augmentation import Augmentation
from unified_vl.augmentation.blur import Blur, BlurKeys
from unified_vl.augmentation.color_jitter import ColorJitter, ColorJitterKeys
from unified_vl.augmentation.grayscale import Grayscale
from unified_vl.augmentation.horizontal_flip import HorizontalFlip
from unified_vl.augmentation.jpeg import Jpeg, JpegKeys
from unified_vl.augmentation.noise import Noise, NoiseKeys
from unified_vl.augmentation.resized_crop import ResizedCrop, ResizedCropKeys
from unified_vl.augmentation.rotation import Rotation, RotationKeys
from unified_vl.specs.reading.document import Name, OneOf, Part, refuse
from unified_vl.specs.variants import Variant, Variants


@dataclass(frozen=True)
class AugmentVariant(Variant):
    """An augmentation that a run may name.

    Attributes:
        augmentation: what draws and does it.
    """

    augmentation: Augmentation = field(default_factory=Augmentation)


def _variant(augmentation: Augmentation) -> AugmentVariant:
    keys, problems = augmentation.keys, augmentation.problems
    return AugmentVariant(augmentation.name, keys, problems, augmentation)


BUILT_IN = (
    ColorJitter(),
    Grayscale(),
    Blur(),
    Noise(),
    Jpeg(),
    ResizedCrop(),
    Affine(),
    Rotation(),
    HorizontalFlip(),
)
AUGMENTATIONS = Variants("an augmentation", *map(_variant, BUILT_IN))
AugmentName = Annotated[str, OneOf(lambda: AUGMENTATIONS)]


class GeneralAugmentKeys(Part):
    """Of all augmentations."""

    name: AugmentName = Field(description="The augmentation.", examples=["color_jitter"])
    rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="How often it is done (1 unless given; 0.1 for grayscale; 0.5 for blur, noise, "
        "jpeg and horizontal_flip).",
        examples=[0.8],
    )
    tasks: tuple[Name, ...] | None = Field(
        default=None,
        min_length=1,
        description="The tasks whose pictures are changed; unless given all that can take it.",
        examples=[["caption_photos"]],
    )


class AugmentSpec(
    ColorJitterKeys,
    BlurKeys,
    NoiseKeys,
    JpegKeys,
    ResizedCropKeys,
    AffineKeys,
    RotationKeys,
    GeneralAugmentKeys,
):
    """One change of the pictures that training sees; several are done in their order."""

    @model_validator(mode="after")
    def _obey_rules(self) -> AugmentSpec:
        said = f"the augmentation {self.name!r} does not read this"
        refuse(AUGMENTATIONS.idle_problems(self.name, self.model_fields_set, (), said))
        refuse(AUGMENTATIONS[self.name].rules(self))
        return self

    @property
    def augmentation(self) -> Augmentation:
        """What draws and does it."""
        variant = AUGMENTATIONS[self.name]
        assert isinstance(variant, AugmentVariant)
        return variant.augmentation

    @property
    def how_often(self) -> float:
        """Its rate, or the usual one."""
        return self.augmentation.rate if self.rate is None else self.rate

    @property
    def settled(self) -> dict[str, Any]:
        """What decides its changes: its name, its rate, and its own keys."""
        own = self.model_dump(mode="json", include=set(AUGMENTATIONS[self.name].reads))
        return {"name": self.name, "rate": self.how_often, **own}


AUGMENTATIONS.keys_of(AugmentSpec)


def register(augmentation: Augmentation) -> None:
    """Let runs name an augmentation, from now on and in this process.

    An installed package has its augmentations known in every process, also on the command line, by
    an entry point of the group `unified_vl.plugins`.

    Raises:
        TypeError: for what is no augmentation.
        ValueError: for a name that is taken, or a key without a default or with another meaning.
    """
    if not isinstance(augmentation, Augmentation):
        raise TypeError(f"{augmentation!r} is no unified_vl.Augmentation")
    AUGMENTATIONS.add(_variant(augmentation))


def unregister(name: str) -> None:
    """Take one away that was added, as tests do."""
    AUGMENTATIONS.remove(name)
