"""What somebody needs to know to run exported graphs: `export.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unified_vl.codecs.images import PADDING
from unified_vl.codecs.segments import Tag
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.byte_text import FIRST as FIRST_BYTE
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.vocabulary import IMAGE_TAG
from unified_vl.data.templates import make_plan
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.inference.saved_models.model_directory import SavedModel
from unified_vl.kinds.registry import place_kind
from unified_vl.specs.task import TaskSpec, TaskTags
from unified_vl.specs.tasks.template import Slot

DESCRIPTION = "export.json"
PIECES = "pieces.json"
TOKENIZER = "tokenizer"
VERSION = 1


def describe(
    saved: SavedModel, graphs: Sequence[Mapping[str, Any]], checked: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of `export.json`.

    Args:
        saved: the model.
        graphs: what each graph takes and gives.
        checked: how near they are to the model.
    """
    codec, config = saved.codec, saved.model.config
    vocabulary = codec.vocabulary
    tasks, left = _tasks(saved)
    return {
        "format": "unified_vl ONNX export",
        "version": VERSION,
        "graphs": list(graphs),
        "checked": dict(checked),
        "special_ids": SpecialIds.of(config)._asdict(),
        "limits": {"source": codec.max_source, "target": codec.max_target},
        "text": _text(codec),
        "tags": dict(zip(vocabulary.tags, vocabulary.tag_ids, strict=True)),
        "locations": _range(vocabulary.locations),
        "image_codes": _range(vocabulary.image_codes),
        "image": _image(saved),
        "tasks": tasks,
        "tasks_left_out": left,
    }


def _range(ids: range) -> dict[str, int] | None:
    return {"first": ids.start, "count": len(ids)} if ids else None


def _text(codec: SequenceCodec) -> dict[str, Any]:
    text = codec.text
    found: dict[str, Any] = {"file": f"{TOKENIZER}/{text.FILE}", "count": len(text)}
    if isinstance(text, ByteText):
        return found | {"kind": "bytes", "first_byte_id": FIRST_BYTE}
    if not isinstance(text, SentencePieceText):
        return found | {"kind": "tokenizers"}
    return found | {
        "kind": "sentencepiece",
        "pieces": f"{TOKENIZER}/{PIECES}",
        "normalize": None if text.proto.normalizes else "NFC",
    }


def pieces_of(text: SentencePieceText) -> dict[str, Any]:
    """A SentencePiece model for those who cannot read its own format."""
    return {
        "pieces": [name for name, _ in text.scored()],
        "scores": [score for _, score in text.scored()],
        "unknown": text.special_ids["unk_id"],
        "bytes": {str(byte): i for i, byte in text.byte_ids.items()},
        "controls": sorted(text.control_ids),
        "user_defined": sorted(text.proto.user_defined),
        "unigram": text.proto.is_unigram,
        "removes_spaces": text.proto.removes_spaces,
        "has_rules": text.proto.normalizes,
    }


def _image(saved: SavedModel) -> dict[str, Any] | None:
    codec = saved.codec
    if getattr(saved.model, "image_branch", None) is None:
        return None
    return {
        "size": list(codec.image_size),
        "fit": codec.fit,
        "padding": list(PADDING),
        "resample": "bicubic (a = -0.5), antialiased, as PIL's Image.resize",
        "pixels": "uint8 RGB (images, 3, height, width), upright, on white where transparent",
        "places": codec.image_tokens,
        "id": codec.vocabulary.tag_id(IMAGE_TAG),
    }


def _tasks(saved: SavedModel) -> tuple[dict[str, Any], dict[str, str]]:
    """What stands in the sources of each task, and why others are not among them."""
    tags: TaskTags = saved.model.config.task_tags
    found: dict[str, Any] = {}
    left: dict[str, str] = {}
    for name, spec in saved.specs.items():
        reason = _unwritable(spec)
        if reason:
            left[name] = reason
            continue
        how, form = spec.generate, spec.answer_form
        found[name] = {
            "about": spec.about,
            "max_tokens": how.max_tokens,
            "choices": list(spec.choices) or None,
            "numbers_of_a_shape": place_kind(form.shape).count if form.shape else None,
            "source": {
                language: _parts(spec, language, tags, saved.codec)
                for language in spec.data.languages
            },
        }
    return found, left


def _unwritable(spec: TaskSpec) -> str:
    """Why sources of a task cannot be said by a list of texts, ids and fields."""
    example = spec.example
    if example.shots is not None or example.join or example.noise:
        return "its sources have shots, joins or noise"
    if spec.answer_form.image:
        return "it writes images"
    for name in spec.fields_of(spec.source):
        field = spec.fields[name]
        if field.many and name not in example.pick:
            return f"its field {name!r} holds several values"
        if field.in_codes or (field.writing != "text" and field.kind != IMAGE_TAG):
            return f"its field {name!r} is of the kind {field.kind}"
    return ""


def _parts(
    spec: TaskSpec, language: str, tags: TaskTags, codec: SequenceCodec
) -> list[dict[str, Any]]:
    """A source's parts in their order: `text`, `id`, or the `field` that stands there."""
    plan = make_plan(spec, language, tags)
    parts: list[dict[str, Any]] = []
    for piece in plan.source:
        if isinstance(piece, str):
            parts.append({"text": piece})
        elif isinstance(piece, Tag):
            parts.append({"id": codec.vocabulary.tag_id(piece.name), "tag": piece.name})
        elif isinstance(piece, Slot) and piece.name in plan.wordings:
            parts.append({"text": plan.wordings[piece.name][0]})
        else:
            is_image = spec.fields[piece.name].kind == IMAGE_TAG
            parts.append({"field": piece.name, "kind": "image" if is_image else "text"})
    return parts
