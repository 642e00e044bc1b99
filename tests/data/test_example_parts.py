"""What an example is made of beside its own fields: joins, shots, wrong partners, noise."""

from __future__ import annotations

import gc
import json
import re
from collections import Counter
from typing import Any

import pytest

from unified_vl.codecs.segments import Noised
from unified_vl.data.batching import EncodedExample
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.streams import TaskStream
from unified_vl.errors import BadRow, UserError

SEEDS = range(60)
DIALOGUE = """\
  source: "{history} {caption}"
  target: "{answer}"
  join: {history: {each: "Q: {questions} A: {answers}", between: "\\n", last: 2}}
"""
OPTIONS = """\
  source: "{caption} {options}"
  target: "{answer}"
  join: {options: {each: "({letter}) {number}. {answers}"}}
"""
SHOTS = """\
  source: "{shots} {image} {ask} {caption}"
  target: "{answer}"
  shots: {count: 2, each: "{image} {ask} {caption} is {answer}", between: ";"}
"""
ASK = "wording: {ask: {default: [One, Two, Three]}}\n"
MATCH = """\
  source: "{image} {captions}"
  target: "{matches}"
  pick: {captions: random}
  mismatch: {field: captions, rate: 0.5, right: "true", wrong: no_word}
"""
NO = "wording: {no_word: {en: wrong, de: falsch}}\n"


def noisy(noise: str, target: str = "{caption}") -> str:
    return (
        f'  source: "{{language}} {{caption}}"\n  target: "{target}"\n  noise: {{caption: {noise}}}'
    )


def test_lists_are_joined_place_by_place(quiz, said) -> None:
    spec = quiz.spec(DIALOGUE)
    assert [said(quiz.build(spec, n).source) for n in range(4)] == [
        "train red 0 is on the table here",
        "Q: q0 A: a0 train green 1 is on the table here",
        "Q: q0 A: a0\nQ: q1 A: a1 train blue 2 is on the table here",
        "Q: q1 A: a1\nQ: q2 A: a2 train white 3 is on the table here",
    ]


def test_options_are_lettered_and_numbered(quiz, said) -> None:
    source = said(quiz.build(quiz.spec(OPTIONS), 3).source)
    assert source.endswith("(A) 1. a0 (B) 2. a1 (C) 3. a2")


def test_shapes_may_be_joined_with_their_words(quiz, said) -> None:
    spec = quiz.spec(
        '  source: "{image} {seen} {caption}"\n  target: "{answer}"\n'
        '  join: {seen: {each: "{answers} {places}"}}'
    )
    source = said(quiz.build(spec, 3).source)
    assert source == "[60] a0 Box a1 Box a2 Box train white 3 is on the table here"


def test_lists_of_different_lengths_are_a_bad_row(quiz) -> None:
    spec = quiz.spec(DIALOGUE)
    values = [json.loads(line) for line in (quiz.root / "train.jsonl").read_text().splitlines()]
    values[3]["answers"] = ["one"]
    quiz.write("train", values)
    with pytest.raises(BadRow) as error:
        quiz.build(spec, 3)
    expected = "train.jsonl:4: answers: holds 1 values, and 'questions' 3, in the join 'history'"
    assert str(error.value) == expected


def test_a_target_of_nothing_is_a_bad_row(quiz) -> None:
    spec = quiz.spec(
        '  source: "{caption}"\n  target: "{all}"\n  join: {all: {each: "{answers}"}}',
        against="caption",
    )
    assert quiz.build(spec, 1).target
    with pytest.raises(BadRow, match=r"train.jsonl:1: its target is empty"):
        quiz.build(spec, 0)


def test_wordings_are_drawn_in_training_and_the_first_in_evaluation(quiz, said) -> None:
    spec = quiz.spec('  source: "{ask} {caption}"\n  target: "{answer}"', ASK)
    drawn = {said(quiz.build(spec, 0, seed=seed).source).split()[0] for seed in SEEDS}
    assert drawn == {"One", "Two", "Three"}
    assert said(quiz.build(spec, 0).source).startswith("One ")
    assert quiz.build(spec, 0, seed=5).source == quiz.build(spec, 0, seed=5).source


