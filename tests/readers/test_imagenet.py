from __future__ import annotations

from collections.abc import Callable

import pytest

from unified_vl.errors import UserError

CLASSES = "n01440764 tench, Tinca tinca\nn02012849 crane\n"
HEAD = "ImageId,PredictionString\n"


def test_the_class_of_an_image_and_its_folder(read_all: Callable) -> None:
    images = f"{HEAD}n02012849_5,n02012849 1 2 3 4 \nILSVRC2012_val_00000001,n01440764 1 2 3 4\n"
    assert read_all("imagenet", images=images, classes=CLASSES) == [
        {
            "key": "n02012849_5",
            "image": "n02012849/n02012849_5.JPEG",
            "synset": "n02012849",
            "number": 1,
            "name": "crane",
            "names": "crane",
        },
        {
            "key": "ILSVRC2012_val_00000001",
            "image": "ILSVRC2012_val_00000001.JPEG",
            "synset": "n01440764",
            "number": 0,
            "name": "tench",
            "names": "tench, Tinca tinca",
        },
    ]


@pytest.mark.parametrize(
    ("images", "classes", "says"),
    [
        (
            f"{HEAD}a,n02012840 1 2 3 4\n",
            CLASSES,
            "images.json:2: there is no class 'n02012840'; did",
        ),
        (f"{HEAD}a b\n", CLASSES, "images.json:2: found 'a b'; expected ImageId,PredictionString"),
        (HEAD, "n01440764\n", "classes.json:1: found 'n01440764'; expected a WordNet id, a space"),
    ],
)
def test_lists_of_another_shape_are_refused(
    read_all: Callable, images: str, classes: str, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_all("imagenet", images=images, classes=classes)
