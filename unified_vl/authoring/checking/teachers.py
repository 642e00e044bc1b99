"""Whether a run's model can learn from the teacher that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.authoring.checking.tokens import Sizes
from unified_vl.codecs.region_values import RegionSizes
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import nearest
from unified_vl.specs.run import Run

PLACE = ("teacher", "model")


def refuse_unfit_teacher(run: Run, vocabulary: Vocabulary, sizes: Sizes) -> Any:
    """That a run's teacher reads what its model reads.

    Args:
        run: names it.
        vocabulary: of the run's tokenizer.
        sizes: of the images and regions that the run's model reads.

    Returns:
        The teacher's configuration; None without a teacher.

    Raises:
        UserError: at the run's `teacher`, or naming the file of it that is broken.
    """
    if run.teacher is None:
        return None
    from unified_vl.model.configuration import UnifiedVLConfig  # loads `transformers`
    from unified_vl.model.saved_configuration import CONFIG, load_configuration

    folder = run.teacher.model
    if not (folder / CONFIG).is_file():
        raise run.error(
            PLACE,
            f"{str(folder)!r} is no saved model: it has no {CONFIG}",
            expected="the folder of a saved model, such as OUTPUT/model of a run",
            nearest=_nearest(folder),
        )
    config = load_configuration(folder / CONFIG)
    if not isinstance(config, UnifiedVLConfig) or getattr(config, "int8", False):
        found = "is in int8" if isinstance(config, UnifiedVLConfig) else "is of `transformers`"
        raise run.error(
            PLACE, f"{str(folder)!r} {found}", expected="a model of this project, in float32"
        )
    unlike = [
        ("vocabulary", config.vocabulary_fingerprint, vocabulary.fingerprint),
        ("tags of tasks (`tags` of the mixture)", config.task_tags, run.loaded_mixture.tags),
        ("image size", list(config.image_size), list(sizes.image_size)),
        ("tokens of an image", config.image_tokens, sizes.image_tokens),
        ("fit of images", config.image_fit, sizes.fit),
        *_of_regions(run, config.region_sizes, sizes.region_sizes),
    ]
    for what, theirs, own in unlike:
        if theirs != own:
            said = "another vocabulary" if what == "vocabulary" else f"{what}: {theirs}, not {own}"
            raise run.error(
                PLACE,
                f"{str(folder)!r} cannot teach this model: {said}",
                expected="a teacher that reads the same ids and images, trained with the run's "
                "tokenizer",
            )
    streams = config.two_streams or run.model.encoder.kind == "two_streams"
    for key in ("hidden", "attention") if streams else ():
        if getattr(run.teacher, key):
            raise run.error(
                ("teacher", key),
                "of an encoder of two streams, no layer is like one of another model",
                expected="0, and logits alone",
            )
    return config


def _of_regions(
    run: Run, theirs: RegionSizes | None, own: RegionSizes | None
) -> Iterator[tuple[str, object, object]]:
    """What of regions has to be alike: nothing where no task reads any. A teacher may leave classes
    or attributes unread that its student reads, but not the other way round: they are not in the
    batch."""
    if not any(spec.regions_field for spec in run.loaded_mixture.specs):
        return
    theirs, own = theirs or RegionSizes(), own or RegionSizes()
    yield "numbers of a region's feature", theirs.features or 0, own.features or 0
    if theirs.classes is not None:
        yield "classes of regions", theirs.classes, own.classes or 0
    if theirs.attributes is not None:
        yield "attributes of regions", theirs.attributes, own.attributes or 0


def _nearest(folder: Path) -> str | None:
    parent = folder.parent
    beside = [each.name for each in parent.iterdir() if each.is_dir()] if parent.is_dir() else []
    return nearest(folder.name, beside)
