"""Every reader by the name that a spec uses: those of this package, and those that others register.

They are read when one is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from unified_vl.parts import key_of, keys_changed
from unified_vl.readers import annotation_tools, benchmarks, formats
from unified_vl.readers.detections import DetectionReader
from unified_vl.readers.reader import Reader

# what people look for most comes first wherever readers are listed
FIRST = ("parquet", "jsonl", "json", "csv", "tsv", "arrow", "hub")


class _Readers(Mapping[str, Reader]):
    """Readers by name, as they are by now."""

    def __getitem__(self, name: str) -> Reader:
        return _known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_known())

    def __len__(self) -> int:
        return len(_known())


READERS: Mapping[str, Reader] = _Readers()


def register(reader: Reader) -> None:
    """Let task specs name a reader, from now on and in this process.

    An installed package has its readers known in every process, also on the command line, by an
    entry point of the group `unified_vl.plugins`.

    Raises:
        ValueError: when another reader has its name, or one of its keys means something else to
            another reader or to all, or has no default.
        TypeError: for what is no reader.
    """
    if not isinstance(reader, Reader):
        raise TypeError(f"{reader!r} is no unified_vl.Reader")
    _add(_known(), reader)
    try:
        keys_changed()
    except ValueError:  # a key of its own is one of all readers
        unregister(reader.name)
        raise


def unregister(name: str) -> None:
    """Take a reader away that was added, as tests do."""
    del _known()[name]
    keys_changed()


def detection_readers() -> dict[str, DetectionReader]:
    """Those of objects in images, as annotation tools write them."""
    return {name: r for name, r in READERS.items() if isinstance(r, DetectionReader)}


@cache
def _known() -> dict[str, Reader]:
    known: dict[str, Reader] = {}
    for reader in _built_in():
        _add(known, reader)
    return known


def _add(known: dict[str, Reader], reader: Reader) -> None:
    if known.get(reader.name, reader) is not reader:
        raise ValueError(f"there is a reader {reader.name!r} already")
    for name, field in reader.keys.model_fields.items():
        if field.is_required():
            raise ValueError(f"{key_of(reader.keys, name)} has no default; see ReaderKeys.problems")
        for other in known.values():
            theirs = other.keys.model_fields.get(name, field)
            if (theirs.annotation, theirs.description) != (field.annotation, field.description):
                raise ValueError(
                    f"{key_of(reader.keys, name)} is one of the reader {other.name!r} already"
                )
    known[reader.name] = reader


def _built_in() -> Iterator[Reader]:
    """All readers that stand in a module of the folders beside this one, by their names."""
    for folder in (formats, benchmarks, annotation_tools):
        found: dict[str, Reader] = {}  # some stand in two modules: a folder may hold JSON Lines
        for module in iter_modules(folder.__path__):
            values = vars(import_module(f"{folder.__name__}.{module.name}")).values()
            found |= {value.name: value for value in values if isinstance(value, Reader)}
        first = [name for name in FIRST if name in found]
        yield from (found[name] for name in dict.fromkeys((*first, *sorted(found))))
