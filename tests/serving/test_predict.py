"""Questions by HTTP are answered as in Python."""

from __future__ import annotations

import base64
import io

import httpx
import pytest
from PIL import Image

from tests.serving.conftest import Running, png, url_of


def test_a_question_in_json(served: Running, picture) -> None:
    fields = {"image": url_of(picture(1)), "phrase": "a dog"}
    found = served.ask(task="tiny_ground", language="fa", fields=fields)
    assert found.status_code == 200, found.text
    row = served.predictor.predict("tiny_ground", "fa", image=picture(1), phrase="a dog").as_row()
    del row["key"], row["error"]
    answered = found.json()
    assert answered.pop("score") == pytest.approx(row.pop("score"), abs=1e-5)
    assert answered == {"task": "tiny_ground", "language": "fa", **row}


def test_a_question_in_a_form(served: Running, picture) -> None:
    parts = {"task": "tiny_choose", "spot": "1, 2, 30, 12", "question": "a dog", "n": "3"}
    files = {"picture": ("a.png", png(picture(2)))}
    found = httpx.post(f"{served.url}/predict", data=parts, files=files)
    assert found.status_code == 200, found.text
    fields = {"picture": picture(2), "spot": [1, 2, 30, 12], "question": "a dog"}
    expected = served.predictor.predict("tiny_choose", n=3, **fields)
    assert found.json()["prediction"] == expected.text
    ranked = [one["prediction"] for one in found.json()["alternatives"]]
    assert ranked == [one.text for one in expected.alternatives]
    assert found.json()["alternatives"][2]["score"] == pytest.approx(
        expected.alternatives[2].score, abs=1e-5
    )


def test_many_images_of_a_field(served: Running, picture) -> None:
    images = [picture(1), picture(2)]
    expected = served.predictor.predict("tiny_compare", pictures=images).text
    asked = {"pictures": [url_of(image) for image in images]}
    assert served.ask(task="tiny_compare", fields=asked).json()["prediction"] == expected
    files = [("pictures", ("a.png", png(image))) for image in images]
    found = httpx.post(f"{served.url}/predict", data={"task": "tiny_compare"}, files=files)
    assert found.json()["prediction"] == expected


def test_shapes_are_drawn_on_the_picture(served: Running, picture) -> None:
    fields = {"image": url_of(picture(1)), "phrase": "a dog"}
    found = served.ask(task="tiny_ground", language="en", fields=fields, draw=True).json()
    drawn = Image.open(io.BytesIO(base64.b64decode(found["drawn"].partition(",")[2])))
    assert drawn.size == (480, 240)


@pytest.mark.parametrize(
    ("method", "choices"),
    [(None, ["a dog", "eine Katze"]), ("score_choices", ["no"]), ("constrained", ["x", "y"])],
)
def test_answers_are_among_the_choices_of_the_request(
    served: Running, method: str | None, choices: list[str]
) -> None:
    how = {} if method is None else {"generate": {"method": method}}
    found = served.ask(task="tiny_copy", fields={"text": "a red cat"}, choices=choices, **how)
    assert found.json()["prediction"] in choices


def test_a_request_may_say_how_to_answer(served: Running) -> None:
    for count in (1, 2):
        found = served.ask(
            task="tiny_copy", fields={"text": "a red cat"}, generate={"max_tokens": count}
        ).json()
        assert found["cut"]
    again = [
        served.ask(
            task="tiny_copy",
            fields={"text": "a red cat"},
            n=3,
            generate={"method": "sample", "seed": seed},
        ).json()["alternatives"]
        for seed in (1, 1, 2)
    ]
    assert again[0] == again[1] != again[2]
