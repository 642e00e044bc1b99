"""What is taken out of a text for the model to put back: pure functions of a seed.

Spans of pieces are T5's (arXiv 1910.10683, section 3.1.4), prefixes SimVLM's (arXiv
2108.10904, section 3.1), code-switched words M3P's (arXiv 2006.02635, section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import regex

from unified_vl.codecs.segments import Noised, Pieces, Segment, Tag
from unified_vl.specs.tasks.example import SENTINELS, sentinel_tag

if TYPE_CHECKING:
    from unified_vl.codecs.sequence import SequenceCodec

Span = tuple[int, int]  # first, and one behind the last


@dataclass(frozen=True, slots=True)
class Settled:
    """Both sides of an example, and by field what its source holds of it."""

    source: tuple[Segment, ...]
    target: tuple[Segment, ...]
    kept: dict[str, list[Segment]]


_ALONE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"  # no spaces
_LETTER = rf"(?!{_ALONE})[\p{{L}}\p{{M}}\p{{N}}\u200c\u200d]"
_WORD = regex.compile(rf"{_ALONE}\p{{M}}*|(?:{_LETTER})+(?:['’-](?:{_LETTER})+)*|\S")


def spans_to_take(
    length: int, rate: float, mean_span: float, random: Random, most: int = SENTINELS
) -> list[Span]:
    """Spans of a sequence, none empty, none next to another, in order.

    They hold `round(length * rate)` places, at least one and, of two or more, not all; their
    number is that over `mean_span`, rounded. Unlike T5's, the last need not end the sequence.

    Args:
        length: of the sequence; nothing is taken of none.
        rate: the share to take.
        mean_span: mean length of a span.
        random: decides.
        most: spans at most.
    """
    if length < 2:
        return [(0, 1)][:length]
    taken = min(max(round(length * rate), 1), length - 1)
    left = length - taken
    count = min(max(round(taken / mean_span), 1), taken, left + 1, most)
    sizes = _composition(taken, count, random)
    # the gaps around them: those at the ends may be empty
    gaps = _composition(left + 2, count + 1, random)
    spans = []
    place = -1
    for size, gap in zip(sizes, gaps, strict=False):
        place += gap
        spans.append((place, place + size))
        place += size
    return spans


def _composition(total: int, parts: int, random: Random) -> list[int]:
    """`parts` positive numbers whose sum is `total`, each such list as likely as another."""
    cuts = [0, *sorted(random.sample(range(1, total), parts - 1)), total]
    return [after - before for before, after in pairwise(cuts)]


def settle(source: Sequence[Segment], target: Sequence[Segment], codec: SequenceCodec) -> Settled:
    """Both sides with pieces and sentinels in the place of what is noised in them.

    Sentinels run on over the fields in the order of the source. Texts that do not fit are
    cut before anything is taken out of them, so both sides stay each other's complement.
    """
    noised = [segment for segment in source if isinstance(segment, Noised)]
    longest = max((len(_start(each, codec)) for each in noised), default=1)
    while True:
        parts = _parts(noised, codec, longest)
        kept = {field: left for field, (left, _) in parts.items()}
        taken = {field: right for field, (_, right) in parts.items()}
        both = Settled(_put(source, kept), _put(target, taken), kept)
        excess = max(
            codec.length(both.source) - codec.max_source,
            codec.length(both.target) - codec.max_target,
        )
        if excess <= 0 or longest == 1:
            return both
        longest = max(1, min(longest - 1, longest - excess // len(noised)))


def _start(noised: Noised, codec: SequenceCodec) -> list[int]:
    """The ids of a text; of a very long one at least as many as both sides have room for."""
    return codec.text.encode_start(noised.text, codec.max_source + codec.max_target)


def _put(segments: Sequence[Segment], parts: dict[str, list[Segment]]) -> tuple[Segment, ...]:
    found: list[Segment] = []
    for segment in segments:
        found += parts[segment.field] if isinstance(segment, Noised) else [segment]
    return tuple(found)


def _parts(
    noised: Sequence[Noised], codec: SequenceCodec, longest: int
) -> dict[str, tuple[list[Segment], list[Segment]]]:
    """Of each field what is left and what is taken out, of its first `longest` pieces."""
    parts: dict[str, tuple[list[Segment], list[Segment]]] = {}
    used = 0
    for each in noised:
        ids = _start(each, codec)
        cut = len(ids) > longest
        if cut:
            ids = ids[: codec.text.whole(ids, longest)]
        random = Random(each.seed)
        if each.kind == "prefix_lm":
            place = random.randrange(1, len(ids)) if len(ids) > 1 else 0
            kept: list[Segment] = [Pieces(tuple(ids[:place]), cut)] if place else []
            parts[each.field] = kept, [Pieces(tuple(ids[place:]), cut)] if ids else []
            continue
        spans = spans_to_take(len(ids), each.rate, each.mean_span, random, SENTINELS // len(noised))
        parts[each.field] = _apart(ids, spans, used, cut)
        used += len(spans)
    return parts


def _apart(
    ids: Sequence[int], spans: Sequence[Span], first: int, cut: bool
) -> tuple[list[Segment], list[Segment]]:
    """What is left with sentinels in the place of spans, and the spans behind theirs."""
    kept: list[Segment] = []
    taken: list[Segment] = []
    place = 0
    for number, (start, end) in enumerate(spans, first):
        sentinel = Tag(sentinel_tag(number))
        if start > place:
            kept.append(Pieces(tuple(ids[place:start]), cut))
        kept.append(sentinel)
        taken += [sentinel, Pieces(tuple(ids[start:end]), cut)]
        place = end
    if place < len(ids):
        kept.append(Pieces(tuple(ids[place:]), cut))
    return kept, taken


SMALLEST_BLOCK = 1 / 16  # of the image; BEiT's is 16 of 196 patches
FLATTEST = 0.3


def blocks_to_mask(rows: int, columns: int, rate: float, random: Random) -> frozenset[int]:
    """Places of a grid, row by row, that rectangles cover: as many as `rate` says.

    Blockwise masking of BEiT (arXiv 2106.08254, algorithm 1): blocks of random size and
    aspect are laid until enough is covered; of the last only what is still missing counts.
    At least one place is masked and, of two or more, not all.
    """
    places = rows * columns
    wanted = min(max(round(places * rate), 1), max(places - 1, 1))
    masked: dict[int, None] = {}
    while len(masked) < wanted:
        smallest = max(places * SMALLEST_BLOCK, 1.0)
        area = random.uniform(smallest, max(wanted - len(masked), smallest))
        aspect = math.exp(random.uniform(math.log(FLATTEST), -math.log(FLATTEST)))
        height = min(max(round(math.sqrt(area * aspect)), 1), rows)
        width = min(max(round(math.sqrt(area / aspect)), 1), columns)
        top, left = random.randint(0, rows - height), random.randint(0, columns - width)
        for row in range(top, top + height):
            masked |= dict.fromkeys(row * columns + column for column in range(left, left + width))
    return frozenset(list(masked)[:wanted])


def words(text: str) -> list[Span]:
    """Where the words of a text are: letters and digits; of scripts without spaces, one each.

    A mark that is neither is a word too where the text has no other.
    """
    found = [match.span() for match in _WORD.finditer(text)]
    named = [(start, end) for start, end in found if regex.search(r"[\p{L}\p{N}]", text[start:end])]
    return named or found


def mask_words(text: str, rate: float, random: Random) -> list[str | None]:
    """The text in pieces, None in the place of each masked word.

    `round(words * rate)` of them are, at least one.
    """
    places = words(text)
    count = min(max(round(len(places) * rate), 1), len(places))
    pieces: list[str | None] = []
    place = 0
    for start, end in sorted(random.sample(places, count)):
        pieces += [text[place:start], None]
        place = end
    pieces.append(text[place:])
    return [piece for piece in pieces if piece != ""]


def switch_words(
    text: str, translations: Callable[[str], Sequence[Sequence[str]]], rate: float, random: Random
) -> str:
    """The text with some words in other languages.

    Args:
        text: what is changed.
        translations: of a word, the translations in each language that has any.
        rate: `round(words * rate)` of the words that have any are replaced, at least one.
        random: decides which, by which language and by which of its translations.
    """
    known = [(place, translations(text[slice(*place)])) for place in words(text)]
    known = [(place, several) for place, several in known if several]
    if not known:
        return text
    count = min(max(round(len(known) * rate), 1), len(known))
    switched, behind = "", 0
    for number in sorted(random.sample(range(len(known)), count)):
        (start, end), languages = known[number]
        switched += text[behind:start] + random.choice(random.choice(languages))
        behind = end
    return switched + text[behind:]
