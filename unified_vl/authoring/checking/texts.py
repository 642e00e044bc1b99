"""What a tokenizer makes of a split's texts: whether they come back, and whether they fit."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from unified_vl.authoring.checking.findings import Findings, share
from unified_vl.codecs.segments import Text
from unified_vl.codecs.sequence import Encoded, SequenceCodec
from unified_vl.codecs.texts.text_codec import LONG_TEXT
from unified_vl.codecs.texts.training_text import RESERVED
from unified_vl.data.example import Example
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.task import TaskSpec

Side = Literal["source", "target"]
CHARACTERS_SHOWN = 8
OTHER_TOKENIZER = "a tokenizer that learnt such texts (unified-vl tokenizer train --spec SPEC)"
HELD_OUT_TEXTS = (  # a tokenizer learns from the texts of train splits alone
    "none where they are rare; else a tokenizer that learnt other texts that hold them too "
    "(unified-vl tokenizer train --spec SPEC --input TEXTS)"
)
NO_TOKENIZER = "none: SentencePiece reserves the character, and bytes bring it back whole"
NORMALIZED = "none: it is normalised so, as what its checkpoint was trained on"
LIMITS = {
    "source": "max_source_tokens: {} in the run file (--max-source here)",
    "target": "max_target_tokens: {} in the run file (--max-target here)",
}


@dataclass(slots=True)
class _Long:
    """The examples that need more tokens than there may be."""

    count: int = 0
    longest: int = 0
    first: str = ""

    def add(self, length: int, where: str) -> None:
        self.first = self.first or where
        self.count += 1
        self.longest = max(self.longest, length)


class TextChecks:
    """Takes in the examples of one split, and says at its end what was found.

    Args:
        spec: the task.
        codec: the tokenizer and the limits.
    """

    def __init__(self, spec: TaskSpec, codec: SequenceCodec) -> None:
        self.spec = spec
        self.codec = codec
        self._examples = 0
        self._cut: dict[Side, _Long] = {"source": _Long(), "target": _Long()}
        self._long_answers = _Long()
        self._unlearnt: Counter[str] = Counter()
        self._rows_unlearnt = _Long()
        self._known: set[str] = set()  # texts that come back, checked once

    def add(self, example: Example, findings: Findings) -> None:
        """Check an example.

        Raises:
            BadRow: when its tokens do not fit even without its text, or a tag is unknown.
        """
        self._examples += 1
        shots = self.spec.example.shots
        if shots is not None and example.shots < shots.count:
            message = f"{example.shots} of {shots.count} shots fit into the source"
            error = UserError(message, file=example.where, field="source")
            findings.add(error, "warning", remedy=LIMITS["source"].format("more"))
        texts = [text[:LONG_TEXT] for text in _texts(example)]
        for text in texts:
            self._check_round_trip(text, example, findings)
        self._check_characters(texts, example.where)
        try:
            source = self.codec.encode_source(example.source)
            target = self.codec.encode_target(example.target)
        except UserError as error:
            raise BadRow(
                error.message, file=example.where, expected=error.expected, nearest=error.nearest
            ) from error
        for side, encoded in (("source", source), ("target", target)):
            if encoded.truncated:
                self._cut[side].add(length_of(encoded), example.where)  # type: ignore[index]
        if length_of(target) > self.spec.generate.max_tokens:
            self._long_answers.add(length_of(target), example.where)

    def _check_round_trip(self, text: str, example: Example, findings: Findings) -> None:
        if text in self._known:
            return
        self._known.add(text)
        codec = self.codec.text
        back, read = codec.decode(codec.encode(text)), codec.normalized(text)
        if back != read:
            error = UserError(f"the tokenizer makes {back!r} of {text!r}", file=example.where)
            findings.add(error, "warning", remedy=OTHER_TOKENIZER)
        elif read not in (text, unicodedata.normalize("NFC", text)):
            error = UserError(f"the tokenizer reads {text!r} as {read!r}", file=example.where)
            findings.add(error, "warning", remedy=NORMALIZED)

    def _check_characters(self, texts: Iterable[str], where: str) -> None:
        codec = self.codec.text
        found = False
        for text in texts:
            if codec.unlearnt_ids.isdisjoint(codec.encode(text)):
                continue
            for character in set(unicodedata.normalize("NFC", text)):
                if not codec.unlearnt_ids.isdisjoint(codec.encode(character)):
                    self._unlearnt[character] += 1
                    found = True
        if found:
            self._rows_unlearnt.add(1, where)

    def report(self, split: str, findings: Findings) -> None:
        """Add what was found in all examples together, each thing as one line with its rate."""
        for side, cut in self._cut.items():
            if cut.count:
                limit = self.codec.max_source if side == "source" else self.codec.max_target
                rows = share(cut.count, self._examples)
                # of text under noise it is not known how much there was
                known = cut.longest > limit
                longest = f"; the longest has {cut.longest}" if known else ""
                message = f"the {side} of {rows} is cut to {limit} tokens{longest}"
                error = UserError(message, file=cut.first, field=side)
                more = str(cut.longest) if known else f"more than {limit}"
                self._add(error, cut.count, findings, LIMITS[side].format(more))
        if self._long_answers.count:
            long = self._long_answers
            error = self.spec.error(
                ("generate", "max_tokens"),
                f"the target of {share(long.count, self._examples)} of {split} needs more: "
                f"{long.longest} tokens for the longest (first: {long.first})",
            )
            remedy = f"max_tokens: {long.longest}"
            self._add(error, long.count, findings, remedy)
        if self._unlearnt:
            shown = ", ".join(map(_named, list(self._unlearnt)[:CHARACTERS_SHOWN]))
            rest = len(self._unlearnt) - CHARACTERS_SHOWN
            more = f" and {rest} others" if rest > 0 else ""
            count = self._rows_unlearnt.count
            by_bytes = bool(self.codec.text.fragments)
            written = "and writes byte by byte" if by_bytes else "and cannot write at all"
            message = (
                f"{share(count, self._examples)} hold characters that the tokenizer does not know "
                f"{written}: {shown}{more}"
            )
            error = UserError(message, file=self._rows_unlearnt.first)
            self._add(error, count, findings, self._remedy_unlearnt(split))

    def _remedy_unlearnt(self, split: str) -> str:
        if set(self._unlearnt) == {RESERVED}:
            return NO_TOKENIZER
        return OTHER_TOKENIZER if split == "train" else HELD_OUT_TEXTS

    def _add(self, error: UserError, count: int, findings: Findings, remedy: str) -> None:
        findings.add(error, "warning", remedy=remedy, rate=count / self._examples)


def length_of(encoded: Encoded) -> int:
    """How many tokens there would be without a limit."""
    return len(encoded.ids) + sum(map(len, encoded.cut))


def _texts(example: Example) -> Iterator[str]:
    """The texts of an example: what is read, what is written, and every right answer."""
    for segment in (*example.source, *example.target):
        if isinstance(segment, Text):
            yield segment.text
    for values in example.references.values():
        yield from (value for value in values if isinstance(value, str))


def _named(character: str) -> str:
    """`'ß' (U+00DF LATIN SMALL LETTER SHARP S)`."""
    name = unicodedata.name(character, "")
    return f"{character!r} (U+{ord(character):04X}{' ' if name else ''}{name})"
