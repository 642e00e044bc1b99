"""`generate.language: enforce`: answers in the scripts of the language that was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import LogitsProcessorList

from tests.batches import collate
from unified_vl.codecs.segments import Tag, Text
from unified_vl.codecs.vocabulary import EOS_ID
from unified_vl.data.example import Example
from unified_vl.decoding.generator import Generator
from unified_vl.decoding.grammar_processor import GrammarProcessor
from unified_vl.decoding.grammars.language import LanguageGrammar, ScriptMasks
from unified_vl.decoding.grammars.script_bytes import NEVER, WHOLE, byte_places
from unified_vl.decoding.grammars.values import TextGrammar
from unified_vl.errors import UserError
from unified_vl.inference.written.other_script import in_other_script
from unified_vl.languages.scripts import scripts_of, strange_parts
from unified_vl.specs.load import load_task
from unified_vl.specs.tasks.generate import GenerateSpec

CPU = torch.device("cpu")
LANGUAGES = ("en", "fa", "zh", "ja", "ko", "ru", "hi", "sr-Latn", "pt-BR")
ENFORCED = {
    "greedy": {"method": "greedy", "max_tokens": 12},
    "beam": {"method": "beam", "beams": 3, "max_tokens": 12},
    "sample": {"method": "sample", "temperature": 2.0, "best_of": 3, "max_tokens": 12},
    "with rules": {"method": "greedy", "max_tokens": 12, "no_repeat_ngram": 1, "min_tokens": 12},
}


def example(language: str, copied: tuple[str, ...] = (), key: str = "0") -> Example:
    source = (Tag("task:tiny_copy"), Text(key))
    return Example("t", language, key, source, (), {}, {}, f"f:{key}", None, copied=copied)


@pytest.mark.parametrize(
    ("tag", "text", "strange"),
    [
        ("zh", "钥匙、 serpente", ["serpente"]),
        ("zh", "钥匙，3 把！😀", []),
        ("ja", "カギと鍵", []),
        ("ko", "열쇠 カギ", ["カギ"]),
        ("fa", "می‌روم، ۳", []),
        ("ru", "ключ key", ["key"]),
        ("sr-Latn", "ključ кључ", ["кључ"]),
        ("en", "naïve café – “10 °C”", []),
        ("xx", "anything だ", []),  # nobody knows its scripts
    ],
)
def test_what_of_a_text_is_in_another_script(tag: str, text: str, strange: list[str]) -> None:
    assert strange_parts(text, tag) == strange


@pytest.mark.parametrize("tag", LANGUAGES)
def test_bytes_go_through_exactly_the_characters_of_the_scripts(tag: str) -> None:
    places = byte_places(scripts_of(tag))
    for character in "aé€я你ー한ไ😀!٣ह\u200d\U00020000\U0010ffff":
        place = WHOLE
        for byte in character.encode():
            place = places[place, byte]
            if place == NEVER:
                break
        assert (place == WHOLE) == (not strange_parts(character, tag)), character
    assert (places >= 0).any(1).all()  # from every place something goes on


@pytest.mark.parametrize("seed", range(4))
def test_no_piece_and_no_byte_leaves_the_scripts(tiny, seed: int) -> None:
    """A model that wants bytes, and anything else, at random."""
    codec = tiny.saved.codec
    masks = ScriptMasks(codec.vocabulary, codec.text, CPU)
    grammar = LanguageGrammar(TextGrammar(codec.vocabulary, CPU), masks)
    grammar = grammar.of([example(tag) for tag in LANGUAGES])
    draw = torch.Generator().manual_seed(seed)
    state = grammar.start(2 * len(LANGUAGES))
    written: list[torch.Tensor] = []
    for step in range(60):
        wanted_RV = torch.randn(2 * len(LANGUAGES), codec.vocabulary.size, generator=draw)
        wanted_RV[:, list(codec.text.byte_ids)] += 1.0
        place_R = grammar.allowed(wanted_RV, state, step).scores_RC.argmax(-1)
        state = grammar.advance(state, place_R, step)
        written.append(place_R)
    for number, ids in enumerate(torch.stack(written, 1).tolist()):
        ids = ids[: ids.index(EOS_ID)] if EOS_ID in ids else ids
        text = codec.text.decode(ids)
        assert not strange_parts(text, LANGUAGES[number // 2])
        assert "\ufffd" not in text[:-3]  # a character may be cut at the end


@pytest.mark.parametrize("how", ENFORCED.values(), ids=ENFORCED)
def test_every_search_writes_in_the_scripts_asked_for(tiny, how: dict) -> None:
    batch = collate([example(tag, key=tag) for tag in ("fa", "zh", "en", "fa")], tiny.saved.codec)
    free = Generator(tiny.saved.model, GenerateSpec(**how), tiny.saved.codec)
    held = Generator(tiny.saved.model, GenerateSpec(**how, language="enforce"), tiny.saved.codec)
    texts = [[free.rules.text(h.ids) for h in row] for row in free(batch, 3).hypotheses]
    rows = list(zip(batch.examples, texts, strict=True))
    assert any(strange_parts(text, e.language) for e, several in rows for text in several)
    for row, found in zip(batch.examples, held(batch, 3).hypotheses, strict=True):
        assert not any(strange_parts(held.rules.text(h.ids), row.language) for h in found)


@pytest.mark.parametrize("beams", [1, 4])
def test_transformers_writes_the_same_under_the_same_mask(tiny, beams: int) -> None:
    codec, model = tiny.saved.codec, tiny.saved.model
    batch = collate([example(tag, key=tag) for tag in ("fa", "zh", "en")], codec)
    method = {"method": "greedy"} if beams == 1 else {"method": "beam", "beams": beams}
    how = GenerateSpec(**method, max_tokens=10, language="enforce")
    found = Generator(model, how, codec)(batch).ids
    masks = ScriptMasks(codec.vocabulary, codec.text, CPU)
    grammar = LanguageGrammar(TextGrammar(codec.vocabulary, CPU), masks)
    rows = [e for e in batch.examples for _ in range(beams)]
    theirs = model.generate(
        **batch.model_inputs(),
        do_sample=False,
        num_beams=beams,
        max_new_tokens=10,
        logits_processor=LogitsProcessorList([GrammarProcessor(grammar.of(rows))]),
    )
    for mine, other in zip(found, theirs.tolist(), strict=True):
        assert mine == other[1 : 1 + len(mine)]


def test_names_of_the_source_may_be_copied(tiny) -> None:
    codec = tiny.saved.codec
    masks = ScriptMasks(codec.vocabulary, codec.text, CPU)
    grammar = LanguageGrammar(TextGrammar(codec.vocabulary, CPU), masks)
    rows = [example("fa", ("a red cat",)), example("fa"), example("fa", ("ж",))]
    grammar = grammar.of(rows)
    scores = grammar.allowed(torch.zeros(3, codec.vocabulary.size), grammar.start(3), 0).scores_RC
    cat = codec.text.encode("cat")[1:]  # behind a space, which all may write
    assert torch.isfinite(scores[0, cat]).all() and not torch.isfinite(scores[1:, cat]).any()
    dog = codec.text.encode("dog")[-1]
    assert not torch.isfinite(scores[0, dog])
    byte = {value: token for token, value in codec.text.byte_ids.items()}
    first = byte["ж".encode()[0]]  # no piece has it
    assert torch.isfinite(scores[:, first]).tolist() == [False, False, True]


@pytest.mark.parametrize(
    "how",
    [
        {"method": "constrained"},
        {"method": "constrained", "beams": 3},
        {"method": "score_choices"},
    ],
    ids=str,
)
def test_closed_answers_are_those_of_the_language(tiny, how: dict) -> None:
    choices = ("a cat", "a dog", "گربه", "قرمز", "3")
    codec = tiny.saved.codec
    spec = GenerateSpec(**how, choices={"values": choices}, max_tokens=20, language="enforce")
    generator = Generator(tiny.saved.model, spec, codec, choices, languages=("en", "fa"))
    batch = collate([example(tag, key=tag) for tag in ("fa", "en", "fa")], codec)
    for row, found in zip(batch.examples, generator(batch, 5).hypotheses, strict=True):
        said = {generator.rules.text(h.ids) for h in found}
        assert said == {choice for choice in choices if not strange_parts(choice, row.language)}
    with pytest.raises(UserError, match="no choice is written in the scripts of 'zh'"):
        Generator(tiny.saved.model, spec, codec, choices[:4], languages=("en", "zh"))


def test_a_language_without_known_scripts_is_refused_in_the_spec(tiny, tmp_path) -> None:
    text = tiny.specs["tiny_copy"].text.replace("languages: [en]", "languages: [xx]")
    path = tmp_path / "tiny_copy.yaml"
    path.write_text(text.replace("max_tokens: 8", "max_tokens: 8, language: enforce"))
    with pytest.raises(UserError, match=r"the scripts of 'xx' are not known.*xx-Latn"):
        load_task(path)


def test_an_answer_in_another_script_is_flagged(tiny) -> None:
    from unified_vl.inference.predictor import UnifiedVL

    predictor = UnifiedVL(tiny.saved)
    spec = tiny.specs["tiny_caption"]
    image = tiny.data / "images/1.png"
    free = predictor.predict(spec, "fa", image=image)
    assert free.other_script == bool(strange_parts(free.text, "fa"))
    held = spec.model_copy(update={"generate": replace_language(spec.generate)})
    assert not UnifiedVL(replace(tiny.saved)).predict(held, "fa", image=image).other_script


LABEL = "{kind: label, column: answer, names: {values: [yes, no]}}"


@pytest.mark.parametrize(
    ("change", "flagged"),
    [
        ({}, True),
        ({"method: greedy": "method: constrained, choices: {values: [yes, no]}"}, False),
        ({"method: greedy": "method: score_choices, choices: {values: [yes, no]}"}, False),
        ({"answer: {kind: text, column: answer}": f"answer: {LABEL}"}, False),
        ({"answer: {kind: text,": "answer: {kind: number,"}, False),
        ({'"{answer}"': '"yes: {answer}"'}, False),
        ({'"{answer}"': '"no: {answer}"'}, True),
    ],
    ids=str,
)
def test_what_the_author_wrote_is_in_no_other_script(
    tmp_path, change: dict[str, str], flagged: bool
) -> None:
    text = CLOSED
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "asked.yaml"
    path.write_text(text, encoding="utf-8")
    spec = load_task(path)
    assert in_other_script(spec, "yes", example("zh"), prefix="") == flagged
    assert not in_other_script(spec, "yes", example("en"), prefix="")
    assert not in_other_script(spec, "yes", example("zh", copied=("oh yes",)), prefix="")


CLOSED = """
task: asked
version: 1
family: answering
about: Answer.
data:
  {reader: jsonl, path: a.jsonl, splits: {train: a}, languages: [en, zh], language_column: tag}
fields:
  question: {kind: text, column: question}
  answer: {kind: text, column: answer}
example: {source: "{task} {question}", target: "{answer}"}
generate: {method: greedy, max_tokens: 4}
score: [{metric: accuracy, against: answer, primary: true}]
"""


def replace_language(how: GenerateSpec) -> GenerateSpec:
    return how.model_copy(update={"language": "enforce"})
