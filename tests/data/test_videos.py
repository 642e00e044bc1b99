"""Frames of videos: which are read, from every form of a video, and what is said of bad ones."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from tests import filming
from unified_vl.augmentation.horizontal_flip import Mirrored
from unified_vl.codecs.segments import Clip
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.images.unread import UnreadImages
from unified_vl.data.rows.row import Row
from unified_vl.data.videos.sampling import frame_numbers, wanted_frames
from unified_vl.data.videos.video_loader import VideoLoader, by_numbers
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.tasks.fields import FieldSpec

COUNT = 12
FORMS = {
    "mp4": lambda root: filming.film(root / "a.mp4", COUNT, codec="libx264").name,
    "mkv": lambda root: filming.film(root / "a.mkv", COUNT, codec="libx264").name,
    "avi": lambda root: filming.film(root / "a.avi", COUNT).name,
    "gif": lambda root: filming.animation(root / "a.gif", COUNT).name,
    "webp": lambda root: filming.animation(root / "a.webp", COUNT, lossless=True).name,
    "folder": lambda root: filming.folder_of(root / "a", COUNT).name,
    "images": lambda root: filming.frames(COUNT),
    "array": lambda root: np.stack([np.asarray(frame) for frame in filming.frames(COUNT)]),
    "bytes": lambda root: filming.film(root / "a.mp4", COUNT).read_bytes(),
}


def load(
    root: Path, value: Any, *, random: Random | None = None, unread: bool = False, **keys: Any
) -> Clip:
    images = ImageLoader(root, (8, 8))
    field = FieldSpec(kind="video", column="clip", **({"frames": 4} | keys))
    row = Row({"clip": value}, "rows.jsonl", 2, "en")
    loader = VideoLoader(UnreadImages(images, sized=True) if unread else images)
    return loader.load(row, value, field, random)


def numbers_in(clip: Clip) -> list[int]:
    """The numbers of frames by their greys."""
    greys = [int(frame.image.pixels_HWC.mean()) for frame in clip.frames]
    known = np.array(filming.shades(COUNT))
    return [int(np.abs(known - grey).argmin()) for grey in greys]


@given(st.integers(1, 10_000), st.integers(1, 64), st.none() | st.integers(0, 2**32))
def test_one_frame_is_taken_of_each_part(count: int, most: int, seed: int | None) -> None:
    wanted = wanted_frames(count, most)
    found = frame_numbers(count, wanted, None if seed is None else Random(seed))
    assert len(found) == wanted == min(count, most)
    for part, number in enumerate(found):
        assert part * count // wanted <= number < -(-(part + 1) * count // wanted)
    assert sorted(set(found)) == found
    spaces = {b - a for a, b in pairwise(found)}
    assert not spaces or max(spaces) - min(spaces) <= 1


@given(st.integers(1, 500), st.integers(1, 32), st.floats(0.1, 50), st.floats(0.1, 60))
def test_a_rate_takes_no_more_than_the_most_nor_than_there_are(
    count: int, most: int, rate: float, seconds: float
) -> None:
    found = wanted_frames(count, most, rate, seconds)
    assert 1 <= found <= min(count, most)
    assert found == min(count, most) or found == max(1, round(rate * seconds))


def test_evaluation_takes_the_middle_and_training_all_frames_in_time() -> None:
    assert frame_numbers(12, 4) == [1, 4, 7, 10]
    seen = {number for seed in range(60) for number in frame_numbers(12, 4, Random(seed))}
    assert seen == set(range(12))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_frames(form: str, tmp_path: Path) -> None:
    value = FORMS[form](tmp_path)
    clip = load(tmp_path, value)
    assert numbers_in(clip) == [1, 4, 7, 10]
    assert [frame.frame for frame in clip.frames] == [0, 1, 2, 3]
    numbers = frame_numbers(COUNT, 4, Random(5))
    assert numbers_in(load(tmp_path, value, random=Random(5))) == numbers
    unread = load(tmp_path, value, random=Random(5), unread=True)
    assert [frame.image.size for frame in unread.frames] == [(16, 16)] * 4
    assert numbers_in(unread) == numbers
    assert len(load(tmp_path, value, frames=64).frames) == COUNT


@pytest.mark.parametrize("form", ["mp4", "mkv", "gif", "webp"])
def test_a_rate_goes_by_the_time_of_a_file(form: str, tmp_path: Path) -> None:
    clip = load(tmp_path, FORMS[form](tmp_path), frames=64, rate=12.5)  # of 25 a second
    assert clip.seconds == pytest.approx(COUNT / 25, abs=0.05)
    assert len(clip.frames) == 6


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_an_animation_goes_by_the_times_of_its_frames(name: str, tmp_path: Path) -> None:
    first, second, third = filming.frames(3)
    frames = [first, second, second, second, third, third]  # what stays the same is written once
    more = {"lossless": True} if name == "a.webp" else {}
    first.save(tmp_path / name, save_all=True, append_images=frames[1:], duration=50, **more)
    clip = load(tmp_path, name, frames=6)
    greys = [int(frame.image.pixels_HWC.mean()) for frame in clip.frames]
    assert greys == [filming.shades(3)[place] for place in (0, 1, 1, 1, 2, 2)]


def test_a_rate_of_frames_without_times_needs_theirs(tmp_path: Path) -> None:
    images = filming.frames(COUNT)
    assert len(load(tmp_path, images, rate=5.0, frame_rate=10.0, frames=8).frames) == 6
    with pytest.raises(BadRow, match=r"how long.*frame_rate"):
        load(tmp_path, images, rate=5.0)


def test_a_long_film_is_read_by_its_key_frames(tmp_path: Path) -> None:
    filming.film(tmp_path / "long.mp4", COUNT, rate=1, codec="libx264", g="2", bf="1")
    assert numbers_in(load(tmp_path, "long.mp4", frames=2)) == [3, 9]
    assert numbers_in(load(tmp_path, "long.mp4", frames=12)) == list(range(12))


def test_names_are_sorted_as_people_count() -> None:
    names = ["f10.png", "f9.png", "F2.png", "a1b10.png", "a1b9.png"]
    assert sorted(names, key=by_numbers) == ["a1b9.png", "a1b10.png", "F2.png", "f9.png", "f10.png"]


def broken(root: Path) -> str:
    path = filming.film(root / "broken.mp4", COUNT)
    path.write_bytes(path.read_bytes()[:200])
    return path.name


def cut(root: Path) -> str:
    path = filming.film(root / "cut.avi", 200, rate=10)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path.name


def playlist(root: Path) -> str:
    filming.film(root / "real.ts", COUNT, codec="mpeg2video")
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{root / 'real.ts'}\n#EXT-X-ENDLIST\n"
    (root / "list.mp4").write_text(text)
    return "list.mp4"


def written(root: Path, name: str, content: bytes) -> str:
    (root / name).write_bytes(content)
    return name


BAD = {
    "nothing": (lambda root: None, "found nothing in place of a video"),
    "a number": (lambda root: 3, "found int in place of a video"),
    "no frames": (lambda root: [], "a video of no frames"),
    "missing": (lambda root: "none.mp4", "there is no video 'none.mp4'"),
    "outside": (lambda root: "../x.mp4", "the video '../x.mp4' leaves the data root"),
    "empty file": (lambda root: written(root, "e.mp4", b""), "the video 'e.mp4' cannot be read"),
    "text": (lambda root: written(root, "t.mp4", b"hello " * 99), "'t.mp4' cannot be read"),
    "broken": (broken, "the video 'broken.mp4' cannot be read"),
    "cut": (cut, r"the video 'cut.avi' (ends before|cannot be read)"),
    "a playlist": (playlist, "the video 'list.mp4' cannot be read"),
    "a folder of none": (lambda root: (root / "f").mkdir() or "f", "the folder 'f' holds no image"),
    "a bad frame": (
        lambda root: [written(root, "a.png", b"no"), "a.png"],
        "the image 'a.png' cannot be read",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_video_is_said_with_its_row(name: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    make, message = BAD[name]
    value = make(root)
    with pytest.raises(BadRow, match=message) as error:
        load(root, value)
    assert "rows.jsonl:3" in str(error.value)


def test_without_pyav_one_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filming.film(tmp_path / "a.mp4", COUNT)
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("unified_vl.extras._there", lambda module: module != "av")
    with pytest.raises(UserError, match=r"'av' is not installed.*unified_vl\[video\]"):
        load(tmp_path, "a.mp4")
    filming.animation(tmp_path / "a.gif", COUNT)
    assert numbers_in(load(tmp_path, "a.gif")) == [1, 4, 7, 10]


def test_all_frames_go_through_the_same_changes() -> None:
    from unified_vl.data.images.augmenting import _changed

    half = PILImage.new("RGB", (8, 8))
    half.paste("white", (0, 0, 4, 8))
    changed = _changed(load(Path(), [half, half], frames=2), [Mirrored()])
    assert isinstance(changed, Clip)
    for number, frame in enumerate(changed.frames):
        assert frame.frame == number
        assert frame.image.pixels_HWC[:, :4].max() == 0
        assert frame.image.pixels_HWC[:, 4:].min() == 255
