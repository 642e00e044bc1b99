"""What of a model directory others get: the files that a model is made of, and nothing private."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.model.saved_configuration import CONFIG
from unified_vl.run_record import FACTS

CARD = "README.md"
WANTED = (  # all that `save_model` writes; whatever else lies there stays
    *(CONFIG, "generation_config.json", FACTS, "model.safetensors", CARD),
    *("processor_config.json", "tokenizer_config.json", "unified_vl_classes.py"),
    *("adapter.json", "adapter_config.json", "adapter_model.safetensors"),
    *("other_weights.safetensors", "tokenizer/*", "specs/*"),
)
TEXTS = (".json", ".yaml", ".txt", ".tsv", ".md", ".py")
_ABSOLUTE = re.compile(r"(?<![\w./:])(?:/[^\s'\"/]+){2,}/?|\b[A-Za-z]:\\[^\s'\"]+")
_HOMES = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\+Users\\+)[^\s/\\'\"]+")


@dataclass(frozen=True)
class Content:
    """A file to be uploaded.

    Attributes:
        name: below the repository's root, with slashes.
        path: of the file.
        data: its bytes, where they are others than the file's.
    """

    name: str
    path: Path
    data: bytes | None = None

    @property
    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size if self.data is None else len(self.data)


def contents(directory: Path, card: str) -> tuple[list[Content], list[str]]:
    """The files of a model, and the names of what else lies there and is left out.

    Args:
        directory: of a saved model.
        card: what its README.md says.

    Raises:
        UserError: for a link out of the directory, or a file that names a person's folder.
    """
    root = directory.resolve()
    found: dict[str, Content] = {}
    others: list[str] = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        if not any(fnmatch(name, pattern) for pattern in WANTED):
            others.append(name)
            continue
        if not path.resolve().is_relative_to(root):
            raise UserError("a link out of the model's directory", file=path, expected="a file")
        found[name] = Content(name, path)
        _refuse_private(path)
    found[CARD] = Content(CARD, directory / CARD, card.encode())
    if FACTS in found:
        facts = public_facts(read_json_object(directory / FACTS))
        told = json.dumps(facts, indent=1, ensure_ascii=False)
        found[FACTS] = Content(FACTS, directory / FACTS, told.encode())
    return [found[name] for name in sorted(found)], others


def public_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A training's record without the folders of the machine that it was made on: of an absolute
    path the last name is left."""
    return {key: _public(value) for key, value in facts.items()}


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return public_facts(value)
    if isinstance(value, list):
        return [_public(one) for one in value]
    if isinstance(value, str):
        return _ABSOLUTE.sub(lambda path: re.split(r"[/\\]", path[0].rstrip("/\\"))[-1], value)
    return value


def _refuse_private(path: Path) -> None:
    """Raise where a file names the folder of a person, who may not know that it does."""
    if path.name == FACTS or path.suffix not in TEXTS:
        return
    for number, line in _lines(path):
        named = _HOMES.search(line)
        home = str(Path.home())
        inside = len(Path(home).parts) > 1 and f"{home}/" in line
        if named or inside:
            raise UserError(
                f"names a folder of a person: {named[0] if named else home!r}",
                file=path,
                line=number,
                expected="a path that says nothing of this machine; `predict` needs none",
            )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from enumerate(file, 1)
