"""unified_vl/inference/predictor.py: three lines for a person, one path for everybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unified_vl import UnifiedVL
from unified_vl.errors import UserError


@pytest.fixture
def predictor(model_directory: Path) -> UnifiedVL:
    return UnifiedVL.from_pretrained(model_directory)


def test_an_image_can_be_a_path_bytes_or_a_picture(predictor, tiny, picture) -> None:
    path = tiny.data / "images/1.png"
    given = [str(path), path, path.read_bytes(), picture(1), np.asarray(picture(1))]
    answers = [predictor.predict("tiny_caption", image=image, language="de") for image in given]
    assert isinstance(answers[0].text, str)
    assert answers[0].boxes is None
    assert answers[0].error is None
    assert {(a.text, round(a.score, 5)) for a in answers} == {
        (answers[0].text, round(answers[0].score, 5))
    }


@pytest.mark.parametrize("name", ["broken.png", "nowhere.png"])
def test_a_message_names_the_field_as_it_was_given(predictor, tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert predictor.spec("tiny_caption").fields["image"].column == "picture"
    with pytest.raises(UserError, match=r"^input:1: image: "):
        predictor.predict("tiny_caption", image=str(tmp_path / name), language="de")


@pytest.mark.parametrize("said", ["DE", "deu", "deu_Latn", "de-Latn", "ger"])
def test_a_language_is_understood_in_any_spelling(predictor, picture, said: str) -> None:
    as_spelt = predictor.predict("tiny_caption", image=picture(1), language="de")
    assert predictor.predict("tiny_caption", image=picture(1), language=said) == as_spelt


def test_boxes_are_in_pixels_of_the_users_image(predictor, picture) -> None:
    small, large = picture(1), picture(1).resize((400, 200))
    (box,) = predictor.predict("tiny_ground", language="en", image=small, phrase="a dog").boxes
    (scaled,) = predictor.predict("tiny_ground", language="en", image=large, phrase="a dog").boxes
    assert scaled == pytest.approx([10 * v for v in box])
    x1, y1, x2, y2 = box
    assert 0 <= x1 < x2 <= 40
    assert 0 <= y1 < y2 <= 20


def test_lists_are_answered_together_in_their_order(predictor, picture) -> None:
    pictures = [picture(n) for n in range(5)]
    phrases = ["a dog", "a red cat and a dog", "yes", "گربه", "a"]
    together = predictor.predict("tiny_ground", "en", image=pictures, phrase=phrases)
    for answer, image, phrase in zip(together, pictures, phrases, strict=True):
        assert (
            answer.boxes == predictor.predict("tiny_ground", "en", image=image, phrase=phrase).boxes
        )
    shared = predictor.predict("tiny_ground", "en", image=pictures[0], phrase=phrases)
    assert [a.key for a in shared] == [a.key for a in together]
    assert len(shared) == 5


def test_a_list_of_languages_asks_in_each(predictor, picture) -> None:
    together = predictor.predict("tiny_caption", ["en", "de"], image=picture(1))
    alone = [predictor.predict("tiny_caption", tag, image=picture(1)) for tag in ("en", "de")]
    assert [(a.text, a.key) for a in together] == [(a.text, str(i)) for i, a in enumerate(alone)]
    paired = predictor.predict("tiny_caption", ["de", "en"], image=[picture(1), picture(2)])
    assert paired[0].text == alone[1].text


def test_a_model_says_what_it_is(predictor) -> None:
    assert predictor.tasks[0] in repr(predictor) and "M parameters on cpu" in repr(predictor)
    assert set(predictor.tasks) == set(predictor.specs)
    assert {"en", "de"} <= set(predictor.languages)


def test_no_language_is_needed_where_the_task_has_one(predictor) -> None:
    assert predictor.predict("tiny_copy", text="yes").text is not None


@pytest.mark.parametrize(
    ("task", "fields", "said"),
    [
        ("tiny_captoin", {}, "task: the model has no task 'tiny_captoin'.*mean 'tiny_caption'"),
        ("tiny_caption", {"language": "dee"}, "language: unknown language 'dee'.*mean 'de'"),
        ("tiny_caption", {"image": b""}, "language: no language is given; expected one of en, de"),
        ("tiny_caption", {"language": "en"}, "image: the task 'tiny_caption' needs"),
        ("tiny_caption", {"imgae": b"", "language": "en"}, "no field 'imgae'.*mean 'image'"),
        ("tiny_caption", {"image": "no.png", "language": "en"}, "no image 'no.png'"),
        ("tiny_caption", {"image": b"GIF89a", "language": "en"}, "image"),
        ("tiny_ground", {"image": [b"", b""], "phrase": ["a"]}, "differ in length: image 2, phr"),
        ("tiny_copy", {"text": ""}, "text"),
        ("tiny_caption", {"image": [b"", b""], "language": ["en"]}, "language 1, image 2"),
        (
            "tiny_caption",
            {"image": np.zeros((4, 4, 2), np.uint8), "language": "en"},
            r"found an array of uint8 \[4, 4, 2\]; expected uint8 \[height, width",
        ),
        ("tiny_caption", {"image": np.zeros((4, 4)), "language": "en"}, "array of float64"),
    ],
)
def test_what_cannot_be_answered_is_said(predictor, task: str, fields: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        predictor.predict(task, **fields)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_examples_come_back_in_order_whatever_the_batches(predictor, batch_size: int) -> None:
    spec = predictor.spec("tiny_copy")
    texts = ["a red cat and a dog", "a", "yes no yes no", "a dog", "cat", "no"] * 4
    expected = predictor.predict("tiny_copy", text=texts)
    from unified_vl.inference.inputs import input_row

    builder = predictor.builder(spec, None)
    rows = (input_row(spec, {"text": text}, None, index=i) for i, text in enumerate(texts))
    examples = (builder.build(row, seed=None, with_target=False) for row in rows)
    found = list(predictor.predict_examples(spec, examples, batch_size))
    assert [p.text for p in found] == [p.text for p in expected]
    assert [p.key for p in found] == [p.key for p in expected]


def test_no_examples_no_predictions(predictor) -> None:
    assert list(predictor.predict_examples(predictor.spec("tiny_copy"), [])) == []
    assert predictor.predict("tiny_copy", text=[]) == []


@pytest.mark.parametrize("method", ["constrained", "constrained, beams: 2", "score_choices"])
def test_a_spec_that_the_model_has_never_seen_answers_with_its_choices(
    predictor, tiny, tmp_path: Path, method: str
) -> None:
    text = tiny.specs["tiny_copy"].text.replace("tiny_copy", "unseen")
    how = f"method: {method}, choices: {{file: answers.txt}}"
    path = tmp_path / "unseen.yaml"
    path.write_text(text.replace("method: beam, beams: 3, max_tokens: 8", how + ", max_tokens: 20"))
    choices = ["yes", "no", "a  red   cat", "گربه", "ein Hund"]
    (tmp_path / "answers.txt").write_text("\n".join(choices), encoding="utf-8")
    answers = predictor.predict(path, text=["yes", "a dog", "Hund und Katze"], n=2)
    for answer in answers:
        assert [a.score for a in answer.alternatives] == sorted(
            (a.score for a in answer.alternatives), reverse=True
        )
        assert len({a.text for a in answer.alternatives} & set(choices)) == 2
        assert answer.text == answer.alternatives[0].text
        assert list(answer.as_row())[-1] == "alternatives"
    assert predictor.predict(path, text="yes").alternatives is None
    (tmp_path / "answers.txt").write_text("a red cat and a dog " * 4)
    with pytest.raises(UserError, match=r"unseen.yaml:13: generate.max_tokens: the choice .* fit"):
        predictor.predict(path, text="yes")


def test_more_boxes_where_they_are_asked_for(predictor, picture) -> None:
    asked = {"image": picture(1), "phrase": "a dog"}
    several = predictor.predict("tiny_ground", "en", n=3, **asked)
    assert len({tuple(a.boxes[0]) for a in several.alternatives}) == 3
    for x1, y1, x2, y2 in (a.boxes[0] for a in several.alternatives):
        assert 0 <= x1 < x2 <= 40
        assert 0 <= y1 < y2 <= 20
