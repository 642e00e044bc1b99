from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.readers.benchmarks.flickr_tokens import images_of_list

TOKENS = "2.jpg#0\tA cat .\n1.jpg#0\tA dog .\n\n2.jpg#1\tA small cat .\n3.jpg#0\tA hen .\n"


def test_the_images_of_a_list_with_all_their_captions(read_all: Callable) -> None:
    rows = read_all("flickr_tokens", captions=TOKENS, images="1\n2.jpg\n\n")
    assert rows == [
        {"key": "1", "image": "1.jpg", "captions": ["A dog ."]},
        {"key": "2", "image": "2.jpg", "captions": ["A cat .", "A small cat ."]},
    ]


def test_without_a_list_all_images_in_the_order_of_the_file(read_all: Callable) -> None:
    rows = read_all("flickr_tokens", captions=TOKENS)
    assert [row["key"] for row in rows] == ["2", "1", "3"]


@pytest.mark.parametrize(
    ("line", "image"),
    [
        ("1000092795.jpg", "1000092795.jpg"),
        ("1000092795", "1000092795.jpg"),
        ("COCO_train2014_000000117071.jpg#367178", "COCO_train2014_000000117071.jpg"),
        ("COCO_train2014_000000117071#0", "COCO_train2014_000000117071.jpg"),
        ("x.png", "x.png"),
        ("x.JPG", "x.JPG"),
        ("x.webp#2", "x.webp"),
        ("a.b", "a.b.jpg"),
    ],
)
def test_a_list_names_images_in_several_ways(tmp_path: Path, line: str, image: str) -> None:
    (tmp_path / "list.txt").write_text(f"{line}\n\n#\n")
    assert list(images_of_list(tmp_path / "list.txt")) == [(1, image)]


@pytest.mark.parametrize(
    ("tokens", "images", "says"),
    [
        (TOKENS, "1\n7\n", r"images.json:2: '.*captions.json' has no caption of '7.jpg'"),
        (TOKENS, "../1\n", r"images.json:1: found '../1'; expected the name of an image"),
        ("1.jpg#0 A dog .\n", "1\n", r"captions.json:1: found '1.jpg#0 A dog .'; expected IMAGE"),
        ("1.jpg\tA dog .\n", "1\n", r"captions.json:1: .* expected IMAGE.jpg#NUMBER, a tab"),
        ("1.jpg#0\t\n", "1\n", r"captions.json:1: .* a caption"),
    ],
)
def test_files_of_another_shape_are_refused(
    read_all: Callable, tokens: str, images: str, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_all("flickr_tokens", captions=tokens, images=images)
