"""unified_vl/decoding/generator.py: against transformers, and against the model itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import LogitsProcessorList

from tests.batches import collate
from unified_vl.codecs.images import resize
from unified_vl.codecs.segments import Image, Tag, Text
from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID
from unified_vl.data.batching import Batch
from unified_vl.data.example import Example
from unified_vl.decoding.generator import Generator
from unified_vl.decoding.grammar_processor import GrammarProcessor
from unified_vl.decoding.grammars.values import grammar_of
from unified_vl.errors import UserError
from unified_vl.specs.tasks.generate import AnswerForm, GenerateSpec

TEXTS = ("a", "a red cat", "yes", "eine rote Katze und ein Hund", "گربه قرمز")
SPECS = [
    GenerateSpec(method="greedy", max_tokens=9),
    GenerateSpec(method="greedy", max_tokens=6, allow="box"),
    GenerateSpec(method="beam", beams=3, max_tokens=7),
    GenerateSpec(method="beam", beams=4, max_tokens=6, allow="box"),
]
GREEDY = SPECS[:2]
CHOICES = ("a", "a cat", "a red cat", "yes", "eine Katze", "گربه قرمز")
CLOSED = {"choices": {"values": CHOICES}, "max_tokens": 20}


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
    found = Generator(tiny.saved.model, how, codec)(batch)
    grammar = grammar_of(how, AnswerForm(), codec, torch.device("cpu"))
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
    found = Generator(tiny.saved.model, how, tiny.saved.codec)(batch)
    assert found.scores == pytest.approx(teacher_forced(tiny, batch, found.ids), abs=1e-4)


@pytest.mark.parametrize("how", SPECS, ids=lambda how: f"{how.method}-{how.allow}")
def test_a_row_is_answered_as_if_it_were_alone(tiny, picture, how: GenerateSpec) -> None:
    codec, rows = tiny.saved.codec, examples(tiny, picture)
    together = Generator(tiny.saved.model, how, codec)(collate(rows, codec))
    for number, row in enumerate(rows):
        alone = Generator(tiny.saved.model, how, codec)(collate([row], codec))
        assert alone.ids == [together.ids[number]]
        assert alone.scores == pytest.approx([together.scores[number]], abs=1e-4)


@pytest.mark.parametrize("how", SPECS, ids=lambda how: f"{how.method}-{how.allow}")
def test_rows_end_at_eos_or_at_the_limit(tiny, batch: Batch, how: GenerateSpec) -> None:
    for row in Generator(tiny.saved.model, how, tiny.saved.codec)(batch).ids:
        assert EOS_ID not in row[:-1]
        assert row[-1] == EOS_ID or len(row) == how.max_tokens
        if how.allow == "box":
            assert len(tiny.saved.codec.decode(row)) == 1


def test_rows_that_end_early_leave_and_stay_as_they_are(tiny, batch: Batch, monkeypatch) -> None:
    """A head that prefers eos for one of the rows that are left, at every step."""
    model = tiny.saved.model
    real = model.lm_head.forward
    rows = []

    def preferring_eos(x_RM: torch.Tensor) -> torch.Tensor:
        logits_RV = real(x_RM).clone()
        logits_RV[:, EOS_ID] = -1e4
        logits_RV[len(rows) % len(x_RM), EOS_ID] = 1e4
        rows.append(len(x_RM))
        return logits_RV

    alone = [
        Generator(model, GenerateSpec(max_tokens=20), tiny.saved.codec)(part).ids[0]
        for part in _one_by_one(batch)
    ]
    monkeypatch.setattr(model.lm_head, "forward", preferring_eos)
    found = Generator(model, GenerateSpec(max_tokens=20), tiny.saved.codec)(batch)
    assert rows == [5, 4, 3, 2, 1]  # one row fewer at every step, and then nothing
    assert sorted(len(row) for row in found.ids) == [1, 2, 3, 4, 5]
    for row, whole in zip(found.ids, alone, strict=True):
        assert row == [*whole[: len(row) - 1], EOS_ID]


def _one_by_one(batch: Batch) -> list[Batch]:
    pixels = batch.pixel_values_NCHW
    return [
        replace(
            batch,
            input_ids_BS=batch.input_ids_BS[i : i + 1],
            attention_mask_BS=batch.attention_mask_BS[i : i + 1],
            pixel_values_NCHW=None if pixels is None else pixels[i : i + 1],
            examples=batch.examples[i : i + 1],
        )
        for i in range(len(batch.examples))
    ]


def test_one_beam_is_greedy(tiny, batch: Batch) -> None:
    codec, model = tiny.saved.codec, tiny.saved.model
    one = Generator(model, GenerateSpec(method="beam", beams=1, max_tokens=9), codec)(batch)
    assert one == Generator(model, GREEDY[0], codec)(batch)


@pytest.mark.parametrize("beams", [1, 3])
def test_constrained_to_choices_it_writes_the_likeliest_path(
    tiny, batch: Batch, beams: int
) -> None:
    codec = tiny.saved.codec
    how = GenerateSpec(method="constrained", beams=beams, **CLOSED)
    found = Generator(tiny.saved.model, how, codec, CHOICES)(batch, beams)
    for hypotheses in found.hypotheses:
        assert len(hypotheses) == beams
        texts = [codec.decode_text(h.ids) for h in hypotheses]
        assert len(set(texts)) == beams
        assert set(texts) <= set(CHOICES)
    ids = [row[0].ids for row in found.hypotheses]
    assert found.scores == pytest.approx(teacher_forced(tiny, batch, ids), abs=1e-4)


def test_fewer_choices_than_beams_are_all_there_is(tiny, batch: Batch) -> None:
    codec, two = tiny.saved.codec, ("yes", "a cat")
    how = GenerateSpec(method="constrained", beams=4, choices={"values": two}, max_tokens=20)
    found = Generator(tiny.saved.model, how, codec, two)(batch, 4)
    for hypotheses in found.hypotheses:
        assert sorted(codec.decode_text(h.ids) for h in hypotheses) == sorted(two)


def test_a_choice_that_would_be_cut_is_refused(tiny) -> None:
    how = GenerateSpec(method="constrained", choices={"values": CHOICES}, max_tokens=2)
    with pytest.raises(UserError, match=r"max_tokens: the choice .* does not fit into 2 tokens"):
        Generator(tiny.saved.model, how, tiny.saved.codec, CHOICES)
    with pytest.raises(UserError, match=r"generate\.choices: the choices are not known"):
        Generator(tiny.saved.model, how, tiny.saved.codec)


def test_draws_depend_on_the_seed_and_the_row_and_not_on_the_batch(tiny, batch: Batch) -> None:
    def draws(batch: Batch, seed: int, **options: object) -> list[list[list[int]]]:
        how = GenerateSpec(method="sample", seed=seed, max_tokens=9, **options)
        found = Generator(tiny.saved.model, how, tiny.saved.codec)(batch, 3)
        return [[h.ids for h in row] for row in found.hypotheses]

    batch = replace(
        batch,
        examples=tuple(replace(e, where=f"file:{i}") for i, e in enumerate(batch.examples)),
    )
    first = draws(batch, 1)
    assert first == draws(batch, 1)
    assert first == [draws(part, 1)[0] for part in _one_by_one(batch)]
    assert first != draws(batch, 2)
    assert all(len({tuple(ids) for ids in row}) > 1 for row in first)
    greedy = Generator(tiny.saved.model, GREEDY[0], tiny.saved.codec)(batch).ids
    assert [row[0] for row in draws(batch, 1, top_k=1)] == greedy


def test_the_best_of_several_draws_comes_first(tiny, batch: Batch) -> None:
    how = GenerateSpec(method="sample", best_of=6, max_tokens=9)
    codec = tiny.saved.codec
    best = Generator(tiny.saved.model, how, codec)(batch)
    every = Generator(tiny.saved.model, how, codec)(batch, 6)
    for one, all_six in zip(best.hypotheses, every.hypotheses, strict=True):
        assert len(all_six) == 6
        assert one == all_six[:1]
        scores = [h.score for h in all_six]
        assert scores == sorted(scores, reverse=True)
    ids = [row[5].ids for row in every.hypotheses]
    assert [row[5].score for row in every.hypotheses] == pytest.approx(
        teacher_forced(tiny, batch, ids), abs=1e-4
    )
