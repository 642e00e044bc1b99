from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unified_vl.data.images.code_cache import ImageCodeCache, cache_directory


class MeanCodec:
    """A code for the mean of each square of 4 pixels."""

    fingerprint = "means"
    codes = 256
    downsampling = 4

    def encode(self, pixels_BHW3: np.ndarray) -> np.ndarray:
        batch, height, width, _ = pixels_BHW3.shape
        squares = pixels_BHW3.reshape(batch, height // 4, 4, width // 4, 4, 3)
        return squares.mean(axis=(2, 4, 5)).astype(np.int64)

    def decode(self, codes_Bhw: np.ndarray) -> np.ndarray:
        grey = codes_Bhw.repeat(4, axis=1).repeat(4, axis=2)[..., None]
        return grey.repeat(3, axis=3).astype(np.uint8)


def image(seed: int, height: int = 8, width: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_codes_are_computed_once(tmp_path: Path) -> None:
    first = ImageCodeCache(MeanCodec(), tmp_path)
    found = [first.codes(image(seed)) for seed in (0, 1, 0)]
    assert first.computed == 2
    again = ImageCodeCache(MeanCodec(), tmp_path)
    assert np.array_equal(again.codes(image(0)), found[0])
    assert again.computed == 0
    assert found[0].shape == (2, 3)
    assert np.array_equal(found[0], MeanCodec().encode(image(0)[None])[0])


def test_shape_is_part_of_what_an_image_is(tmp_path: Path) -> None:
    cache = ImageCodeCache(MeanCodec(), tmp_path)
    pixels = image(0)
    assert cache.codes(pixels).shape == (2, 3)
    assert cache.codes(pixels.reshape(12, 8, 3)).shape == (3, 2)


def test_another_tokenizer_has_a_cache_of_its_own(tmp_path: Path) -> None:
    ImageCodeCache(MeanCodec(), tmp_path).codes(image(0))
    other = MeanCodec()
    other.fingerprint = "others"  # type: ignore[misc]
    cache = ImageCodeCache(other, tmp_path)
    cache.codes(image(0))
    assert cache.computed == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["means", "others"]


@pytest.mark.parametrize("content", [b"", b"not an array", "other shape", "other codes", "pickle"])
def test_a_broken_file_is_computed_anew(tmp_path: Path, content: bytes | str) -> None:
    cache = ImageCodeCache(MeanCodec(), tmp_path)
    right = cache.codes(image(0))
    (path,) = tmp_path.rglob("*.npy")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "other shape":
        np.save(path, np.zeros((2, 2), np.int32))
    elif content == "other codes":
        np.save(path, np.full((2, 3), 256, np.int32))
    else:
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert np.array_equal(cache.codes(image(0)), right)
    assert cache.computed == 2
    assert np.array_equal(np.load(path), right)


def test_without_room_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "means").write_text("a file where the folder should be")
    cache = ImageCodeCache(MeanCodec(), tmp_path)
    assert cache.codes(image(0)).shape == (2, 3)
    assert ImageCodeCache(MeanCodec(), None).codes(image(0)).shape == (2, 3)


def test_processes_share_a_cache(tmp_path: Path) -> None:
    """All write the same files at once; each then holds the right codes."""
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_image_codes import ImageCodeCache, MeanCodec, image\n"
        "cache = ImageCodeCache(MeanCodec(), Path(sys.argv[1]))\n"
        "for seed in range(40): cache.codes(image(seed))\n"
    )
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", program, str(tmp_path), here]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    cache = ImageCodeCache(MeanCodec(), tmp_path)
    for seed in range(40):
        assert np.array_equal(cache.codes(image(seed)), MeanCodec().encode(image(seed)[None])[0])
    assert cache.computed == 0
    assert len(list(tmp_path.rglob("*"))) == 1 + len(list((tmp_path / "means").iterdir())) + 40


def test_where_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "unified_vl"
