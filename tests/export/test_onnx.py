"""unified_vl/export: graphs give the model's numbers, and run without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.export.conftest import Exported, answered, random_model
from tests.tiny import Tiny
from unified_vl.cli.main import app
from unified_vl.codecs.segments import Image, Tag, Text
from unified_vl.errors import UserError
from unified_vl.export import onnx_directory
from unified_vl.export.example.answer import prepare, upright
from unified_vl.export.graphs import EncoderGraph, FirstGraph, NextGraph
from unified_vl.export.onnx_directory import write_onnx
from unified_vl.export.onnx_files import for_export
from unified_vl.export.running import CASES, compare
from unified_vl.model.backbone import Backbone

MODELS: dict[str, dict[str, Any]] = {
    "text alone": {},
    "patches": {"vision": {"kind": "patches", "image_size": [16, 16], "patch_size": 8}},
    "stem": {"vision": {"kind": "stem", "image_size": [32, 32]}},
    "timm": {"vision": {"kind": "timm", "backbone": "test_resnet", "image_size": [64, 64]}},
    "resampler": {
        "vision": {
            "kind": "patches",
            "image_size": [16, 16],
            "patch_size": 4,
            "pool": {"kind": "resampler", "tokens": 3, "layers": 1},
        }
    },
    "codes, tied": {
        "code_token_ids": [100, 116],
        "code_mask_id": 99,
        "code_downsampling": 8,
        "code_image_size": [16, 24],
        "tie_word_embeddings": True,
        "scale_decoder_output": True,
    },
    "biases of each layer, ungated": {"bias_per_layer": True, "gated": False, "activation": "relu"},
}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_graphs_compute_what_the_model_does(name: str) -> None:
    """As functions: what torch.onnx makes of them `compare` looks at in every export."""
    model = random_model(**MODELS[name])
    graphs = for_export(model)
    generator = torch.Generator().manual_seed(1)
    ids_BS = torch.randint(6, 130, (3, 30), generator=generator)
    mask_BS = torch.ones_like(ids_BS)
    mask_BS[2, 20:] = 0
    pixels_NCHW = None
    if model.encoder.vision is not None:
        ids_BS[1, 4 : 4 + model.config.image_tokens] = model.config.image_token_id
        shape = (1, 3, *model.config.image_size)
        pixels_NCHW = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    expected_BSM = model.encode(ids_BS, mask_BS, pixels_NCHW)
    found_BSM = EncoderGraph(graphs)(ids_BS, mask_BS, pixels_NCHW)
    torch.testing.assert_close(found_BSM, expected_BSM, atol=1e-5, rtol=1e-5)
    ids_BT = torch.randint(6, 130, (3, 200), generator=generator)  # beyond the last bucket
    expected_BTV = model(
        encoder_outputs=(expected_BSM,), attention_mask=mask_BS, decoder_input_ids=ids_BT
    ).logits
    first_BTV, *kept = FirstGraph(graphs)(ids_BT[:, :2], mask_BS, found_BSM)
    layers = 2 * model.config.num_decoder_layers
    own, cross = kept[:layers], kept[layers:]
    parts = [first_BTV]
    for start, stop in ((2, 3), (3, 190), (190, 200)):
        next_BTV, *own = NextGraph(graphs)(ids_BT[:, start:stop], mask_BS, own, cross)
        parts.append(next_BTV)
    torch.testing.assert_close(torch.cat(parts, 1), expected_BTV, atol=1e-4, rtol=1e-4)


def test_a_directory_holds_what_is_needed_and_nothing_of_this_machine(exported: Exported) -> None:
    names = {path.name for path in exported.directory.iterdir()}
    assert names == {
        *("encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx"),
        *("weights.data", "export.json", "tokenizer", "answer.py", "answer.js", "index.html"),
    }
    about = json.loads((exported.directory / "export.json").read_text(encoding="utf-8"))
    assert max(about["checked"]["greatest_difference"].values()) < 1e-4
    assert about["graphs"][0]["inputs"]["pixel_values"] == {"0": "images"}
    assert about["tasks"]["tiny_caption"]["source"]["de"][0]["tag"] == "task:tiny_caption"
    for path in exported.directory.glob("*.onnx"):
        content = path.read_bytes()
        assert b"site-packages" not in content and str(Path.home()).encode() not in content
    weights = sum(p.numel() for p in exported.tiny.saved.model.parameters()) * 4
    # each weight once; what is transposed or a table of positions is there besides
    assert (exported.directory / "weights.data").stat().st_size < 1.3 * weights


@pytest.mark.parametrize("task", ["tiny_caption", "tiny_ground", "tiny_copy"])
def test_the_example_answers_as_the_model_does(exported: Exported, task: str) -> None:
    """In a process that has none of this package's modules."""
    fields = exported.asked[task]
    words = [f"{name}={value}" for name, value in fields.items()]
    program = (
        "import runpy, sys; sys.argv = sys.argv[1:];"
        "runpy.run_path(sys.argv[0], run_name='__main__');"
        "assert not {'unified_vl', 'torch', 'transformers'} & set(sys.modules)"
    )
    language = "fa" if task != "tiny_copy" else "en"
    done = subprocess.run(
        [sys.executable, "-c", program, exported.directory / "answer.py", task, language, *words],
        capture_output=True,
        text=True,
        cwd=exported.directory,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == answered(exported.tiny, task, language, fields)


def test_images_are_prepared_alike(tmp_path: Path) -> None:
    from PIL import Image as PILImage

    from unified_vl.codecs.images import resize
    from unified_vl.data.images.image_loader import ImageLoader

    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (37, 53, 4), dtype=np.uint8)
    PILImage.fromarray(pixels).save(tmp_path / "a.png")
    for fit in ("stretch", "pad"):
        loaded = ImageLoader(tmp_path, (24, 32), fit=fit).load("a.png", "")
        about = {"size": [24, 32], "fit": fit, "padding": [128] * 3}
        found = prepare(upright(tmp_path / "a.png"), about)
        assert np.array_equal(found, loaded.pixels_HWC), (fit, resize)


