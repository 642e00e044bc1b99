"""unified_vl/inference/decoding.py: against transformers, and against the model itself."""

from __future__ import annotations

import pytest
import torch
from transformers import LogitsProcessorList

from unified_vl.codecs.images import resize
from unified_vl.codecs.segments import Image, Tag, Text
from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID
from unified_vl.data.batching import Batch, collate
from unified_vl.data.examples import Example
from unified_vl.inference.constraints import GrammarProcessor, grammar_of
from unified_vl.inference.decoding import generate
from unified_vl.specs.task import GenerateSpec

TEXTS = ("a", "a red cat", "yes", "eine rote Katze und ein Hund", "گربه قرمز")
SPECS = [
    GenerateSpec(method="greedy", max_tokens=9),
    GenerateSpec(method="greedy", max_tokens=6, allow="box"),
    GenerateSpec(method="beam", beams=3, max_tokens=7),
    GenerateSpec(method="beam", beams=4, max_tokens=6, allow="box"),
]
GREEDY = SPECS[:2]


@pytest.fixture(params=["text", "images"])
def batch(request: pytest.FixtureRequest, tiny, picture) -> Batch:
    return collate(examples(tiny, picture if request.param == "images" else None), tiny.saved.codec)


def examples(tiny, picture=None) -> list[Example]:
    rows = []
    for number, text in enumerate(TEXTS):
        source = (Tag("task:tiny_copy"), Text(text))
        if picture:
            source = (Image(resize(picture(number), (16, 16))), *source)
        rows.append(Example("t", "en", str(number), source, (), {}, {}, "file:1", None))
    return rows


def teacher_forced(tiny, batch: Batch, ids: list[list[int]]) -> list[float]:
    """Mean log-probability of each row's ids, all steps at once."""
    width = max(map(len, ids))
    labels_BT = torch.tensor([row + [-100] * (width - len(row)) for row in ids])
    with torch.inference_mode():
        logits_BTV = tiny.saved.model(**batch.model_inputs(), labels=labels_BT).logits
    means = []
    for logits_TV, row in zip(logits_BTV.log_softmax(-1), ids, strict=True):
        means.append(logits_TV[range(len(row)), row].mean().item())
    return means


@pytest.mark.parametrize("how", GREEDY, ids=lambda how: how.allow)
def test_greedy_writes_what_transformers_writes(tiny, batch: Batch, how: GenerateSpec) -> None:
    codec = tiny.saved.codec
    found = generate(tiny.saved.model, batch, how, codec)
    grammar = grammar_of(how.allow, how.max_tokens, codec.vocabulary, torch.device("cpu"))
    theirs = tiny.saved.model.generate(
        **batch.model_inputs(),
        do_sample=False,
        max_new_tokens=how.max_tokens,
        logits_processor=LogitsProcessorList([GrammarProcessor(grammar)]),
    )
    assert found.ids == [[i for i in row if i != PAD_ID] for row in theirs[:, 1:].tolist()]


@pytest.mark.parametrize("how", SPECS, ids=lambda how: f"{how.method}-{how.allow}")
def test_a_score_is_the_mean_log_probability_under_the_model(
    tiny, batch: Batch, how: GenerateSpec
) -> None:
    found = generate(tiny.saved.model, batch, how, tiny.saved.codec)
    assert found.scores == pytest.approx(teacher_forced(tiny, batch, found.ids), abs=1e-4)


@pytest.mark.parametrize("how", SPECS, ids=lambda how: f"{how.method}-{how.allow}")
def test_a_row_is_answered_as_if_it_were_alone(tiny, picture, how: GenerateSpec) -> None:
    codec, rows = tiny.saved.codec, examples(tiny, picture)
    together = generate(tiny.saved.model, collate(rows, codec), how, codec)
    for number, row in enumerate(rows):
        alone = generate(tiny.saved.model, collate([row], codec), how, codec)
        assert alone.ids == [together.ids[number]]
        assert alone.scores == pytest.approx([together.scores[number]], abs=1e-4)


@pytest.mark.parametrize("how", SPECS, ids=lambda how: f"{how.method}-{how.allow}")
def test_rows_end_at_eos_or_at_the_limit(tiny, batch: Batch, how: GenerateSpec) -> None:
    for row in generate(tiny.saved.model, batch, how, tiny.saved.codec).ids:
        assert EOS_ID not in row[:-1]
        assert row[-1] == EOS_ID or len(row) == how.max_tokens
        if how.allow == "box":
            assert len(tiny.saved.codec.decode(row)) == 1


def test_rows_that_end_early_stay_as_they_are(tiny, batch: Batch, monkeypatch) -> None:
    """A head that prefers eos for some rows only: the others go on."""
    model = tiny.saved.model
    real = model.lm_head.forward
    calls = []

    def preferring_eos(x_BTM: torch.Tensor) -> torch.Tensor:
        logits_BTV = real(x_BTM).clone()
        logits_BTV[..., EOS_ID] = -1e4
        logits_BTV[: len(calls), :, EOS_ID] = 1e4  # one row more at every step
        calls.append(1)
        return logits_BTV

    monkeypatch.setattr(model.lm_head, "forward", preferring_eos)
    found = generate(model, batch, GenerateSpec(max_tokens=20), tiny.saved.codec)
    assert [len(row) for row in found.ids] == [2, 3, 4, 5, 6]
    assert len(calls) == 6  # nothing is computed once all rows have ended
    assert all(row[-1] == EOS_ID for row in found.ids)


def test_one_beam_is_greedy(tiny, batch: Batch) -> None:
    codec, model = tiny.saved.codec, tiny.saved.model
    one = generate(model, batch, GenerateSpec(method="beam", beams=1, max_tokens=9), codec)
    assert one == generate(model, batch, GREEDY[0], codec)
