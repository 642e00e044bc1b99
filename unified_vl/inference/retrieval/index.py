"""The index of a collection: all that a search needs of it, in a folder beside it.

    index.json             format, kind, the fingerprint of the model, the collection's root
    items.parquet          key, image, text and language of every item
    features.safetensors   vectors of all items (`unit`, `norm`) and how many each has (`length`)

It belongs to one model: features of other weights mean something else, so the index of
another model is refused. Nothing in it is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
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
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.corpus import Corpus, Item, Modality, OnBad
from unified_vl.inference.retrieval.features import BATCH, image_features, text_features
from unified_vl.inference.retrieval.late_interaction import Features
from unified_vl.kinds.hooks.fits import Pack

FACTS = "index.json"
ITEMS = "items.parquet"
FEATURES = "features.safetensors"
FORMAT = 1
COLUMNS = ("key", "image", "text", "language")

Progress = Callable[[int, int], None]
"""Called as (items done, items in total)."""


@dataclass(frozen=True)
class Index:
    """A collection and its features.

    Attributes:
        modality: whether they are images or texts.
        items: in the order of the features.
        model: fingerprint of the model that made the features.
        root: the folder that image paths are relative to.
    """

    modality: Modality
    items: list[Item]
    features: Features
    model: str
    root: Path

    def __len__(self) -> int:
        return len(self.items)

    def path(self, item: Item) -> Path | None:
        """The file of an image."""
        return None if item.image is None else self.root / item.image

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
                _write_items(partial / ITEMS, self.items)
                save_file(self.features.packed(), partial / FEATURES)
                write_atomically(partial / FACTS, json.dumps(facts, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", file=directory) from error


def build_index(
    predictor: UnifiedVL,
    corpus: Corpus,
    on_bad: OnBad | None = None,
    progress: Progress | None = None,
) -> Index:
    """Compute the features of a collection.

    Args:
        predictor: the model.
        corpus: the collection.
        on_bad: told of images that cannot be read, which are left out; None raises.
        progress: told what is done.

    Raises:
        BadRow: for an image that cannot be read.
        UserError: when none can.
    """
    fingerprint = predictor.fingerprint
    if corpus.modality == "text":
        features = text_features(predictor, [item.text or "" for item in corpus.items])
        return Index(corpus.modality, corpus.items, features, fingerprint, corpus.root)
    items: list[Item] = []
    parts: list[Features] = []
    codec = predictor.codec
    for batch in chunks(corpus.load(codec.image_size, on_bad, codec.fit), BATCH):
        items += [item for item, _ in batch]
        parts.append(image_features(predictor, [image for _, image in batch]))
        if progress:
            progress(len(items), len(corpus.items))
    if not parts:
        raise UserError("no image of the collection can be read", file=corpus.root)
    return Index(corpus.modality, items, Features.joined(parts), fingerprint, corpus.root)


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
    items = _read_items(directory / ITEMS)
    features = _read_features(directory / FEATURES, len(items), predictor, facts["kind"])
    root = directory.parent / str(facts.get("root", "."))
    return Index(facts["kind"], items, features, facts["model"], Path(os.path.normpath(root)))


def _write_items(path: Path, items: list[Item]) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {name: [getattr(item, name) for item in items] for name in COLUMNS}
    schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])
    parquet.write_table(pyarrow.table(columns, schema), path, compression="zstd")


def _read_items(path: Path) -> list[Item]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path, columns=list(COLUMNS)).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"these items cannot be read: {error}", file=path) from error
    return [Item(**row, where=str(path)) for row in rows]


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
    if not fits or not count or int(length.min()) < 0:
        raise UserError("these features do not fit the items and the model", file=path)
    return Features.unpacked(tensors)
