"""Moments of videos: read from rows, written in two location tokens, and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.shapes import ShapeCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.values import ValueReader
from unified_vl.decoding.grammars.values import ShapeGrammar
from unified_vl.errors import BadRow
from unified_vl.geometry import Moment
from unified_vl.inference.prediction import Prediction
from unified_vl.kinds.fitted import onto_image, onto_network
from unified_vl.kinds.hooks.fits import Content
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.places.moments import best_overlap, temporal_iou
from unified_vl.metrics.registry import METRICS
from unified_vl.specs.task import TaskSpec, load_task

WHEN = """
task: find_it
version: 1
about: Say when it happens.
data: {{reader: jsonl, path: "{{split}}.jsonl", splits: {{test: test}}, languages: [en]}}
fields:
  clip: {{kind: video, column: clip, frames: 4}}
  phrase: {{kind: text, column: phrase}}
  when: {{kind: moment, {keys}}}
example: {{source: "{{clip}} {{phrase}}", target: "{{when}}"}}
generate: {{method: greedy, allow: moment, max_tokens: 3}}
score:
  - {{metric: moment_accuracy, against: when, iou: 0.7, primary: true}}
  - {{metric: moment_iou, against: when}}
"""
SECONDS = "column: when, duration: length"
MANY = "column: when, duration: length, many: true, empty: true"
PARTS = "column: when"
COLUMNS = "columns: [from, to], duration: length"


def spec_of(folder: Path, keys: str) -> TaskSpec:
    text = WHEN.format(keys=keys)
    if "many" in keys:
        text = text.replace("moment, max_tokens: 3", "moment, max_tokens: 9")
    (folder / "find.yaml").write_text(text)
    return load_task(folder / "find.yaml")


def read(folder: Path, keys: str, **columns: Any) -> Any:
    spec = spec_of(folder, keys)
    reader = ValueReader(spec, ImageLoader(folder, (8, 8)))
    row = Row(columns, "rows.jsonl", 0, "en")
    values, _ = reader.read(row, ["when"], {"when": spec.fields["when"].column}, "en")
    return values["when"]


@pytest.mark.parametrize(
    ("keys", "columns", "expected"),
    [
        (SECONDS, {"when": [3.0, 6], "length": 12}, [(0.25, 0.5)]),
        (SECONDS, {"when": "[3, 6]", "length": "12"}, [(0.25, 0.5)]),  # as CSV has it
        (SECONDS, {"when": [6, 12.1], "length": 12}, [(0.5, 1.0)]),
        (MANY, {"when": [[0, 3], [6, 12]], "length": 12}, [(0, 0.25), (0.5, 1)]),
        (MANY, {"when": [], "length": 12}, []),
        (PARTS, {"when": [0.1, 0.2]}, [(0.1, 0.2)]),
        (COLUMNS, {"from, to": [1, 2], "length": 4}, [(0.25, 0.5)]),
    ],
)
def test_moments_are_fractions_of_the_video(
    keys: str, columns: dict[str, Any], expected: list[Any], tmp_path: Path
) -> None:
    assert [each.coordinates for each in read(tmp_path, keys, **columns)] == expected


@pytest.mark.parametrize(
    ("keys", "columns", "message"),
    [
        (SECONDS, {"when": [6, 3], "length": 12}, "from 0 to 12, its length"),
        (SECONDS, {"when": [6, 6], "length": 12}, "start below end"),
        (SECONDS, {"when": [-1, 6], "length": 12}, "from 0 to 12"),
        (SECONDS, {"when": [6, 13], "length": 12}, "from 0 to 12"),
        (SECONDS, {"when": [6, 7, 8], "length": 12}, "the start and the end of a moment"),
        (SECONDS, {"when": "soon", "length": 12}, "the start and the end of a moment"),
        (SECONDS, {"when": [3, 6], "length": 0}, "the length of the video"),
        (SECONDS, {"when": [3, 6]}, "found None in 'length'"),
        (PARTS, {"when": [3, 6]}, "from 0 to 1, the end"),
    ],
)
def test_what_is_no_moment_is_said(
    keys: str, columns: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadRow, match=message) as error:
        read(tmp_path, keys, **columns)
    assert "rows.jsonl:1: when: " in str(error.value)


@given(st.floats(0, 0.999), st.floats(0.0011, 1))
def test_tokens_are_as_exact_as_their_bins(start: float, length: float) -> None:
    moment = Moment(start, min(start + length, 1.0))
    codec = ShapeCodec(Vocabulary(100, ("image",), 1000))
    back = codec.decode(codec.encode(moment), "moment")
    assert back.coordinates == pytest.approx(moment.coordinates, abs=0.0005 + 1e-9)


def test_the_grammar_writes_an_end_behind_its_start() -> None:
    vocabulary = Vocabulary(10, ("image",), 20)
    grammar = ShapeGrammar(vocabulary, "moment", torch.device("cpu"))
    state, scores = grammar.start(1), torch.zeros(1, vocabulary.size)
    written = []
    for step, wanted in enumerate((7, 8, None)):
        allowed = grammar.allowed(scores, state, step).scores_RC[0].isfinite().nonzero().flatten()
        written.append([i - vocabulary.locations.start for i in allowed.tolist()])
        if wanted is not None:
            place = torch.tensor([vocabulary.locations[wanted]])
            state = grammar.advance(state, place, step)
    assert written[0] == list(range(19))  # the last has none behind it
    assert written[1] == list(range(8, 20))
    assert written[2] == [vocabulary.eos_id - vocabulary.locations.start]


def test_padding_of_an_image_moves_no_time() -> None:
    content = Content(0.25, 0.0, 0.5, 1.0)
    assert onto_network(Moment(0.1, 0.9), content) == Moment(0.1, 0.9)
    assert onto_image(Moment(0.1, 0.9), content) == Moment(0.1, 0.9)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0.0, 0.5), (0.0, 0.5), 1.0),
        ((0.0, 0.5), (0.25, 1.0), 0.25),
        ((0.0, 0.4), (0.5, 1.0), 0.0),
        ((0.2, 0.4), (0.0, 1.0), 0.2),
    ],
)
def test_temporal_iou(a: tuple[float, float], b: tuple[float, float], expected: float) -> None:
    assert temporal_iou(Moment(*a), Moment(*b)) == pytest.approx(expected)
    assert best_overlap(Moment(*a), [Moment(0.99, 1.0), Moment(*b)]) == pytest.approx(expected)


def test_recall_counts_answers_above_the_threshold() -> None:
    right = Moment(0.0, 0.5)
    predictions = [right, Moment(0.0, 0.8), Moment(0.6, 1.0), None]
    answers = Answers(predictions, [[right]] * 4, ["en"] * 4, threshold=0.6)
    assert METRICS["moment_accuracy"].rows(answers)[:, 0].tolist() == [1, 1, 0, 0]
    assert METRICS["moment_iou"].rows(answers)[:, 0].tolist() == [1, 0.625, 0, 0]
    assert METRICS["moment_iou"].answer(Prediction("k", "", -1.0, segments=(right,))) == right
