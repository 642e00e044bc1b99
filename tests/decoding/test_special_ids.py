"""Which ids pad, end and stand for the unknown is the tokenizer's to say: nothing else counts on
it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import sentencepiece
import torch

from tests.tiny import Tiny
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import SavedModel, load_model, save_model
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.reading.overrides import with_generate

IDS = {"pad_id": 2, "eos_id": 0, "unk_id": 1}
NUMBERS = torch.tensor([IDS["pad_id"], IDS["eos_id"], IDS["unk_id"]])  # of the usual 0, 1, 2
SENTENCES = ["a red cat and a dog", "eine rote Katze und ein Hund", "گربه قرمز", "yes no"]


@pytest.fixture(scope="module")
def other(tiny: Tiny) -> SavedModel:
    """The same model with the rows of its special ids, and those of its tokenizer, exchanged."""
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=buffer,
        vocab_size=320,
        hard_vocab_limit=False,
        model_type="unigram",
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
        **IDS,
    )
    text, usual = SentencePieceText(buffer.getvalue()), tiny.saved.codec
    assert text.pieces(range(3, len(text))) == usual.text.pieces(range(3, len(text)))
    vocabulary = Vocabulary(len(text), usual.vocabulary.tags, 50, **IDS)
    config = type(tiny.saved.model.config).from_dict(tiny.saved.model.config.to_dict())
    config.pad_token_id, config.eos_token_id = IDS["pad_id"], IDS["eos_id"]
    config.decoder_start_token_id = IDS["pad_id"]
    config.vocabulary_fingerprint = vocabulary.fingerprint
    model = UnifiedVLForConditionalGeneration(config).eval()
    weights = {name: weight.clone() for name, weight in tiny.saved.model.state_dict().items()}
    for name in ("encoder.embedding.weight", "lm_head.weight"):
        weights[name][NUMBERS] = tiny.saved.model.state_dict()[name][:3]
    model.load_state_dict(weights)
    sizes = {"max_source": usual.max_source, "max_target": usual.max_target}
    codec = SequenceCodec(
        vocabulary,
        text,
        image_tokens=usual.image_tokens,
        image_size=usual.image_size,
        **sizes,
    )
    return SavedModel(model, codec, tiny.saved.specs, tiny.saved.facts)


@pytest.mark.parametrize(
    ("task", "how"),
    [
        ("tiny_caption", {}),
        ("tiny_caption", {"method": "beam", "beams": 4}),
        ("tiny_caption", {"method": "sample", "seed": 3, "top_p": 0.9}),
        ("tiny_caption", {"language": "enforce"}),
        ("tiny_caption", {"min_tokens": 3, "no_repeat_ngram": 1, "bad_words": ["cat"]}),
        ("tiny_caption", {"method": "beam", "beams": 3, "prefix": "a cat"}),
        ("tiny_ground", {}),
        ("tiny_copy", {}),
    ],
)
def test_answers_do_not_depend_on_the_numbers_of_special_ids(
    tiny: Tiny, other: SavedModel, picture, task: str, how: dict
) -> None:
    spec = with_generate(tiny.specs[task], how)
    inputs = {"tiny_caption": {}, "tiny_ground": {"phrase": "a dog"}, "tiny_copy": {"text": "yes"}}
    fields = dict(inputs[task])
    if task != "tiny_copy":
        fields |= {"image": [picture(number) for number in range(3)], "language": "de"}
    usual, found = (UnifiedVL(s).predict(spec, **fields, n=2) for s in (tiny.saved, other))
    pairs = zip(usual, found, strict=True) if isinstance(usual, list) else [(usual, found)]
    for mine, theirs in pairs:
        assert (theirs.text, theirs.boxes, theirs.cut) == (mine.text, mine.boxes, mine.cut)
        assert theirs.score == pytest.approx(mine.score, abs=1e-5)


def test_features_of_texts_leave_the_end_and_padding_out(tiny: Tiny, other: SavedModel) -> None:
    from unified_vl.inference.retrieval.features import text_features

    usual, found = (
        text_features(UnifiedVL(s), ["a dog", "eine Katze und"]) for s in (tiny.saved, other)
    )
    torch.testing.assert_close(found.unit_ATM, usual.unit_ATM)


def test_a_saved_model_says_its_special_ids(other: SavedModel, tmp_path: Path) -> None:
    save_model(tmp_path / "m", other.model, other.codec, other.specs.values(), other.facts)
    loaded = load_model(tmp_path / "m")
    assert loaded.codec.vocabulary == other.codec.vocabulary
    assert loaded.codec.vocabulary.eos_id == IDS["eos_id"]
    assert '"eos_id"' not in Vocabulary(9, ()).to_json()  # older fingerprints stay


def test_a_tokenizer_with_other_special_ids_is_refused(tiny: Tiny, other: SavedModel) -> None:
    usual = tiny.saved.codec
    with pytest.raises(UserError, match=r"other special ids.*eos_id.*expected.*eos_id 1"):
        SequenceCodec(
            usual.vocabulary,
            other.codec.text,
            image_tokens=usual.image_tokens,
            image_size=usual.image_size,
        )
