"""Parts of a spec of which there are several variants, each with keys of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unified_vl.parts import (
    FOLLOWERS,
    NAME_PATTERN,
    KeyPath,
    Part,
    Problem,
    key_of,
    keys_changed,
    one_of,
)


def _none(part: Any) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True)
class Variant:
    """What a spec may name, and what it may say of it.

    Attributes:
        name: what specs call it.
        keys: its keys, which have defaults and stand beside those of all variants.
        rules: what is wrong with a part that names it, beyond the types of its keys.
    """

    name: str
    keys: type[Part]
    rules: Callable[[Any], Iterable[Problem]] = _none

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of its keys."""
        return tuple(self.keys.model_fields)


class Variants(Mapping[str, Variant]):
    """The variants of a part by name; more may be added, and the part then has their keys.

    Args:
        what: they are, as errors say it.
        variants: those that are there from the beginning.
    """

    def __init__(self, what: str, *variants: Variant) -> None:
        self.what = what
        self._known = {variant.name: variant for variant in variants}
        self._part: type[Part] | None = None
        self._general: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> Variant:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def keys_of(self, part: type[Part]) -> None:
        """Let a part have the keys of all variants, from now on; once, where it is defined."""
        own = {key for variant in self.values() for key in variant.reads}
        self._part, self._general = part, frozenset(part.model_fields) - own
        FOLLOWERS.append(self._follow)

    def add(self, variant: Variant) -> None:
        """Let specs name one more.

        Raises:
            ValueError: for a name that is taken or is none, a key that is mandatory, or one that
                means something else already.
        """
        if variant.name in self:
            raise ValueError(f"there is {self.what} {variant.name!r} already")
        if not re.fullmatch(NAME_PATTERN, variant.name):
            found = f"{variant.name!r} is no name of lower-case letters, digits and underscores"
            raise ValueError(found)
        for key, field in variant.keys.model_fields.items():
            if field.is_required():
                raise ValueError(f"{key_of(variant.keys, key)} needs a default")
            if key in self._general or (key in self._keys() and not self._same(key, variant.keys)):
                raise ValueError(f"{key_of(variant.keys, key)} means something else already")
        self._known[variant.name] = variant
        keys_changed()

    def remove(self, name: str) -> None:
        """Take one away that was added, as tests do."""
        del self._known[name]
        keys_changed()

    def idle_keys(self, name: str, given: Iterable[str]) -> list[str]:
        """Those of some keys that only other variants than `name` read."""
        return sorted((set(given) - set(self[name].reads)) & set(self._keys()))

    def idle_problems(
        self, name: str, given: Iterable[str], place: KeyPath, said: str
    ) -> Iterator[Problem]:
        """That `idle_keys` are of no use to `name`, which `said` says."""
        expected = one_of(self[name].reads, "and") or "no such key"
        for key in self.idle_keys(name, given):
            yield Problem((*place, key), said, expected)

    def _keys(self) -> dict[str, type[Part]]:
        return {key: variant.keys for variant in self.values() for key in variant.reads}

    def _same(self, key: str, other: type[Part]) -> bool:
        field, there = other.model_fields[key], self._keys()[key].model_fields[key]
        return (field.annotation, field.default) == (there.annotation, there.default)

    def _follow(self) -> None:
        assert self._part is not None
        fields = self._part.__pydantic_fields__
        for name in set(fields) - self._general:
            del fields[name]
        for variant in self.values():
            for key, field in variant.keys.model_fields.items():
                fields.setdefault(key, field)
        self._part.model_rebuild(force=True)
