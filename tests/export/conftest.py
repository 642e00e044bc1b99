"""The tiny model as ONNX, once: exporting takes half a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import Tiny, model_directory, picture, tiny  # noqa: F401
from unified_vl.data.batching import collate_encoded, encode_example
from unified_vl.data.example import Example
from unified_vl.decoding.protocol import encode
from unified_vl.decoding.search import write
from unified_vl.inference.inputs import input_row
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


@dataclass(frozen=True)
class Exported:
    """The directory, what it came from, and the fields of a question to each task."""

    directory: Path
    tiny: Tiny
    asked: Mapping[str, Mapping[str, str]]

    def example(self, task: str, language: str) -> Example:
        return example_of(self.tiny, task, language, self.asked[task])


@pytest.fixture(scope="session")
def exported(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Exported:  # noqa: F811
    from unified_vl.export.onnx_directory import write_onnx

    folder = tmp_path_factory.mktemp("export") / "onnx"
    write_onnx(tiny.saved, folder)
    return Exported(folder, tiny, questions(tiny))


def questions(tiny: Tiny) -> dict[str, dict[str, str]]:  # noqa: F811
    images = tiny.data / "images"
    return {
        "tiny_caption": {"image": str(images / "1.png")},
        "tiny_ground": {"image": str(images / "2.png"), "phrase": " a  dög 🙂 گربه "},
        "tiny_copy": {"text": "yes\u200dno  Kätze"},
    }


def example_of(
    tiny: Tiny,  # noqa: F811
    task: str,
    language: str,
    fields: Mapping[str, str],
) -> Example:
    predictor = UnifiedVL(tiny.saved)
    spec = predictor.spec(task)
    row = input_row(spec, dict(fields), language, index=0)
    return predictor.builder(spec, root=None).build(row, seed=None, with_target=False)


def answered(
    tiny: Tiny,  # noqa: F811
    task: str,
    language: str,
    fields: Mapping[str, str],
) -> dict[str, Any]:
    """What answer.py prints, by the model itself."""
    saved = tiny.saved
    example = example_of(tiny, task, language, fields)
    batch = collate_encoded([encode_example(example, saved.codec, with_target=False)], 1)
    with torch.inference_mode():
        memory = encode(
            saved.model, batch.input_ids_BS, batch.attention_mask_BS, batch.pixel_values_NCHW
        )
        ((best,),) = write(saved.model, memory, saved.specs[task].generate.max_tokens)
    ids = [i for i in best.ids if i != saved.codec.vocabulary.eos_id]
    shapes: list[list[float]] = []
    before = -2
    places = saved.codec.vocabulary.locations
    for place, token in enumerate(ids):
        if token in places:
            if place != before + 1:
                shapes.append([])
            axis = len(shapes[-1]) % 2
            fraction = (token - places.start + 0.5) / len(places)
            shapes[-1].append(fraction * (example.image_size or (1, 1))[axis])
            before = place
    return {"ids": ids, "text": saved.codec.decode_text(ids), "shapes": shapes}


def random_model(**changes: Any) -> UnifiedVLForConditionalGeneration:
    """With biases and norms that are not those of a start."""
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4}
    more = {"image_token_id": 5} if "vision" in changes else {}
    torch.manual_seed(0)
    values = {"vocab_size": 256, "num_decoder_layers": 2, **sizes, **more, **changes}
    config = UnifiedVLConfig(**values)
    model = UnifiedVLForConditionalGeneration(config).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if "norm" in name or "bias" in name:
            weight.add_(torch.randn_like(weight) * 0.3)
    return model
