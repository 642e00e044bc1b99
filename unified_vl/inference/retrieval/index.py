"""The index of a collection: all that a search needs of it, in a folder beside it.

    index.json             format, kind, the fingerprint of the model, the collection's root
    items.parquet          key, image, text and language of every item; of videos, key and video
    features.safetensors   vectors of all items (`unit`, `norm`) and how many each has (`length`)

It belongs to one model: features of other weights mean something else, so the index of
another model is refused. Nothing in it is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.errors import UserError
from unified_vl.files import new_directory, read_json_object, write_atomically
from unified_vl.inference.inputs import chunks
from unified_vl.inference.pair_scoring import clip_field
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.corpus import Corpus, Item, Modality, OnBad
from unified_vl.inference.retrieval.features import (
    BATCH,
    CLIPS,
    clip_features,
    image_features,
    text_features,
)
from unified_vl.inference.retrieval.late_interaction import Features
from unified_vl.kinds.hooks.fits import Pack
from unified_vl.specs.task import TaskSpec

FACTS = "index.json"
ITEMS = "items.parquet"
FEATURES = "features.safetensors"
FORMAT = 1
COLUMNS = ("key", "image", "text", "language")
CLIP_COLUMNS = ("key", "video")

Progress = Callable[[int, int], None]
"""Called as (items done, items in total)."""


@dataclass(frozen=True)
class Index:
    """A collection and its features.

    Attributes:
        modality: whether they are images, videos or texts.
        items: in the order of the features.
        model: fingerprint of the model that made the features.
        root: the folder that paths of images and videos are relative to.
    """

    modality: Modality
    items: list[Item]
    features: Features
    model: str
    root: Path

    def __len__(self) -> int:
        return len(self.items)

    def path(self, item: Item) -> Path | None:
        """The file of an image or a video, or the folder of its frames."""
        below = item.image or item.video
        return None if below is None else self.root / below

    def save(self, directory: str | Path) -> None:
        """Write the index, whole or not at all; an index that is there is replaced.

        Raises:
            DiskFull: when there is no room for it.
            UserError: where something else is, or nothing can be written.
        """
        directory = Path(directory)
        if directory.exists() and not (directory / FACTS).is_file():
            raise UserError(
                "there is something else already", file=directory, expected="a new name"
            )
        facts = {
            "format": FORMAT,
            "kind": self.modality,
            "count": len(self.items),
            "model": self.model,
            "root": os.path.relpath(self.root, directory.parent),
        }
        try:
            with new_directory(directory) as partial:
                _write_items(partial / ITEMS, self.items, _columns(self.modality))
                save_file(self.features.packed(), partial / FEATURES)
                write_atomically(partial / FACTS, json.dumps(facts, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", file=directory) from error


def build_index(
    predictor: UnifiedVL,
    corpus: Corpus,
    on_bad: OnBad | None = None,
    progress: Progress | None = None,
    task: str | Path | TaskSpec | None = None,
) -> Index:
    """Compute the features of a collection.

    Args:
        predictor: the model.
        corpus: the collection.
        on_bad: told of images and videos that cannot be read, which are left out; None raises.
        progress: told what is done.
        task: of videos: which frames are read is said by its field; the model's only captioning
            task of videos unless given.

    Raises:
        BadRow: for an image or a video that cannot be read.
        UserError: when none can, or there is no such task.
    """
    fingerprint = predictor.fingerprint
    if corpus.modality == "text":
        features = text_features(predictor, [item.text or "" for item in corpus.items])
        return Index(corpus.modality, corpus.items, features, fingerprint, corpus.root)
    items: list[Item] = []
    parts: list[Features] = []
    for batch_items, features in _features(predictor, corpus, on_bad, task):
        items += batch_items
        parts.append(features)
        if progress:
            progress(len(items), len(corpus.items))
    if not parts:
        raise UserError(f"no {corpus.modality} of the collection can be read", file=corpus.root)
    return Index(corpus.modality, items, Features.joined(parts), fingerprint, corpus.root)


def _features(
    predictor: UnifiedVL, corpus: Corpus, on_bad: OnBad | None, task: str | Path | TaskSpec | None
) -> Iterator[tuple[list[Item], Features]]:
    """Of some images or videos at a time."""
    size, fit = predictor.codec.image_size, predictor.codec.fit
    if corpus.modality == "image":
        for batch in chunks(corpus.load(size, on_bad, fit), BATCH):
            found = image_features(predictor, [image for _, image in batch])
            yield [item for item, _ in batch], found
        return
    field = clip_field(predictor, task)
    for clips in chunks(corpus.load_clips(field, size, on_bad, fit), CLIPS):
        yield [item for item, _ in clips], clip_features(predictor, [clip for _, clip in clips])


def load_index(directory: str | Path, predictor: UnifiedVL) -> Index:
    """Read an index that this very model made.

    Raises:
        UserError: when there is none, it is broken, or another model made it.
    """
    directory = Path(directory)
    if not (directory / FACTS).is_file():
        raise UserError("there is no index here", file=directory, expected="what `index` writes")
    facts = read_json_object(directory / FACTS)
    if facts.get("format") != FORMAT or facts.get("kind") not in get_args(Modality):
        raise UserError("this is not an index", file=directory / FACTS, expected=f"format {FORMAT}")
    if facts.get("model") != predictor.fingerprint:
        raise UserError(
            "the index was made with another model",
            file=directory,
            expected="an index of this one: build it again with `unified-vl index`",
        )
    items = _read_items(directory / ITEMS, _columns(facts["kind"]))
    features = _read_features(directory / FEATURES, len(items), predictor, facts["kind"])
    root = directory.parent / str(facts.get("root", "."))
    return Index(facts["kind"], items, features, facts["model"], Path(os.path.normpath(root)))


def _columns(modality: Modality) -> tuple[str, ...]:
    return CLIP_COLUMNS if modality == "video" else COLUMNS


def _write_items(path: Path, items: list[Item], names: Sequence[str]) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {name: [getattr(item, name) for item in items] for name in names}
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    parquet.write_table(pyarrow.table(columns, schema), path, compression="zstd")


def _read_items(path: Path, names: Sequence[str]) -> list[Item]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path, columns=list(names)).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"these items cannot be read: {error}", file=path) from error
    return [Item(**row, where=str(path)) for row in rows]


def _has_frames(tensors: Mapping[str, torch.Tensor], codec: SequenceCodec) -> bool:
    """Whether each video has the features of one whole frame or of several."""
    length_A = tensors["length"]
    return bool(((length_A > 0) & (length_A % codec.image_tokens == 0)).all())


def _has_places(tensors: Mapping[str, torch.Tensor], codec: SequenceCodec) -> bool:
    """Whether each image has as many features as a model's images have places."""
    grid_A2, length_A = tensors.get("grid"), tensors["length"]
    if not isinstance(codec.fit, Pack):
        return grid_A2 is None and bool((length_A == codec.image_tokens).all())
    if grid_A2 is None or grid_A2.shape != (len(length_A), 2) or grid_A2.dtype != torch.int64:
        return False
    right_A = (grid_A2 > 0).all(1) & (grid_A2.prod(1) == length_A)
    return bool((right_A & (length_A <= codec.image_tokens)).all())


def _read_features(path: Path, count: int, predictor: UnifiedVL, modality: Modality) -> Features:
    width = predictor.model.config.d_model
    try:
        tensors = load_file(path)
        unit, norm, length = (tensors[name] for name in ("unit", "norm", "length"))
    except (SafetensorError, OSError, KeyError) as error:
        raise UserError(f"these features cannot be read: {error}", file=path) from error
    vectors = int(length.sum()) if length.dtype == torch.int64 else -1
    fits = unit.shape == (vectors, width) and norm.shape == (vectors,) and length.shape == (count,)
    if modality == "image":
        fits = fits and _has_places(tensors, predictor.codec)
    if modality == "video":
        fits = fits and _has_frames(tensors, predictor.codec)
    if not fits or not count or int(length.min()) < 0:
        raise UserError("these features do not fit the items and the model", file=path)
    return Features.unpacked(tensors)
