from __future__ import annotations

from collections.abc import Callable

import pytest

from unified_vl.errors import UserError

FIVE = ("first", "second", "third", "fourth", "fifth")


def test_a_sentence_its_translation_and_its_image(read_all: Callable) -> None:
    texts = {"source": "One.\nTwo.\n", "target": "Eins.\nZwei.\n", "images": "8.jpg\n9.jpg\n"}
    assert read_all("multi30k_pairs", **texts) == [
        {"key": "8", "image": "8.jpg", "source": "One.", "target": "Eins."},
        {"key": "9", "image": "9.jpg", "source": "Two.", "target": "Zwei."},
    ]


def test_one_language_alone(read_all: Callable) -> None:
    (row,) = read_all("multi30k_pairs", target="Eins.\n", images="8.jpg\n")
    assert row == {"key": "8", "image": "8.jpg", "source": None, "target": "Eins."}


def test_five_captions_an_image(read_all: Callable) -> None:
    texts = {name: f"{name} \n" for name in FIVE}
    (row,) = read_all("multi30k_captions", **texts, images="8.jpg\n")
    assert row == {"key": "8", "image": "8.jpg", "captions": list(FIVE)}


def test_files_of_different_lengths_are_refused(read_all: Callable) -> None:
    texts = dict.fromkeys(FIVE, "x\n") | {"third": "x\ny\n"}
    with pytest.raises(UserError, match=r"third.json: has 2 lines; expected 1, as first.json"):
        read_all("multi30k_captions", **texts, images="8.jpg\n")
    with pytest.raises(UserError, match=r"images.json: has 1 lines; expected 2, as target.json"):
        read_all("multi30k_pairs", target="x\ny\n", images="8.jpg\n")