SHOWN = re.compile(r"\[\d+\] \w+ (\w+) \w+ (\d+) is on the table here is \w+")


def test_shots_are_other_rows_of_the_language(quiz, said) -> None:
    spec = quiz.spec(SHOTS, ASK)
    met: Counter[str] = Counter()
    for seed in SEEDS:
        for index in (2, 8):
            source = said(quiz.build(spec, index, seed=seed).source)
            shots = SHOWN.findall(source)
            assert len(shots) == 2
            numbers = [int(number) for _, number in shots]
            assert index not in numbers and len(set(numbers)) == 2
            assert {number >= 6 for number in numbers} == {index >= 6}
            assert len(set(re.findall("One|Two|Three", source))) == 1  # one wording for all
            met.update(map(str, numbers))
    assert len(met) == 10  # all but the two rows themselves


def test_shots_are_fixed_in_evaluation_and_never_the_row_itself(quiz, said) -> None:
    spec = quiz.spec(SHOTS, ASK)
    shown = {said(quiz.build(spec, n, split="test").source[:-1]) for n in range(6)}
    shots = {tuple(SHOWN.findall(source)) for source in shown}
    assert len(shots) == 1
    ((first, second),) = shots
    itself = said(quiz.build(spec, int(first[1])).source)  # of the train split
    assert SHOWN.findall(itself)[0] == second
    assert len(SHOWN.findall(itself)) == 2 and first not in SHOWN.findall(itself)


def test_shots_of_a_language_without_rows_come_from_all(quiz, said) -> None:
    spec = quiz.spec(SHOTS, ASK)
    values = [json.loads(line) for line in (quiz.root / "train.jsonl").read_text().splitlines()]
    quiz.write("train", [row for row in values if row["lang"] == "en"])
    source = said(quiz.build(spec, 9, split="test").source)
    assert len(SHOWN.findall(source)) == 2


def test_too_few_rows_for_shots_is_said(quiz) -> None:
    spec = quiz.spec(SHOTS, ASK)
    values = [json.loads(line) for line in (quiz.root / "train.jsonl").read_text().splitlines()]
    quiz.write("train", values[:2])
    with pytest.raises(UserError, match=r"count: found 1 in the train split beside train.jsonl:1"):
        quiz.build(spec, 0, seed=1)


def test_bad_rows_are_no_shots_where_they_are_skipped(quiz) -> None:
    spec = quiz.spec(SHOTS, ASK)
    values = [json.loads(line) for line in (quiz.root / "train.jsonl").read_text().splitlines()]
    for row in values[1:4]:
        row["answer"] = ""
    quiz.write("train", values)
    with pytest.raises(BadRow):
        [quiz.build(spec, 0, seed=seed) for seed in SEEDS]
    head = spec.text.split("fields:")[0] + "  on_bad_row: skip\n"
    skipping = quiz.spec(SHOTS, ASK, head=head)
    assert all(quiz.build(skipping, 0, seed=seed).shots == 2 for seed in SEEDS)


