from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError

SENTENCES = """\
[/EN#1/people Two men] with [/EN#0/notvisual each other] near [/EN#2/bodyparts/other a hand] .
No phrase here .
[/EN#3/scene A yard]
"""
XML = """\
<annotation>
  <filename>7.jpg</filename>
  <size><width>100</width><height>50</height><depth>3</depth></size>
  <object><name>1</name><bndbox><xmin>1</xmin><ymin>11</ymin><xmax>21</xmax><ymax>41</ymax></bndbox></object>
  <object><name>1</name><name>2</name><bndbox><xmin>31</xmin><ymin>1</ymin><xmax>120</xmax><ymax>31</ymax></bndbox></object>
  <object><name>3</name><scene>1</scene><nobndbox>0</nobndbox></object>
</annotation>
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder, with the files of image 7."""
    for folder, name, text in (("Sentences", "7.txt", SENTENCES), ("Annotations", "7.xml", XML)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    return tmp_path


@pytest.mark.usefixtures("image")
def test_a_row_is_a_phrase_with_boxes(read_all: Callable) -> None:
    sentence = "Two men with each other near a hand ."
    assert read_all("flickr30k_phrases", ("width", "height"), path="7\n") == [
        {
            "key": "7_0_0",
            "image": "7.jpg",
            "sentence": sentence,
            "phrase": "Two men",
            "type": "people",
            "box": [0.0, 0.0, 100.0, 40.0],
            "boxes": [[0.0, 10.0, 20.0, 40.0], [30.0, 0.0, 100.0, 30.0]],
        },
        {
            "key": "7_0_2",
            "image": "7.jpg",
            "sentence": sentence,
            "phrase": "a hand",
            "type": "bodyparts",
            "box": [30.0, 0.0, 100.0, 30.0],
            "boxes": [[30.0, 0.0, 100.0, 30.0]],
        },
    ]


@pytest.mark.usefixtures("image")
def test_a_row_is_a_sentence_cut_behind_its_phrases(read_all: Callable) -> None:
    (row,) = read_all("flickr30k_sentences", ("width", "height"), path="7")
    assert row == {
        "key": "7_0",
        "image": "7.jpg",
        "sentence": "Two men with each other near a hand .",
        "captions": ["Two men with each other near a hand .", "No phrase here .", "A yard"],
        "pieces": ["Two men", "with each other near a hand"],
        "boxes": [[0.0, 0.0, 100.0, 40.0], [30.0, 0.0, 100.0, 30.0]],
        "rest": ".",
    }


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("Annotations/7.xml", "<annotation>", "7.xml: is not XML: no element found"),
        ("Annotations/7.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', "has a document type"),
        ("Annotations/7.xml", "<annotation/>", "size/width: found None; expected a whole number"),
        (
            "Annotations/7.xml",
            XML.replace(">21<", ">left<"),
            "xmax: found 'left'; expected a whole",
        ),
        ("Sentences/7.txt", "A man\n[/EN#1/people A man", "7.txt:2: found .*; expected .*WORDS"),
        ("path.json", "7\n../../7\n", "path.json:2: found '../../7'; expected the id of an image"),
        ("path.json", "7\n8\n", "8.xml: does not exist"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    read_all: Callable, image: Path, file: str, text: str, says: str
) -> None:
    (image / file).write_text(text)
    with pytest.raises(UserError, match=says):
        read_all("flickr30k_phrases", path=text if file == "path.json" else "7\n")
