"""A world of colours as pictures of 2 x 2 codes, and tasks that read and write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from unified_vl.codecs.image_codes import CodeImages
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import IMAGE_TAG, Vocabulary, standard_tags
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.inference.saved_models.model_directory import SavedModel
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.image_tokenizer import ConvolutionSpec, QuantizerSpec
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.example import IMAGE_MASK_TAG

COLOURS = {"red": "rot", "green": "grün", "blue": "blau", "white": "weiß", "black": "schwarz"}
SIDE, GRID = 8, (2, 2)

_HEAD = """\
task: {task}
version: 1
about: Something with pictures.
data:
  reader: jsonl
  path: "paint_{{split}}.jsonl"
  splits: {{train: train, validation: train, test: train}}
  languages: [en, de]
  language_column: language
"""
_PICTURE = "  picture: {kind: image_codes, column: picture}\n"
_NAME = "  name: {kind: text, column: name}\n"
_SCORE = "score: [{metric: exact_match, against: name, primary: true}]\n"
TASKS = {
    "paint": _HEAD.format(task="paint")
    + "fields:\n"
    + _NAME
    + _PICTURE
    + """\
example: {source: "{task} {name}", target: "{picture}", drop: {fields: [name], rate: 0.3}}
generate: {allow: image_codes, max_tokens: 5}
"""
    + _SCORE,
    "complete": _HEAD.format(task="complete")
    + "fields:\n"
    + _NAME
    + _PICTURE
    + """\
example:
  source: "{task} {picture} {name}"
  target: "{picture}"
  noise: {picture: {kind: code_masking, rate: 0.5}}
generate: {allow: image_codes, max_tokens: 5}
"""
    + _SCORE,
    "name_it": _HEAD.format(task="name_it")
    + "fields:\n  image: {kind: image, column: picture}\n"
    + _NAME
    + """\
example: {source: "{task} {language} {image}", target: "{name}"}
generate: {max_tokens: 8}
"""
    + _SCORE,
    "repaint": _HEAD.format(task="repaint")
    + "fields:\n  image: {kind: image, column: picture, as: codes}\n"
    + _NAME
    + _PICTURE
    + """\
example: {source: "{task} {image} {name}", target: "{picture} {name}"}
generate: {allow: mixed, max_tokens: 12}
"""
    + _SCORE,
}


def image_tokenizer() -> ImageTokenizer:
    """Squares of four pixels to 108 codes, with random weights."""
    torch.manual_seed(0)
    shape = ConvolutionSpec(channels=(8, 16), patch=2, blocks=1, groups=4, latent=4)
    return ImageTokenizer(shape, QuantizerSpec(kind="fsq", levels=(4, 3, 3, 3))).eval()


def write_world(root: Path) -> None:
    """Ten rows: a picture of each colour with its names in two languages."""
    lines = []
    for number, (english, german) in enumerate(COLOURS.items()):
        Image.new("RGB", (SIDE, SIDE), english).save(root / f"{number}.png")
        for language, name in (("en", english), ("de", german)):
            lines.append({"language": language, "name": name, "picture": f"{number}.png"})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (root / "paint_train.jsonl").write_text(text, encoding="utf-8")


def task(root: Path, name: str, **edits: str) -> TaskSpec:
    """One of the tasks, with parts of its text exchanged: `generate="generate: {...}"`."""
    text = TASKS[name]
    for key, line in edits.items():
        (old,) = [part for part in text.splitlines() if part.startswith(key)]
        text = text.replace(old, line)
    path = root / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return load_task(path)


def painter(root: Path, specs: Sequence[TaskSpec], seed: int = 0) -> SavedModel:
    """A model of the tasks with random weights; its world is written to `root`."""
    write_world(root)
    words = [*COLOURS, *COLOURS.values()]
    text = train_text_tokenizer(words * 9, root / "text.model", 320)
    tags = standard_tags(["en", "de"], [s.task for s in specs], (), (IMAGE_MASK_TAG,))
    codec_of_images = image_tokenizer()
    vocabulary = Vocabulary(len(text), tags, 50, codec_of_images.codes, codec_of_images.fingerprint)
    torch.manual_seed(seed)
    config = UnifiedVLConfig(
        vocab_size=vocabulary.size,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        image_token_id=vocabulary.tag_id(IMAGE_TAG),
        code_token_ids=[vocabulary.image_codes.start, vocabulary.image_codes.stop],
        code_mask_id=vocabulary.tag_id(IMAGE_MASK_TAG),
        code_downsampling=codec_of_images.downsampling,
        code_image_size=[SIDE, SIDE],
        vision={"kind": "patches", "image_size": [16, 16], "patch_size": 8},
    )
    model = UnifiedVLForConditionalGeneration(config).eval()
    codec = SequenceCodec(
        vocabulary,
        text,
        image_tokens=config.image_tokens,
        image_size=config.image_size,
        max_source=40,
        max_target=20,
        code_images=CodeImages(codec_of_images, GRID),
    )
    return SavedModel(model, codec, {spec.task: spec for spec in specs}, {"steps": 0})
