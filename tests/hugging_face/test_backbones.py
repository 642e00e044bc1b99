"""Saved models that `transformers` computes, by its Auto classes."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForImageTextToText, AutoModelForSeq2SeqLM, AutoProcessor

from tests.model.backbones.models import make
from tests.training.backbone_runs import write_tokenizer
from unified_vl import TaskSpec, UnifiedVL
from unified_vl.codecs.sequence import SequenceCodec, load_tokenizer
from unified_vl.codecs.vocabulary import IMAGE_TAG
from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.inference.saved_models.model_directory import save_model
from unified_vl.model.backbones.checkpoint import image_settings, load_backbone
from unified_vl.model.backbones.configuration import TransformersConfig

AUTOS = {
    "bart": AutoModelForSeq2SeqLM,
    "florence2": AutoModelForImageTextToText,
    "t5gemma2": AutoModelForSeq2SeqLM,
}
VISION = {"kind": "patches", "image_size": [8, 8], "patch_size": 4}


def spec(task: str, source: str) -> TaskSpec:
    fields: dict[str, Any] = {"text": {"kind": "text", "column": "text"}}
    if "image" in source:
        fields["image"] = {"kind": "image", "column": "image"}
    return TaskSpec(
        task=task,
        version=1,
        about="Say it.",
        data={
            "reader": "jsonl",
            "path": "{split}.jsonl",
            "splits": {"train": "train"},
            "languages": ["en"],
        },
        fields=fields,
        example={"source": source, "target": "{text}"},
        generate={"method": "beam", "beams": 3, "max_tokens": 8},
        score=[{"metric": "exact_match", "against": "text", "primary": True}],
    )


def saved(family: str, root: Path, vision: dict[str, Any] | None = None) -> Path:
    write_tokenizer(root / "tokenizer", family)
    vocabulary, text = load_tokenizer(root / "tokenizer")
    make(family, root / "checkpoint", rows=vocabulary.size)
    theirs = read_json_object(root / "checkpoint" / "config.json")
    config = TransformersConfig(
        theirs,
        **image_settings(root / "checkpoint"),
        image_token_id=vocabulary.tag_id(IMAGE_TAG),
        vision=vision,
    )
    model = load_backbone(root / "checkpoint", config, fresh_vision=True).eval()
    codec = SequenceCodec(
        vocabulary,
        text,
        image_tokens=config.image_tokens if config.reads_images else 0,
        image_size=config.image_size,
        max_source=60,
        max_target=20,
        around_image=config.around_image,
    )
    specs = [spec("say", "{task} {text}")]
    if config.reads_images:
        specs.append(spec("see", "{task} {image}"))
    save_model(root / "model", model, codec, specs)
    return root / "model"


@pytest.mark.parametrize("family", AUTOS)
def test_generate_writes_what_predict_writes(family: str, tmp_path: Path, picture: Any) -> None:
    folder = saved(family, tmp_path)
    model, processor = AUTOS[family].from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    ours = UnifiedVL.from_pretrained(folder, device="cpu")
    asked = {"say": {"text": ["rot", "green blue"]}}
    if family != "bart":
        asked["see"] = {"images": [picture(0), picture(5)]}
    for task, given in asked.items():
        inputs = processor(**given, task=task, return_tensors="pt")
        written = model.generate(**inputs, **processor.generation_arguments(inputs))
        found = processor.post_process(written, inputs)
        named = {{"images": "image"}.get(key, key): value for key, value in given.items()}
        expected = ours.predict(task, **named)
        assert [each.text for each in found] == [each.text for each in expected]


def test_an_image_branch_that_transformers_does_not_know_is_told(
    tmp_path: Path, picture: Any
) -> None:
    processor = AutoProcessor.from_pretrained(saved("bart", tmp_path, VISION))
    assert processor(text="rot", task="say", return_tensors="pt").input_ids.shape[0] == 1
    with pytest.raises(UserError, match="the text part alone of this 'bart' model"):
        processor(images=picture(0), task="see", return_tensors="pt")
