"""What people see of models, answers and specs in a console and in a notebook."""

from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image

from tests.tiny import Tiny
from unified_vl import Mixture
from unified_vl.inference.prediction import Alternative, Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.shown import SIDE, pictures

EVIL = "<script>alert('x')</script>&\"'"


class Tags(HTMLParser):
    """The names of the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


@pytest.mark.parametrize(
    ("prediction", "shown"),
    [
        (Prediction("k", "a cat", -0.25), "<Prediction: 'a cat', score -0.250>"),
        (
            Prediction("k", "", -1.0, shapes={"boxes": [[0, 1, 2, 3]]}, cut=True),
            "<Prediction: '', score -1.000, boxes [[0, 1, 2, 3]], cut at max_tokens>",
        ),
        (Prediction(None, None, None, error="why"), "<Prediction: no answer: why>"),
        (
            Prediction("k", "a", -1.0, alternatives=(Alternative("a", -1.0),)),
            "<Prediction: 'a', score -1.000, 1 alternatives>",
        ),
        (Alternative("b", -2.0), "<Alternative: 'b', score -2.000>"),
    ],
)
def test_an_answer_says_what_matters(prediction: Prediction, shown: str) -> None:
    assert repr(prediction) == shown


def test_pictures_of_an_answer_are_in_the_page() -> None:
    image = Image.new("RGB", (2000, 1000), "red")
    page = Prediction("k", "a", -1.0, images=(image,))._repr_html_()
    assert Tags(page).found.count("img") == 1
    assert "data:image/png;base64," in page and len(page) < 20_000
    assert image.size == (2000, 1000)
    assert pictures([]) == "" and SIDE < 1000


@pytest.mark.parametrize(
    "prediction",
    [
        Prediction(EVIL, EVIL, -1.0, shapes={"labels": [EVIL]}, other_script=True),
        Prediction(None, None, None, error=EVIL),
        Prediction("k", "a", -1.0, alternatives=(Alternative(EVIL, -1.0),)),
    ],
)
def test_whatever_is_written_is_text(prediction: Prediction) -> None:
    page = prediction._repr_html_()
    assert "script" not in Tags(page).found
    assert "&lt;script&gt;" in page


def test_a_model_and_its_specs_say_what_they_do(tiny: Tiny) -> None:
    model = UnifiedVL(tiny.saved)
    page = model._repr_html_()
    assert all(f"<td>{name}</td>" in page for name in model.tasks)
    spec = tiny.specs["tiny_ground"]
    assert repr(spec) == "<TaskSpec tiny_ground: image, phrase -> box (en, de, fa)>"
    evil = type(spec)(**{**spec.model_dump(exclude_unset=True, by_alias=True), "about": EVIL})
    assert "script" not in Tags(evil._repr_html_()).found
    mixture = Mixture(mixture="both", version=1, tasks=[{"spec": spec}])
    assert repr(mixture) == "<Mixture both: tiny_ground>"
