"""What goes with what: each option of published systems beside whatever else a run may ask for.

It is learnt from, or refused with one message at the key that asks for it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.painting import image_tokenizer
from tests.training.backbone_runs import write_tokenizer, write_world
from tests.training.conftest import COLOURS, ENGINES
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.data.regions.writing import ImageRegions, write_regions
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.specs.mixture import load_mixture
from unified_vl.specs.tasks.example import IMAGE_MASK_TAG
from unified_vl.training.compiling import compiled_blocks
from unified_vl.training.trainer import train

FEATURES = 6
SEEN_TAGS = ("regions", "region:0", "region:1", "frame:0", "frame:1")
ENTRIES: dict[str, dict[str, Any]] = {  # of the task in the mixture
    "contrast_queue": {"contrast": 0.5, "contrast_queue": 4},
    "contrast_within": {"contrast": 0.5, "contrast_within": 0.5},
    "matching": {"matching": 0.5},
    "alignment": {"alignment": 0.5},
    "momentum_distillation": {"momentum_distillation": 0.3},
    "adversarial": {"adversarial": {"weight": 0.5}},
}
OPTIONS = (*ENTRIES, "regions", "two_streams", "teacher", "video")
BESIDE = ("transformers", "shots", "pack", "compile", "several images", "codes")
RUN = """
run: pairs
version: 1
mixture: mixture.yaml
data: {root}
tokenizer: {tokenizer}
output: out
steps: 1
batch_size: 4
validation_rows: 0
keep_best: false
optimizer: {{lr: 1.0e-3}}
engine: {engines}/zero0.json
max_source_tokens: 64
max_target_tokens: 16
"""
MODEL: dict[str, Any] = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 16,
    "num_layers": 2,
    "num_heads": 2,
    "code_image_size": [8, 8],
}
VISION = {"kind": "patches", "image_size": [8, 8], "patch_size": 4}


@pytest.fixture(scope="module")
def root(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, their regions, rows of them, and tokenizers."""
    root = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    names = list(COLOURS)
    for name in names:
        Image.new("RGB", (8, 8), name).save(root / f"{name}.png")
    boxes_R4 = np.array([[0, 0, 4, 8], [4, 0, 8, 8]], np.float32)
    write_regions(
        root / "regions",
        (
            ImageRegions(name, (8, 8), boxes_R4, random.random((2, FEATURES), np.float32))
            for name in names
        ),
    )
    rows = [
        {
            "image": f"{name}.png",
            "other": f"{names[number - 1]}.png",
            "clip": [f"{name}.png", f"{names[number - 1]}.png"],
            "name": f"{text} {name}",
        }
        for number, name in enumerate(names)
        for text in ("a", "the")
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [f"{en} {de}" for en, de in COLOURS.items()]
    text = train_text_tokenizer(words * 5, root / "tokenizer" / "text.model", 300)
    codes = image_tokenizer()
    codes.save_pretrained(root / "tokenizer" / "image")
    tags = standard_tags(["en", "de"], ["see"], (), (IMAGE_MASK_TAG, *SEEN_TAGS))
    vocabulary = Vocabulary(len(text), tags, 16, codes.codes, codes.fingerprint)
    (root / "tokenizer" / "vocabulary.json").write_text(vocabulary.to_json())
    write_world(root, squares, ("bart",))
    for option, more in (("regions", SEEN_TAGS[:3]), ("video", SEEN_TAGS[3:])):
        write_tokenizer(root / f"bart_{option}", "bart", more)
    return root


def task(option: str, beside: str) -> str:
    """A spec of one task that shows what both ask for."""
    codes = ", as: codes" if beside == "codes" else ""
    fields = {"image": f"{{kind: image, column: image{codes}}}"}
    if beside == "several images":
        fields["other"] = "{kind: image, column: other}"
    if option in ("regions", TOGETHER):
        fields["regions"] = "{kind: regions, column: image, features: [regions], most: 2}"
    if option == "video":
        fields["clip"] = "{kind: video, column: clip, frames: 2}"
    seen = " ".join(f"{{{name}}}" for name in fields)
    shots = f', shots: {{count: 1, each: "{seen} {{name}}"}}' if beside == "shots" else ""
    source = f"{{task}} {'{shots} ' if shots else ''}{seen}"
    told = "".join(f"  {name}: {keys}\n" for name, keys in fields.items())
    return (
        "task: see\nversion: 1\nabout: Name a colour.\n"
        "data: {reader: jsonl, path: rows.jsonl, splits: {train: train}, languages: [en]}\n"
        f"fields:\n{told}  name: {{kind: text, column: name}}\n"
        f'example: {{source: "{source}", target: "{{name}}"{shots}}}\n'
        "score: [{metric: exact_match, against: name, primary: true}]\n"
    )


def asked_of(option: str) -> dict[str, Any]:
    """Keys of the task in the mixture."""
    if option == TOGETHER:
        return {key: value for each in ENTRIES.values() for key, value in each.items()}
    return ENTRIES.get(option, {})


def written(root: Path, folder: Path, option: str, beside: str) -> Path:
    """The run file of an option beside another thing."""
    folder.mkdir()
    (folder / "see.yaml").write_text(task(option, beside))
    entry = {"spec": "see.yaml", **asked_of(option)}
    said = {"mixture": "pairs", "version": 1, "tasks": [entry]}
    (folder / "mixture.yaml").write_text(json.dumps(said))
    model: dict[str, Any] = {**MODEL, "vision": VISION}
    tokenizer = root / "tokenizer"
    if beside == "transformers":
        model = {"from": str(root / "bart" / "checkpoint"), "vision": VISION}
        own = root / f"bart_{option}"
        tokenizer = own if own.is_dir() else root / "bart" / "tokenizer"
    if beside == "pack":
        model["vision"] = {**VISION, "fit": "pack"}
    if option in ("regions", TOGETHER):
        model["region_features"] = FEATURES
    if option == "two_streams":
        model["encoder"] = {"kind": "two_streams"}
    text = RUN.format(root=root, tokenizer=tokenizer, engines=ENGINES)
    text += f"model: {json.dumps(model)}\n"
    if beside == "compile":
        text += "compile: true\n"
    (folder / "run.yaml").write_text(text)
    return folder / "run.yaml"


def learnt(file: Path) -> dict[str, Any]:
    """The one update of a run."""
    run = load_run(file)
    train(run, progress=False)
    lines = map(json.loads, (run.output / "events.jsonl").read_text().splitlines())
    return next(each for each in lines if each["event"] == "step")


HEAD = r"`matching` of a task needs a head, which a backbone of `transformers` has not"
OWN_KEYS = "a bart model does not read this; expected one of from, dropout_rate, vision"
VIDEOS = "a bart model reads no videos; expected a tokenizer of tasks without them"
TAUGHT = "is computed by `transformers`, whose blocks learn from no teacher"
SHOWN = r"the shots of the task 'see' show {image}, so a row has several; expected shots without"
REGIONS = "shows the regions 'regions'; expected a shot of other fields"
PACKED = "of a task reads images with captions, and cannot where they are packed"
STREAMS = "an encoder of two streams reads padded rows, by plain layers"
ONE = r"does not describe an image( or a video)?; expected one image (or video )?in its source"
COMPARING = {
    name: f"tasks.0.{name.split('_')[0]}" for name in (*ENTRIES,)[:4]
}  # and the key that is told
# what is refused: at which key, and why; all else is learnt from
REFUSED: dict[tuple[str, str], tuple[str, str]] = {
    ("matching", "transformers"): ("model.from", HEAD),
    ("regions", "transformers"): ("model.region_features", OWN_KEYS),
    ("two_streams", "transformers"): ("model.encoder", OWN_KEYS),
    ("teacher", "transformers"): ("teacher", TAUGHT),
    ("video", "transformers"): ("tokenizer", VIDEOS),
    ("regions", "shots"): ("example.shots.each", REGIONS),
    ("matching", "pack"): ("model.vision.fit", f"`matching` {PACKED}"),
    ("alignment", "pack"): ("model.vision.fit", f"`alignment` {PACKED}"),
    ("two_streams", "compile"): ("compile", STREAMS),
    **{(name, "shots"): (key, SHOWN) for name, key in COMPARING.items()},
    **{(name, "several images"): (key, ONE) for name, key in COMPARING.items()},
    **{(name, "codes"): (key, ONE) for name, key in COMPARING.items()},
}
# making programs takes long: of objectives that go together, all at once
TOGETHER = "all of these"
CELLS = [
    (option, beside)
    for option in OPTIONS
    for beside in BESIDE
    if beside != "compile" or option in ("two_streams", "video")
]


@pytest.mark.parametrize(("option", "beside"), [*CELLS, (TOGETHER, "compile")])
def test_each_option_is_learnt_or_refused_with_one_message(
    option: str, beside: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_blocks, "BACKEND", "eager")
    file = written(root, tmp_path / "run", option, beside)
    if option in ("teacher", TOGETHER):
        plain = "regions" if option == TOGETHER else ""
        learnt(written(root, tmp_path / "large", plain, beside.replace("compile", "")))
        with file.open("a") as more:
            more.write("teacher: {model: ../large/out/model, logits: 1.0}\n")
    if (option, beside) in REFUSED:
        field, message = REFUSED[option, beside]
        with pytest.raises(UserError, match=message) as told:
            learnt(file)
        assert told.value.field == field
        assert Path(str(told.value.file)).name in ("run.yaml", "mixture.yaml", "see.yaml")
        assert told.value.line is not None and told.value.expected is not None
        assert not (tmp_path / "run" / "out").exists()
        return
    event = learnt(file)
    names = [key for key in asked_of(option) if not key.startswith("contrast_")]
    for name in ("loss", "grad_norm", *names):
        assert math.isfinite(event[name]), name


PAIRED = """
task: see
version: 1
about: Name a colour.
data: {reader: jsonl, path: rows.jsonl, splits: {train: train}, languages: [en]}
fields:
  image: {kind: image, column: image}
  name: {kind: text, column: name}
example: {source: "{task} {image}", target: "{name}"}
score: [{metric: exact_match, against: name, primary: true}]
"""
OTHER = "  other: {kind: image, column: other, missing: allow}\n  name:"
CODES = "  other: {kind: image, column: other, as: codes}\n  name:"
CLIP = "  other: {kind: video, column: clip, frames: 2}\n  name:"
BESIDE_IT = {'{task} {image}"': '{task} {image} {other}"'}
SHOT = ', shots: {count: 1, each: "{name}"}}'
WRONG = ', mismatch: {field: FIELD, right: "y", wrong: "n"}}'
TEXT = "  ask: {kind: text, column: name}\n  name:"
EXCHANGED = r"the task 'see' takes {FIELD} from another row now and then; expected `mismatch` of"


def exchanged(field: str) -> dict[str, str]:
    """Edits of a task that asks whether a field is the row's own."""
    target = 'target: "{name} {matches}"' + WRONG.replace("FIELD", field)
    asked = "name" if field == "name" else "ask"
    return {
        "  name:": TEXT if asked == "ask" else "  name:",
        '{task} {image}"': f'{{task}} {{image}} {{{asked}}}"',
        'target: "{name}"}': target,
    }


UNPAIRED: dict[str, tuple[dict[str, str], str | None]] = {
    "as it is": ({}, None),
    "a list of images": ({"column: image}": "column: image, many: true}"}, ONE),
    "an image that may lack": ({"column: image}": "column: image, missing: allow}"}, ONE),
    "a second image that may lack": ({"  name:": OTHER, **BESIDE_IT}, ONE),
    "a video beside it": ({"  name:": CLIP, **BESIDE_IT}, ONE),
    "an image in codes beside it": ({"  name:": CODES, **BESIDE_IT}, None),
    "an image that is dropped": ({'"{name}"}': '"{name}", drop: {fields: [image]}}'}, ONE),
    "shots of texts": ({"{task} {": "{task} {shots} {", '"{name}"}': '"{name}"' + SHOT}, None),
    "texts of other rows": (exchanged("name"), EXCHANGED.replace("FIELD", "name")),
    "images of other rows": (exchanged("image"), EXCHANGED.replace("FIELD", "image")),
    "questions of other rows": (exchanged("ask"), None),
}


@pytest.mark.parametrize("name", ["contrast", "matching", "alignment"])
@pytest.mark.parametrize("case", UNPAIRED)
def test_a_row_pairs_one_image_with_one_text(case: str, name: str, tmp_path: Path) -> None:
    """An image that is told from others by its row's number must be the only one of its row."""
    edits, message = UNPAIRED[case]
    text = PAIRED
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "see.yaml").write_text(text)
    said = {"mixture": "m", "version": 1, "tasks": [{"spec": "see.yaml", name: 1.0}]}
    (tmp_path / "mixture.yaml").write_text(json.dumps(said))
    if message is None:
        assert load_mixture(tmp_path / "mixture.yaml").specs
        return
    with pytest.raises(UserError, match=message) as told:
        load_mixture(tmp_path / "mixture.yaml")
    assert told.value.field == f"tasks.0.{name}"
