"""docs/extending.md: what its code registers is trained with, and is known wherever keys are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unified_vl import Run, UnifiedVL, UserError, load_run, train
from unified_vl.authoring.reference import pages
from unified_vl.model.encoders import registry as encoders
from unified_vl.specs.reading.schema import editor_schemas, json_schemas

ROOT = Path(__file__).parents[2]
SECTIONS = re.split(r"^## (.+)\n", (ROOT / "docs/extending.md").read_text(), flags=re.M)[1:]


def block(title: str, kind: str) -> str:
    """The first fenced block of a kind in a section of the page."""
    text = SECTIONS[2 * SECTIONS[::2].index(title) + 1]
    found = re.search(rf"^```{kind}\n(.*?)^```$", text, flags=re.M | re.S)
    assert found, f"{title} has no block of {kind}"
    return found[1]


def register(title: str) -> dict[str, Any]:
    """Run the code of a section; what it defines."""
    names: dict[str, Any] = {}
    exec(compile(block(title, "python"), f"docs/extending.md, {title}", "exec"), names)
    return names


def a_run(squares: Path, output: Path, **changes: Any) -> Run:
    return load_run(
        squares / "run.yaml", [f"output={output}", *(f"{k}={v}" for k, v in changes.items())]
    )


def losses(output: Path) -> list[float]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [event["loss"] for event in events if event["event"] == "step"]


def known(where: str, key: str) -> bool:
    """Whether the schemas, those for editors and docs/keys.md have a key."""
    whole, editors, page = json_schemas()[where], editor_schemas()[where], pages()["keys.md"]
    return key in json.dumps(whole) and key in json.dumps(editors) and f"`{key}`" in page


@pytest.fixture
def mosaic() -> Iterator[dict[str, Any]]:
    yield register("Add an image encoder")
    encoders.unregister("mosaic")
    assert not known("run", "tiles")


VISION = "{kind: mosaic, image_size: [8, 8], tiles: 4}"


def test_an_encoder_is_trained_saved_and_opened(
    mosaic: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    assert VISION in block("Add an image encoder", "yaml")
    run = a_run(squares, tmp_path / "run", **{"model.vision": VISION})
    model = UnifiedVL.from_pretrained(train(run, progress=False))
    assert len(losses(run.output)) == run.steps
    weights = dict(model.model.encoder.vision.features.named_parameters())
    assert weights["1.weight"].shape == (32, 3, 1, 1)
    assert model.model.config.image_tokens == 16
    assert model.predict("see", image=squares / "data/red.png").text is not None


def test_the_keys_of_an_encoder_are_keys_as_others(
    mosaic: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    assert known("run", "tiles")
    for vision, said in {
        "{kind: mosaik}": "kind: found 'mosaik'; expected .*; did you mean 'mosaic'",
        "{kind: mosaic, tiles: x}": "tiles: found 'x'; expected a whole number",
        "{kind: mosaic, tils: 3}": "tils: is not a known key; did you mean 'tiles'",
        "{kind: stem, tiles: 3}": "tiles: an image branch of kind 'stem' does not read this",
        "{kind: mosaic, channels: [16]}": "channels: an image branch of kind 'mosaic' does not",
        "{kind: mosaic, image_size: [3, 3], tiles: 4}": "tiles: found 4; expected as many as",
    }.items():
        with pytest.raises(UserError, match=said):
            a_run(squares, tmp_path, **{"model.vision": vision})


def test_a_name_or_a_key_that_is_taken_cannot_be_registered(mosaic: dict[str, Any]) -> None:
    made = encoders.ENCODERS["mosaic"]
    with pytest.raises(ValueError, match="there is an image encoder 'mosaic' already"):
        encoders.register(made)