def test_graphs_that_differ_are_refused_and_nothing_is_left(
    tiny: Tiny, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graphs of the fixture stand for those of the next export, which takes long."""
    import shutil

    def as_before(graphs: object, source: Path, target: Path) -> None:
        for path in (*exported.directory.glob("*.onnx"), exported.directory / "weights.data"):
            shutil.copy(path, target)

    monkeypatch.setattr(onnx_directory, "write_graph", lambda graph, folder: None)
    monkeypatch.setattr(onnx_directory, "share_weights", as_before)
    with pytest.raises(UserError, match="the graphs differ from the model by"):
        write_onnx(tiny.saved, tmp_path / "onnx", limit=1e-9)
    other = for_export(tiny.saved.model)
    with torch.no_grad():
        other.decoder.norm.weight += 0.1
    assert max(compare(other, exported.directory).greatest.values()) > 1e-3
    with pytest.raises(UserError, match="differ"):
        write_onnx(replace(tiny.saved, model=other), tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []
    write_onnx(tiny.saved, tmp_path / "onnx")
    assert len(CASES) > 1 and (tmp_path / "onnx/export.json").is_file()


def _backbone(tiny: Tiny) -> Any:
    class Other(Backbone):
        class config:
            model_type = "florence2"

    return replace(tiny.saved, model=Other())


BAD: list[tuple[str, Callable[[Path, Path], list[str]], str]] = [
    ("existing", lambda model, to: [str(model), "--onnx", str(model)], "is there already"),
    (
        "no model",
        lambda model, to: [str(to / "none"), "--onnx", str(to / "o")],
        "no model directory",
    ),
    ("no target", lambda model, to: [str(model)], "--onnx is missing"),
]


@pytest.mark.parametrize(("words", "said"), [case[1:] for case in BAD], ids=[c[0] for c in BAD])
def test_bad_input_is_one_message(
    words: Callable[[Path, Path], list[str]], said: str, model_directory: Path, tmp_path: Path
) -> None:
    found = CliRunner().invoke(app, ["export", *words(model_directory, tmp_path)])
    assert isinstance(found.exception, UserError) and said in str(found.exception)


def test_models_of_transformers_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a florence2 model, which transformers computes"):
        write_onnx(_backbone(tiny), tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_segments_are_what_the_description_says(exported: Exported) -> None:
    """A source by `export.json` is the one that the model's own package builds."""
    from unified_vl.export.example.answer import Model

    example = Model(exported.directory, threads=1)
    codec = exported.tiny.saved.codec
    for task, fields in exported.asked.items():
        parts = example.about["tasks"][task]["source"]["en"]
        ids, images = example.source(parts, fields)
        segments = exported.example(task, "en").source
        assert ids == codec.encode_source(segments).ids
        assert len(images) == sum(isinstance(segment, Image) for segment in segments)
        assert {type(segment) for segment in segments} <= {Image, Tag, Text}
