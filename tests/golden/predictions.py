"""The answers of a small model: every kind of task, every search, every grammar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.golden.small_model import LANGUAGES, small_model
from unified_vl import Retriever, UnifiedVL
from unified_vl.inference.inputs import source_fields
from unified_vl.inference.prediction import Alternative, Prediction
from unified_vl.specs.load import load_task
from unified_vl.specs.reading.overrides import with_generate
from unified_vl.specs.task import TaskSpec

TASKS = Path(__file__).parent / "tasks"
TEXTS = ("a red cat", "eine rote Katze", "گربه", "猫和一只狗")
SEARCHES: dict[str, dict[str, Any]] = {  # for every task that writes text
    "greedy": {},
    "beam": {"method": "beam", "beams": 4},
    "beam_long": {"method": "beam", "beams": 3, "length_penalty": 2.0},
    "beam_prefix": {"method": "beam", "beams": 3, "prefix": "a cat"},
    "sample": {"method": "sample", "seed": 7},
    "sample_top_k": {"method": "sample", "seed": 7, "temperature": 0.7, "top_k": 5},
    "sample_top_p": {"method": "sample", "seed": 7, "temperature": 1.5, "top_p": 0.8},
    "sample_best_of": {"method": "sample", "seed": 7, "best_of": 4},
    "prefix": {"prefix": "a cat"},
    "rules": {"min_tokens": 5, "no_repeat_ngram": 2, "repetition_penalty": 1.3},
    "bad_words": {"bad_words": ["cat", "rote"]},
    "beam_rules": {"method": "beam", "beams": 3, "min_tokens": 4, "no_repeat_ngram": 1},
    "language": {"language": "enforce"},
    "beam_language": {"method": "beam", "beams": 3, "language": "enforce"},
    "sample_language": {"method": "sample", "seed": 7, "language": "enforce"},
}
# Of tasks with another grammar, and with choices.
SHAPED = ("greedy", "beam", "sample", "sample_best_of")
CLOSED: dict[str, dict[str, Any]] = {
    "constrained": {},
    "constrained_beam": {"beams": 3},
    "constrained_language": {"language": "enforce"},
    "score_tokens": {"method": "score_choices"},
    "score_none": {"method": "score_choices", "normalize": "none"},
    "score_language": {"method": "score_choices", "language": "enforce"},
}
DRAWN: dict[str, dict[str, Any]] = {
    "guided": {"guidance": 2.5},
    "guided_sample": {"method": "sample", "seed": 7, "guidance": 2.5, "best_of": 3},
    "reranked": {
        "method": "sample",
        "seed": 7,
        "best_of": 4,
        "rerank": {"task": "caption", "field": "text"},
    },
}
FREE = ("caption", "translate")
CHOOSING = ("match", "classify")
PAINTING = ("draw",)


def prediction_record(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Of each task its answers, one row for each search and input."""
    torch.set_num_threads(1)
    specs = [load_task(path) for path in sorted(TASKS.glob("*.yaml"))]
    model = UnifiedVL(small_model(specs, folder))
    pictures = [_picture(number) for number in range(len(LANGUAGES))]
    found = {spec.task: list(_of_task(model, spec, pictures)) for spec in specs}
    return found | _retrieved(model, folder, pictures)


def _searches(spec: TaskSpec) -> Mapping[str, dict[str, Any]]:
    if spec.task in CHOOSING:
        return CLOSED
    own = SEARCHES if spec.task in FREE else {name: SEARCHES[name] for name in SHAPED}
    return {**own, **(DRAWN if spec.task in PAINTING else {})}


def _of_task(
    model: UnifiedVL, spec: TaskSpec, pictures: list[Image.Image]
) -> Iterable[dict[str, Any]]:
    several = len(spec.data.languages) > 1
    inputs: dict[str, Any] = {"language": list(LANGUAGES)} if several else {}
    for name in source_fields(spec):
        is_picture = spec.fields[name].kind in ("image", "image_codes")
        inputs[name] = pictures if is_picture else list(TEXTS)
    for search, given in _searches(spec).items():
        changed = with_generate(spec, given) if given else spec
        for n in (1, 3) if _has_several(search) else (1,):
            for number, answer in enumerate(model.predict(changed, n=n, **inputs)):
                yield {"search": search, "n": n, "input": number, **_answer(answer)}


def _has_several(search: str) -> bool:
    return search in ("greedy", "sample", "beam", "score_tokens", "constrained")


def _answer(answer: Prediction | Alternative) -> dict[str, Any]:
    """What an answer says, without what is empty."""
    row: dict[str, Any] = {"text": answer.text, "score": answer.score, "boxes": answer.boxes}
    row |= dict(answer.shapes)
    row["codes"] = [list(s.codes) for s in answer.segments if hasattr(s, "codes")]
    row["cut"] = answer.cut
    if isinstance(answer, Prediction):
        row["others"] = [_answer(other) for other in (answer.alternatives or ())[1:]]
    return {key: value for key, value in row.items() if value not in (None, [], False)}


def _retrieved(
    model: UnifiedVL, folder: Path, pictures: list[Image.Image]
) -> dict[str, list[dict[str, Any]]]:
    """Images found by text, by what a caption's and by what a matching task says; and texts by
    an image."""
    images, texts = folder / "images", folder / "texts.jsonl"
    images.mkdir()
    for number, picture in enumerate([*pictures, *map(_picture, range(4, 8))]):
        picture.save(images / f"{number}.png")
    rows = zip(TEXTS, LANGUAGES, strict=True)
    lines = [f'{{"text": "{text}", "language": "{tag}"}}\n' for text, tag in rows]
    texts.write_text("".join(lines), encoding="utf-8")
    found = {}
    for task in ("caption", "match"):
        retriever = Retriever.build(model, images, task=task)
        hits = [retriever.search(text, tag) for text, tag in zip(TEXTS, LANGUAGES, strict=True)]
        found[f"images by text, {task}"] = [_hit(hit) for several in hits for hit in several]
        retriever = Retriever.build(model, texts, task=task)
        hits = [retriever.search(image=picture) for picture in pictures]
        found[f"texts by image, {task}"] = [_hit(hit) for several in hits for hit in several]
    return found


def _hit(hit: Any) -> dict[str, Any]:
    row = hit.as_row()
    return {key: row[key] for key in ("key", "score", "similarity", "log_probability")}


def _picture(number: int) -> Image.Image:
    random = np.random.Generator(np.random.Philox(key=number))
    small = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return small.resize((40, 20), Image.Resampling.NEAREST)
