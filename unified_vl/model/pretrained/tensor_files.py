"""Weights in one or several safetensors files, read one piece at a time.

A file is mapped into memory for as long as a piece of it takes to copy. Mapped pages count as
memory of the process: with the file open until its end, a start would hold the weights twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTERS = "adapter_model.safetensors"  # of peft, beside a model
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.msgpack", "*.h5")
FLOATS = ("F64", "F32", "F16", "BF16")
AT_ONCE = 1 << 26  # bytes that are mapped


@dataclass(frozen=True)
class Stored:
    """Where a weight lies.

    Attributes:
        path: its file.
        shape: of it.
        kind: the type of its numbers, as safetensors calls it.
    """

    path: Path
    shape: tuple[int, ...]
    kind: str


class TensorFiles(Mapping[str, Stored]):
    """The weights of a directory by the names that its files give them.

    Args:
        paths: safetensors files.

    Raises:
        UserError: for a file that is missing, truncated or none, or a name that is there twice.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._stored: dict[str, Stored] = {}
        for path in paths:
            with opened(path) as file:
                for name in file.keys():  # noqa: SIM118 (no mapping)
                    if name in self._stored:
                        also = self._stored[name].path.name
                        raise UserError(f"the weight {name!r} is also in {also}", file=path)
                    part = file.get_slice(name)
                    self._stored[name] = Stored(path, tuple(part.get_shape()), part.get_dtype())

    def __getitem__(self, name: str) -> Stored:
        return self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """A copy of rows `start` to `stop` of a weight.

        Raises:
            UserError: when the file can no longer be read.
        """
        stored = self._stored[name]
        if not stored.shape:
            with opened(stored.path) as file:
                return file.get_tensor(name).clone()
        rows = range(*slice(start, stop).indices(stored.shape[0]))
        at_once = max(1, AT_ONCE * stored.shape[0] // max(_bytes_of(stored), 1))
        if len(rows) <= at_once:
            with opened(stored.path) as file:
                return file.get_slice(name)[rows.start : rows.stop].clone()
        whole: torch.Tensor | None = None
        for first in rows[::at_once]:
            last = min(first + at_once, rows.stop)
            with opened(stored.path) as file:
                part = file.get_slice(name)[first:last]
                if whole is None:
                    whole = torch.empty(len(rows), *stored.shape[1:], dtype=part.dtype)
                whole[first - rows.start : last - rows.start] = part
                del part
        assert whole is not None
        return whole

    def fingerprint(self, *others: Path) -> str:
        """Of the content of all files and of `others`."""
        digest = hashlib.sha256()
        for path in (*self.paths, *others):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a saved model: one, or those that an index names.

    Raises:
        UserError: when there are none, also where there are pickles, which are not opened.
    """
    index = directory / INDEX
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if index.is_file():
        named = read_json_object(index).get("weight_map")
        if not isinstance(named, dict) or not all(map(_is_name, named.values())):
            raise UserError(
                "names no files beside it", file=index, field="weight_map", expected="a mapping"
            )
        paths = [directory / name for name in sorted(set(named.values()))]
        for path in paths:
            if not path.is_file():
                raise UserError(f"the file is missing, which {INDEX} names", file=path)
        return paths
    refuse_pickles(directory)
    if (directory / ADAPTERS).is_file():
        raise adapters_alone(
            directory / ADAPTERS,
            "a whole model: train with `lora: {save: merged}`, or open this one in Python and save "
            "it (docs/fine_tuning.md)",
        )
    beside = sorted(path.name for path in directory.glob("*.safetensors"))
    raise UserError(
        "there are no weights here",
        file=directory,
        expected=f"{WEIGHTS} or {INDEX}",
        nearest=nearest(WEIGHTS, beside),
    )


def refuse_pickles(directory: Path) -> None:
    """Raise for a folder without weights in safetensors where there are some in a pickle.

    Raises:
        UserError: naming it, and how to convert it.
    """
    pickles = sorted(path.name for kind in PICKLES for path in directory.glob(kind))
    if pickles:
        raise UserError(
            f"holds weights as {pickles[0]} alone, which could run a program when it is opened",
            file=directory,
            expected=f"{WEIGHTS}: load it where you trust it, with transformers' "
            "from_pretrained, and save_pretrained writes that file",
        )


def adapters_alone(path: Path, expected: str) -> UserError:
    """What is said of adapters where a whole model is wanted.

    Args:
        path: their file.
        expected: what the asker can open, and where that comes from.
    """
    return UserError("these are adapters and not a whole model", file=path, expected=expected)


def refuse_no_number(name: str, weight: torch.Tensor, file: Path) -> None:
    """Raise where a weight holds what is no finite number.

    Raises:
        UserError: naming the weight and the file.
    """
    if not bool(weight.isfinite().all()):
        raise UserError(f"the weight {name!r} holds NaN or infinity", file=file)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A safetensors file.

    Raises:
        UserError: when it is missing or broken; also while it is read.
    """
    if not path.is_file():
        raise UserError("the model's weights are missing", file=path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise UserError(f"these weights cannot be read: {error}", file=path) from error


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.endswith(".safetensors") and Path(value).name == value


def _bytes_of(stored: Stored) -> int:
    size = {"F64": 8, "I64": 8, "BF16": 2, "F16": 2}.get(stored.kind, 4)
    for side in stored.shape:
        size *= side
    return size
