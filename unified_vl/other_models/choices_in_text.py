"""Which of a task's closed answers a free text means."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import regex

_AROUND = " \t\r\n.,:;!?。．！？、،؛؟।\"'`*()[]{}“”‘’«»„"
_NO_SPACES = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


class ChoiceFinder:
    """Finds choices in answers.

    An answer is a choice when it is that choice but for case, Unicode's forms and the marks around
    it; else when one choice alone stands in it as words of its own, or begins it. A single letter
    counts within a text only where a mark or the end is behind it ("The answer is B."), because
    "A dog" is no letter. Where choices are alike but for case, only the exact spelling is one.

    Args:
        choices: the closed answers.
    """

    def __init__(self, choices: Sequence[str]) -> None:
        self._exact = {_plain(choice): choice for choice in choices}
        folded: dict[str, list[str]] = {}
        for choice in choices:
            folded.setdefault(_folded(choice), []).append(choice)
        self._folded = {name: several[0] for name, several in folded.items() if len(several) == 1}
        longest = sorted(filter(None, {_plain(c) for c in choices}), key=len, reverse=True)
        words = "|".join(map(_pattern, longest))
        self._within = regex.compile(words, regex.IGNORECASE) if words else None

    def __call__(self, text: str) -> str | None:
        """The choice that a text means; None where it means none, or several."""
        plain = _plain(text)
        found = self._exact.get(plain) or self._folded.get(_folded(plain))
        if found is not None or self._within is None:
            return found
        named = [(match.start(), self._of(match[0])) for match in self._within.finditer(plain)]
        known = [(start, choice) for start, choice in named if choice is not None]
        if len({choice for _, choice in known}) == 1 or (known and known[0][0] == 0):
            return known[0][1]
        return None

    def _of(self, written: str) -> str | None:
        if len(written) == 1 and written.isalpha() and not regex.match(_NO_SPACES, written):
            return self._exact.get(written)  # a letter as it is
        return self._exact.get(written) or self._folded.get(_folded(written))


def _pattern(choice: str) -> str:
    """A choice as words of its own; scripts without spaces have no ends of words."""
    before = "" if regex.match(_NO_SPACES, choice[0]) else r"(?<![\w])"
    behind = "" if regex.match(_NO_SPACES, choice[-1]) else r"(?![\w])"
    if len(choice) == 1 and choice.isalpha() and before:
        behind = r"(?=[.):,;\]*\"'’]|\s*$)"
    return before + regex.escape(choice, literal_spaces=True) + behind


def _plain(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    return " ".join(normal.strip(_AROUND).split()) or " ".join(normal.split())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", _plain(text).casefold())