def test_shots_that_do_not_fit_are_left_out_from_the_front(quiz, said) -> None:
    spec = quiz.spec(SHOTS, ASK)
    whole = quiz.build(spec, 0, codec=quiz.codec(spec))
    assert whole.shots == 2
    length = quiz.codec(spec).length(whole.source)
    less = quiz.build(spec, 0, codec=quiz.codec(spec, source=length - 1))
    assert less.shots == 1
    assert SHOWN.findall(said(less.source)) == SHOWN.findall(said(whole.source))[1:]
    own = quiz.codec(spec, source=length // 3 + 1)
    assert said(quiz.build(spec, 0, codec=own).source).endswith("train red 0 is on the table here")


def test_half_of_the_pairs_are_wrong_and_say_so(quiz, said) -> None:
    spec = quiz.spec(MATCH, NO, against="matches")
    drawn: Counter[str] = Counter()
    for seed in range(200):
        example = quiz.build(spec, 7, seed=seed)
        answer, own = said(example.target), "train 7 " in said(example.source)
        assert (answer == "true") == own
        assert example.references == {"matches": (answer,)}
        assert said(example.source).startswith("[140] train ")
        other = int(said(example.source).split()[2])
        assert other >= 6  # of the same language
        assert bool(example.read) == (not own)
        drawn[answer] += 1
    assert drawn.keys() == {"true", "falsch"}
    assert 70 < drawn["true"] < 130


def test_pairs_are_decided_once_and_for_all_in_evaluation(quiz, said) -> None:
    spec = quiz.spec(MATCH, NO, against="matches")
    first = [quiz.build(spec, n, split="test") for n in range(12)]
    again = [quiz.build(spec, n, split="test") for n in range(12)]
    assert [said(e.source) for e in first] == [said(e.source) for e in again]
    assert {said(example.target) for example in first} == {"true", "wrong", "falsch"}


def test_what_may_match_is_no_wrong_partner(quiz) -> None:
    spec = quiz.spec(MATCH, NO, against="matches")
    values = [json.loads(line) for line in (quiz.root / "train.jsonl").read_text().splitlines()]
    for row in values[:6]:
        row["image"] = "train0.png"  # captions of one image
    quiz.write("train", values)
    with pytest.raises(BadRow, match="no other row in 'en' has another 'captions'"):
        [quiz.build(spec, 0, seed=seed) for seed in SEEDS]


def test_a_caption_of_both_rows_is_no_wrong_one(quiz, said) -> None:
    spec = quiz.spec(MATCH, NO, against="matches")
    values = [json.loads(line) for line in (quiz.root / "train.jsonl").read_text().splitlines()]
    for row in values[:6]:
        row["captions"][0] = "A picture."
    quiz.write("train", values)
    examples = [quiz.build(spec, 0, seed=seed) for seed in SEEDS]
    wrong = [said(e.source) for e in examples if said(e.target) == "wrong"]
    assert wrong and not any("A picture." in source for source in wrong)


@pytest.mark.parametrize("kind", ["span_corruption, mean_span: 2", "prefix_lm"])
def test_noise_on_pieces_is_settled_by_the_codec(quiz, said, kind: str) -> None:
    spec = quiz.spec(noisy("{kind: " + kind + "}"), against="caption")
    codec = quiz.codec(spec)
    for seed in (None, 1, 2):
        example = quiz.build(spec, 0, seed=seed, codec=codec)
        answer = codec.decode_text(codec.encode_target(example.target).ids)
        assert example.references == {"caption": (answer,)}
        assert answer
        assert all(part in "train red 0 is on the table here" for part in answer.split())
        assert ("<mask>" in example.read["caption"]) == ("span" in kind)
        assert example == quiz.build(spec, 0, seed=seed, codec=codec)
    bare = quiz.build(spec, 0)
    assert isinstance(bare.source[1], Noised) and bare.source[1] == bare.target[0]
    assert bare.references == {}  # only a tokenizer can tell


def test_masked_words_and_the_whole_text(quiz, said) -> None:
    spec = quiz.spec(noisy("{kind: masking, rate: 0.25}"), against="caption")
    whole = "train red 0 is on the table here"
    for seed in range(5):
        example = quiz.build(spec, 0, seed=seed)
        assert said(example.source).count("<mask>") == 2
        assert said(example.target) == whole
        assert example.references == {"caption": (whole,)}
        assert example.read["caption"].count("<mask>") == 2


def test_words_are_switched_by_the_dictionary(quiz, said) -> None:
    (quiz.root / "words.tsv").write_text("en\tde\tfr\ntable\tTisch\ttable\nred\trot\trouge\n")
    noise = "{kind: code_switch, rate: 1, dictionary: {file: words.tsv}, languages: [de]}"
    spec = quiz.spec(noisy(noise), against="caption")
    example = quiz.build(spec, 0, seed=3)
    assert said(example.source) == "<language:en> train rot 0 is on the Tisch here"
    assert said(example.target) == "train red 0 is on the table here"
    german = quiz.build(spec, 6)  # German has no translation into German
    assert said(german.source).endswith(said(german.target))


def test_a_text_that_a_person_gives_is_taken_as_it_is(quiz, said) -> None:
    for noise, marks in (
        ("{kind: masking}", ["<mask>", "<mask>"]),
        ("{kind: span_corruption}", ["<sentinel:0>", "<sentinel:1>"]),
    ):
        spec = quiz.spec(noisy(noise), against="caption")
        row = TaskData(spec, "train", quiz.root)[0]
        row.columns["caption"] = "a <mask> on the <mask>"
        example = quiz.builder(spec).build(row, seed=None, with_target=False)
        expected = f"<language:en> a {marks[0]} on the {marks[1]}"
        assert said(example.source) == expected
        assert example.target == ()


@pytest.mark.parametrize("noise", ["{kind: masking}", "{kind: span_corruption}"])
def test_a_vocabulary_without_the_tags_is_refused_at_once(quiz, noise: str) -> None:
    spec = quiz.spec(noisy(noise), against="caption")
    codec = quiz.codec(quiz.spec('  source: "{caption}"\n  target: "{answer}"'))
    with pytest.raises(
        UserError, match=r"quiz.yaml:\d+: example.noise.caption: the tokenizer's vo"
    ):
        quiz.builder(spec, codec=codec)


ALL = """\
  source: "{shots} {image} {ask} {captions} {history}"
  target: "{matches}"
  pick: {captions: random}
  join: {history: {each: "{questions} {answers}"}}
  shots: {count: 2, each: "{image} {captions} {history} {matches}"}
  mismatch: {field: captions, right: "yes", wrong: "no"}
"""


@pytest.mark.parametrize("kind", ["others", "noise"])
def test_a_stream_of_all_this_depends_on_its_number_alone(quiz, kind: str) -> None:
    temperature = "  language_temperature: 0.5\n"
    head = quiz.spec(DIALOGUE).text.split("fields:")[0] + temperature
    if kind == "others":
        spec = quiz.spec(ALL, ASK, against="matches", head=head)
    else:
        spec = quiz.spec(noisy("{kind: span_corruption}"), against="caption", head=head)
    codec = quiz.codec(spec)

    def stream() -> TaskStream:
        data = TaskData(spec, "train", quiz.root)
        builder = quiz.builder(spec, codec=codec)
        return TaskStream(data, builder, codec, seed=3, batch_size=4, window=2)

    def ids(of: TaskStream, number: int, rank: int = 0, world: int = 1) -> Any:
        batch = of.batch(number, rank, world)
        assert batch.labels_BT is not None
        pairs = zip(batch.input_ids_BS, batch.attention_mask_BS.bool(), strict=True)
        sources = [row_S[mask_S].tolist() for row_S, mask_S in pairs]
        rows = [example.where for example in batch.examples]
        return list(zip(rows, sources, strict=True)), batch.labels_BT.tolist()

    whole = stream()
    straight = [repr(ids(whole, number)[0]) for number in range(7)]
    assert len(set(straight)) == 7  # an epoch later all is drawn anew
    resumed = stream()
    assert [repr(ids(resumed, number)[0]) for number in range(4, 7)] == straight[4:]
    ranks = stream()
    halves = [ids(ranks, 5, rank, 2)[0] for rank in range(2)]
    dealt = [example for pair in zip(*halves, strict=True) for example in pair]
    assert repr(dealt) == straight[5]
    for example in whole.batch(0).examples:  # what is read and written is in tensors alone
        assert example.key
        assert not (example.source or example.target or example.references)


def test_a_stream_that_forgets_holds_no_rows(quiz) -> None:
    spec = quiz.spec(noisy("{kind: span_corruption}"), against="caption")
    codec = quiz.codec(spec)
    data = TaskData(spec, "train", quiz.root)
    builder = quiz.builder(spec, codec=codec)
    stream = TaskStream(data, builder, codec, seed=3, batch_size=4, window=2)

    def held() -> int:
        return sum(isinstance(each, EncodedExample) for each in gc.get_objects())

    others = held()
    before = stream.batch(1)
    assert held() == others + 8
    stream.forget()
    assert held() == others
    assert stream.batch(1).input_ids_BS.tolist() == before.input_ids_BS.tolist()
