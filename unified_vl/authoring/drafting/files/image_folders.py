"""Folders of images: what is in them, and which of them a table means."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from unified_vl.authoring.drafting.files.samples import ROWS, Columns, read_sample
from unified_vl.authoring.drafting.places import MOST_FILES, Place
from unified_vl.errors import UserError
from unified_vl.files import with_slashes
from unified_vl.image_formats import is_image

LOOKED_FOR = 20  # images, of which most must be in a folder
_MOST_FOLDERS = 500
_UP = 2  # how far above an annotation file its images may lie


def folder_sample(folder: Path) -> Columns:
    """The columns of an image folder: those of its metadata, or the folders' names as labels.

    Raises:
        UserError: when there is neither.
    """
    for name, reader in ("metadata.jsonl", "jsonl"), ("metadata.csv", "csv"):
        found = sorted(folder.rglob(name))
        if found:
            columns = read_sample(reader, found[0])
            if "file_name" not in columns:
                raise UserError("has no column file_name", file=found[0], expected="image paths")
            return {"image": columns.pop("file_name"), **columns}
    images = sorted(islice((p for p in folder.rglob("*") if is_image(p)), MOST_FILES))
    labels = [path.parent.name for path in images]
    if len(set(labels)) < 2:
        raise UserError(
            "holds images, and nothing to say of them",
            file=folder,
            expected="a folder for each class, metadata.jsonl or metadata.csv",
        )
    return {"image": [path.name for path in images], "label": labels}


def texts_sample(folder: Path) -> Columns:
    """The columns of images with text files beside them, and of their languages.

    Raises:
        UserError: when a text is not UTF-8.
    """
    columns: Columns = {"image": [], "caption": [], "language": []}
    found = sorted(islice((p for p in folder.rglob("*.txt") if p.is_file()), MOST_FILES))
    images = {p.with_suffix(""): p.name for p in folder.rglob("*") if is_image(p)}
    for path in found:
        stem, tag = path.with_suffix(""), ""
        if stem not in images:
            stem, tag = stem.with_suffix(""), stem.suffix[1:]
        if stem in images and len(columns["image"]) < ROWS:
            columns["image"].append(images[stem])
            columns["caption"].append(_caption(path))
            columns["language"].append(tag or None)
    if not any(columns["language"]):
        del columns["language"]
    return columns


def _caption(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error


def find_images(place: Place, names: Sequence[str], *, movable: bool) -> tuple[Place, str | None]:
    """The folder that image paths are relative to.

    Args:
        place: the table that names them.
        names: some of the paths.
        movable: whether the data root may be moved up to hold the images too.

    Returns:
        The place, below a data root that holds the images, and the folder, relative to that root
        and with `{split}` in it where it is the split's own (empty for the root itself); None
        where the images were not found.
    """
    wanted = list(dict.fromkeys(names))[:LOOKED_FOR]
    moved = place
    for _ in range(1 + (_UP if movable else 0)):
        for near in _folders(moved):
            found = {f: sum(_is_file(f / name) for name in wanted) for f in near}
            best = max(found, key=lambda folder: found[folder])  # the first of several
            if 2 * found[best] > len(wanted):
                return moved, _template(best, moved)
        if moved.root.parent == moved.root:
            break
        moved = moved.above()
    return place, None


def find_absolute_images(
    place: Place, names: Sequence[str], *, movable: bool
) -> tuple[Place, str | None, str]:
    """As `find_images`, of absolute paths; and what they begin with in place of that folder.

    That is empty where they lie in the data root as they stand.
    """
    wanted = [name.replace("\\", "/") for name in dict.fromkeys(names)][:LOOKED_FOR]
    root = place.root.resolve()
    inside = [Path(name).resolve().is_relative_to(root) and _is_file(Path(name)) for name in wanted]
    if 2 * sum(inside) > len(wanted):
        return place, "", ""
    common = posixpath.commonpath([posixpath.dirname(name) for name in wanted])
    of_server = all(name.startswith("//") for name in wanted)  # of which it leaves one slash
    prefix = PurePosixPath(f"/{common}" if of_server else common)
    for folder in (prefix, *prefix.parents):
        rests = [PurePosixPath(name).relative_to(folder).as_posix() for name in wanted]
        moved, images = find_images(place, rests, movable=movable)
        if images is not None:
            return moved, images, str(folder)
    return place, None, ""


def _is_file(path: Path) -> bool:
    try:
        return with_slashes(path).is_file()
    except (OSError, ValueError):  # a name too long, a NUL byte
        return False


def _folders(place: Place) -> Iterator[list[Path]]:
    """The table's folder with all below it, then each folder around it up to the data root with
    all below that: a data set beside this one may have images of the same names."""
    beside = place.file.parent
    for top in (beside, *(f for f in beside.parents if f.is_relative_to(place.root))):
        below = (path for path in top.rglob("*") if path.is_dir())
        nearest = sorted(islice(below, _MOST_FOLDERS), key=lambda path: (len(path.parts), path))
        yield [top, *nearest]


def _template(folder: Path, place: Place) -> str:
    parts = list(folder.relative_to(place.root).parts)
    parts = [part.replace("{", "{{").replace("}", "}}") for part in parts]
    if "{split}" not in place.path:
        return "/".join(parts)
    said, *others = place.splits.values()  # of the split that was looked into first
    for index, part in enumerate(parts):
        template = part.replace(said, "{split}", 1)
        beside = folder.parents[len(parts) - index - 1]
        if said in part and all((beside / template.replace("{split}", n)).is_dir() for n in others):
            parts[index] = template
    return "/".join(parts)
