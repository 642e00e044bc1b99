"""unified_vl/decoding/choice_scoring.py: every candidate's score as if it were scored alone."""

from __future__ import annotations

import pytest
import torch

from tests.batches import collate
from unified_vl.codecs.images import resize
from unified_vl.codecs.segments import Image, Tag, Text
from unified_vl.data.batching import Batch
from unified_vl.data.example import Example
from unified_vl.decoding import choice_scoring
from unified_vl.decoding.choice_scoring import ChoiceScorer
from unified_vl.decoding.generator import Generator
from unified_vl.decoding.protocol import Memory
from unified_vl.specs.tasks.generate import GenerateSpec

CHOICES = (
    "a",
    "a cat",
    "a cat and a dog",
    "a red cat and a dog",
    "a red cat",
    "گربه قرمز",
    "yes",
    "Hund",
    "ein Hund",
    "eine rote Katze",
)


@pytest.fixture
def batch(tiny, picture) -> Batch:
    rows = []
    for number, text in enumerate(("a", "eine rote Katze und ein Hund", "yes no")):
        image = Image(resize(picture(number), (16, 16)))
        source = (image, Tag("task:tiny_copy"), Text(text))
        rows.append(Example("t", "en", str(number), source, (), {}, {}, f"file:{number}", None))
    return collate(rows, tiny.saved.codec)


def naive(tiny, batch: Batch, choice: str) -> tuple[list[float], int]:
    """Sums of log-probabilities of one choice after each source, and its number of ids."""
    ids = tiny.saved.codec.encode_target([Text(choice)]).ids
    labels_BT = torch.tensor([ids] * len(batch.examples))
    with torch.no_grad():
        logits_BTV = tiny.saved.model(**batch.model_inputs(), labels=labels_BT).logits
    gained_BT = logits_BTV.log_softmax(-1).gather(2, labels_BT[..., None])[..., 0]
    return gained_BT.sum(1).tolist(), len(ids)


@pytest.mark.parametrize("limits", [{}, {"MOST_CHOICES": 3}, {"MOST_ROWS": 1, "MOST_LOGITS": 1}])
@torch.inference_mode()
def test_scores_are_those_of_each_choice_alone(tiny, batch: Batch, monkeypatch, limits) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(choice_scoring, name, value)
    model, codec = tiny.saved.model, tiny.saved.codec
    ids = [codec.encode_target([Text(choice)]).ids for choice in CHOICES]
    scorer = ChoiceScorer(ids, 0, torch.device("cpu"))
    memory = Memory(model.encoder(**batch.model_inputs())[0], batch.attention_mask_BS)
    score_BC = scorer(model, memory)
    for place, choice in enumerate(CHOICES):
        expected, length = naive(tiny, batch, choice)
        assert score_BC[:, place].tolist() == pytest.approx(expected, abs=1e-4)
        assert scorer.lengths_C[place] == length


@pytest.mark.parametrize("normalize", ["none", "tokens"])
def test_choices_are_ranked_by_the_score_that_the_spec_asks_for(
    tiny, batch: Batch, normalize: str
) -> None:
    how = GenerateSpec(
        method="score_choices", choices={"values": CHOICES}, normalize=normalize, max_tokens=20
    )
    codec = tiny.saved.codec
    found = Generator(tiny.saved.model, how, codec, CHOICES)(batch, len(CHOICES))
    scores: dict[str, list[float]] = {}
    for choice in CHOICES:
        sums, length = naive(tiny, batch, choice)
        scores[choice] = [s / length if normalize == "tokens" else s for s in sums]
    for row, hypotheses in enumerate(found.hypotheses):
        ranked = [codec.decode_text(h.ids) for h in hypotheses]
        assert ranked == sorted(CHOICES, key=lambda c: -scores[c][row])
        expected = sorted((scores[c][row] for c in CHOICES), reverse=True)
        assert [h.score for h in hypotheses] == pytest.approx(expected, abs=1e-4)


@torch.inference_mode()
def test_the_encoder_runs_once_and_a_shared_prefix_too(tiny, batch: Batch, monkeypatch) -> None:
    model, codec = tiny.saved.model, tiny.saved.codec
    encoded, heads = [], []
    real_encoder, real_head = model.encoder.forward, model.lm_head.forward
    monkeypatch.setattr(
        model.encoder, "forward", lambda *a, **k: (encoded.append(1), real_encoder(*a, **k))[1]
    )
    monkeypatch.setattr(model.lm_head, "forward", lambda x: (heads.append(len(x)), real_head(x))[1])
    how = GenerateSpec(method="score_choices", choices={"values": CHOICES}, max_tokens=20)
    Generator(model, how, codec, CHOICES)(batch)
    ids = [tuple(codec.encode_target([Text(choice)]).ids) for choice in CHOICES]
    prefixes = {choice[:length] for choice in ids for length in range(len(choice))}
    assert len(encoded) == 1
    assert sum(heads) == len(prefixes) * len(batch.examples) < sum(map(len, ids)) * 3
