"""A question asked on the page, and its answer as HTML and a picture."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from PIL import Image as PILImage

from unified_vl.app.inputs import Input, read_values
from unified_vl.authoring.show import pieces_text, segment_text
from unified_vl.codecs.segments import Image, Segment
from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.evaluation.languages import language_of
from unified_vl.inference.inputs import input_row
from unified_vl.inference.pictures import side_by_side
from unified_vl.inference.prediction import Alternative, Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.kinds.registry import KINDS
from unified_vl.serving.wire.pictures import drawn, enlarged
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from jinja2 import Template

MOST_ANSWERS = 10
MILLISECONDS = 400  # that the page shows a frame for


Ask = Callable[[TaskSpec, Example, int], Prediction]  # of a task, and how many answers


@dataclass(frozen=True)
class Answer:
    """What the page shows.

    Attributes:
        html: text, ranking, source and target; or one message.
        picture: the image with them drawn, where the task has boxes or other shapes; or the
            pictures that the task writes, the best first.
    """

    html: str
    picture: PILImage.Image | None = None


def answer(
    predictor: UnifiedVL,
    task: str,
    language: str | None,
    given: Mapping[Input, Any],
    count: int,
    ask: Ask | None = None,
) -> Answer:
    """Ask the model; what is wrong with the input becomes a message.

    Args:
        predictor: the model.
        task: name of one of its tasks (a name only: the page opens no spec file).
        language: of the answer.
        given: what was filled in, of this task and perhaps of others.
        count: how many answers to rank; a task that ranks its choices shows several anyway.
        ask: gives the answer; None asks the model in this thread.
    """
    try:
        if task not in predictor.specs:
            raise UserError(
                "the model has no such task", field="task", expected="one of the reloaded page's"
            )
        spec = predictor.specs[task]
        count = max(1, min(int(count), MOST_ANSWERS))
        if spec.generate.method == "score_choices":
            count = MOST_ANSWERS
        values = read_values(spec, given)
        row = input_row(spec, values, language)
        example = predictor.builder(spec, root=None).build(row, seed=None, with_target=False)
        if ask is None:
            found = next(predictor.predict_examples(spec, [example], n=count))
        else:
            found = ask(spec, example, count)
    except UserError as error:
        error.file = error.line = None  # the row of the page is no file of anybody's
        return Answer(_template().render(error=str(error)))
    picture = values.get(spec.image_field) if spec.image_field is not None else None
    if isinstance(picture, list):
        picture = picture[0]
    html = _html(predictor, spec, example, found)
    if found.images:
        several = found.alternatives or (found,)
        return Answer(html, enlarged(side_by_side([one.images[0] for one in several])))
    if picture is None or not found.shapes:
        return Answer(html)
    return Answer(html, drawn(picture, found))


def _html(
    predictor: UnifiedVL,
    spec: TaskSpec,
    example: Example,
    found: Prediction,
) -> str:
    codec = predictor.codec
    ranking = found.alternatives or ()
    return _template().render(
        text=found.text,
        film=film_of(example),
        shapes=_shapes(found),
        confidence=_confidence(found.score),
        language=language_of(example.language),
        ranking=[
            {
                "text": one.text,
                "shapes": _shapes(one),
                "score": one.score,
                "confidence": _confidence(one.score),
            }
            for one in ranking
        ],
        ranks_choices=spec.generate.method == "score_choices",
        choices=len(spec.choices),
        source=_pieces(example.in_image(example.source), example.image_size),
        target=_pieces(found.segments, example.image_size),
        tokens=pieces_text(codec.encode_source(example.source).ids, codec),
    )


def film_of(example: Example) -> str | None:
    """The frames of a video that the model read, as the data URL of an animated WebP."""
    parts = [part for part in example.source if isinstance(part, Image) and part.frame is not None]
    if not parts:
        return None
    first, *rest = (PILImage.fromarray(part.image.pixels_HWC) for part in parts)
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=MILLISECONDS)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _shapes(found: Prediction | Alternative) -> list[str]:
    """What each shape is, and its numbers in pixels."""
    said = [(kind, *one) for kind in KINDS.values() for one in kind.said(found.shapes)]
    return [
        f"{label or kind.name}: " + ", ".join(f"{v:.1f}" for v in numbers)
        for kind, label, numbers in said
    ]


def _pieces(segments: Sequence[Segment], size: tuple[int, int] | None) -> list[tuple[str, str]]:
    """Each segment's kind and what it holds."""
    return [(type(one).__name__.lower(), segment_text(one, size)) for one in segments]


def _confidence(score: float | None) -> float:
    """0 to 100: the geometric mean of the tokens' probabilities."""
    return 100 * math.exp(score or 0.0)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("unified_vl.app", ""),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("answer.html.jinja")
