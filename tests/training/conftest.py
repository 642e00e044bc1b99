"""A world of coloured squares: two tasks, a tokenizer and a run file, made in no time."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image

from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.files import write_atomically

COLOURS = {"red": "rot", "green": "grün", "blue": "blau", "white": "weiß", "black": "schwarz"}
ENGINES = Path(__file__).parents[2] / "deepspeed_configs"

SEE = """
task: see
version: 1
family: seeing
about: Name the colour of a square.
data:
  {reader: jsonl, path: "see_{split}.jsonl", splits: {train: train, validation: validation},
   languages: [en], on_bad_row: skip}
fields:
  image: {kind: image, column: image}
  names: {kind: text, column: names, many: true}
example: {source: "{task} {image}", target: "{names}", pick: {names: random}}
score: [{metric: exact_match, against: names, primary: true}]
"""

SAY = """
task: say
version: 1
about: Translate the name of a colour.
data:
  {reader: jsonl, path: "say_{split}.jsonl", splits: {train: train}, languages: [en, de],
   language_column: language}
fields:
  text: {kind: text, column: text}
  translation: {kind: text, column: translation}
example: {source: "{task} {language} {text}", target: "{translation}"}
score: [{metric: exact_match, against: translation, primary: true}]
"""

MIXTURE = """
mixture: squares
version: 1
tasks:
  - {spec: see.yaml, batches: 2, contrast: 0.5}
  - {spec: say.yaml, weight: 0.5}
"""

JOINT = """
mixture: joint_squares
version: 1
tasks:
  - {spec: see.yaml, batches: 2}
  - {spec: say.yaml, weight: 0.5}
schedule: {update: joint, joint_weights: tokens}
"""

RESTING = """
mixture: resting_squares
version: 1
tags: family
tasks:
  - {spec: see.yaml}
  - {spec: look.yaml}
schedule: {stop_and_go: {patience: 1, gap: 2}}
"""

RUN = """
run: squares
version: 1
seed: 3
mixture: mixture.yaml
data: {root}/data
tokenizer: {root}/tokenizer
output: {root}/output
steps: 6
batch_size: 4
model:
  d_model: 32
  d_kv: 8
  d_ff: 48
  num_layers: 2
  num_decoder_layers: 2
  num_heads: 4
  dropout_rate: 0.1
  vision: {{kind: patches, image_size: [8, 8], patch_size: 4}}
optimizer: {{lr: 3.0e-3, warmup_steps: 2, weight_decay: 0.01}}
engine: {engines}/zero0.json
max_source_tokens: 32
max_target_tokens: 16
log_every: 1
validate_every: 3
validation_rows: 6
checkpoint_every: 2
keep_checkpoints: 3
"""


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_the_disk() -> Iterator[None]:
    """What is written is read back by the same system: no test cuts the power."""
    with mock.patch.object(os, "fsync"):
        yield


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run.yaml` and all that it names."""
    root = tmp_path_factory.mktemp("squares")
    _write_data(root / "data")
    texts = [f"{en} {de}" for en, de in COLOURS.items()]
    text = train_text_tokenizer(texts * 5, root / "tokenizer" / "text.model", 300)
    vocabulary = Vocabulary(len(text), standard_tags(["en", "de"], ["see", "say"], ["seeing"]), 16)
    write_atomically(root / "tokenizer" / "vocabulary.json", vocabulary.to_json())
    write_atomically(root / "see.yaml", SEE)
    write_atomically(root / "say.yaml", SAY)
    write_atomically(root / "look.yaml", SEE.replace("task: see", "task: look"))
    write_atomically(root / "mixture.yaml", MIXTURE)
    write_atomically(root / "joint.yaml", JOINT)
    write_atomically(root / "resting.yaml", RESTING)
    write_atomically(root / "run.yaml", RUN.format(root=root, engines=ENGINES))
    return root


def _write_data(root: Path) -> None:
    draw = random.Random(0)
    root.mkdir()
    for colour in COLOURS:
        Image.new("RGB", (8, 8), colour).save(root / f"{colour}.png")
    for split, rows in (("train", 13), ("validation", 6)):
        see = []
        for _ in range(rows):
            colour = draw.choice(list(COLOURS))
            names = [colour, f"a {colour} square", f"all of it is {colour}"]
            see.append({"image": f"{colour}.png", "names": names})
        if split == "train":
            see[4]["image"] = "missing.png"
        _write_rows(root / f"see_{split}.jsonl", see)
    say = []
    for en, de in COLOURS.items():
        say.append({"text": en, "translation": de, "language": "de"})
        say.append({"text": de, "translation": en, "language": "en"})
    _write_rows(root / "say_train.jsonl", say)


def _write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
