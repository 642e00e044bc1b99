"""What the rows of an embedding stand for, so that one vocabulary finds them in another."""

from __future__ import annotations

from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary, in_one_form

PIECE, BYTE, SPECIAL, TAG = "piece:", "byte:", "special:", "tag:"
LOCATION, CODE, UNUSED = "location:", "code:", "unused:"


def row_names(vocabulary: Vocabulary, text: TextCodec) -> list[str | None]:
    """The name of every id.

    `piece:▁the`, `byte:0A`, `special:pad`, `tag:language:de`, `location:17/1000` (of so many
    bins), `code:3@FINGERPRINT` (of an image tokenizer), `unused:0` (of the rows that make the
    embedding's size a round one).

    """
    names: list[str | None] = [None] * vocabulary.size
    bytes_of = text.byte_ids
    for i, piece in zip(vocabulary.text_ids, text.pieces(vocabulary.text_ids), strict=True):
        names[i] = f"{BYTE}{bytes_of[i]:02X}" if i in bytes_of else PIECE + piece
    for role, i in (
        ("pad", vocabulary.pad_id),
        ("eos", vocabulary.eos_id),
        ("unk", vocabulary.unk_id),
    ):
        names[i] = SPECIAL + role
    for i, tag in zip(vocabulary.tag_ids, vocabulary.tags, strict=True):
        names[i] = TAG + in_one_form(tag)
    bins = vocabulary.location_bins
    for place, i in enumerate(vocabulary.locations):
        names[i] = f"{LOCATION}{place}/{bins}"
    for code, i in enumerate(vocabulary.image_codes):
        names[i] = f"{CODE}{code}@{vocabulary.image_tokenizer}"
    unused = (i for i, name in enumerate(names) if name is None)
    for place, i in enumerate(unused):
        names[i] = f"{UNUSED}{place}"
    return names
