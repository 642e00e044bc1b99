"""Runs that start from checkpoints which `transformers` computes: trained, resumed, asked."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from tests.model.backbones.models import CLASSES, make
from tests.painting import image_tokenizer
from tests.training.backbone_runs import FAMILIES, ROWS, SIZES, STEPS, run_of, write_world
from tests.training.test_engine import STAGES, numbers, train_by_two
from unified_vl.authoring.checking.findings import Findings
from unified_vl.authoring.checking.runs import check_run
from unified_vl.authoring.checking.tokens import load_codec, sizes_of, started
from unified_vl.cli.main import app
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.codecs.texts.model_proto import CONTROL, piece
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.kinds.hooks.segments import frame_tag
from unified_vl.model.backbones.adapter import TransformersBackbone
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.tokenizers.tokenizer_adoption import adopt_tokenizer
from unified_vl.training.trainer import train


@pytest.fixture(scope="module")
def world(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("backbones"), squares)


def test_a_backbone_that_pads_is_not_asked_for_packing(world: Path, tmp_path: Path) -> None:
    run = run_of(world, "bart", tmp_path / "out", "packing=true")
    with pytest.raises(UserError, match=r"packing: the backbone is computed by .*expected false"):
        train(run, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_begins_with_the_weights_and_new_rows(
    world: Path, tmp_path: Path, family: str
) -> None:
    run = run_of(world, family, tmp_path)
    parts = build(beginning_of(run, resume=False))
    model, vocabulary = parts.model, parts.codec.vocabulary
    assert isinstance(model, TransformersBackbone)
    assert model.config.vocab_size == vocabulary.size > ROWS
    assert list(model.config.image_size) == SIZES[family]
    kind = getattr(transformers, f"{CLASSES[family]}ForConditionalGeneration")
    theirs = kind.from_pretrained(world / family / "checkpoint").get_input_embeddings().weight
    rows = model.tables()["embedding"]
    text = vocabulary.text_size
    assert torch.equal(rows[:text], theirs[:text])
    assert rows[text : vocabulary.image_codes.stop].std(1).min() > 0.01  # new, and not alike
    assert parts.start is not None
    assert parts.start.has_fresh_images == (family == "bart")
    assert "tag:task:see" in parts.start.new


@pytest.mark.parametrize("family", FAMILIES)
def test_it_trains_resumes_to_the_bit_and_answers(
    world: Path, tmp_path: Path, family: str, squares: Path
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(run_of(world, family, whole, *STEPS), progress=False)
    train(run_of(world, family, halves, *STEPS, "steps=2"), progress=False)
    train(run_of(world, family, halves, *STEPS), resume=True, progress=False)
    expected, found = (load_file(f / "model" / "model.safetensors") for f in (whole, halves))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    losses = [v for (event, *_, name), v in numbers(whole).items() if name == "loss" and event]
    assert losses[0] > losses[-1] > 0
    model = UnifiedVL.from_pretrained(whole / "model")
    images = [squares / "data" / f"{colour}.png" for colour in ("red", "blue")]
    answers = model.predict("see", image=images, n=2)
    assert all(answer.score < 0 for answer in answers)
    assert [len(answer.alternatives or ()) for answer in answers] == [2, 2]
    kind = getattr(transformers, f"{CLASSES[family]}ForConditionalGeneration")
    opened, told = kind.from_pretrained(whole / "model", output_loading_info=True)
    assert not told["missing_keys"]
    assert opened.get_input_embeddings().num_embeddings == model.model.config.vocab_size


def test_a_saved_model_can_be_started_from(world: Path, tmp_path: Path, squares: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train(run_of(world, "t5gemma2", first, *STEPS), progress=False)
    run = run_of(world, "t5gemma2", second, f"model.from={first / 'model'}")
    parts = build(beginning_of(run, resume=False))
    saved = load_file(first / "model" / "model.safetensors")
    state = parts.model.state_dict()
    named = parts.codec.vocabulary.image_codes.stop
    for name, weight in saved.items():
        rows = named if "embed_tokens.weight" in name else None
        assert torch.equal(state[f"model.{name}"][:rows], weight[:rows]), name
    assert parts.start is not None
    assert parts.start.new == []
    run = run_of(world, "t5gemma2", second, f"model.from={first / 'model'}")
    other = run.model_copy(update={"tokenizer": squares / "tokenizer"})
    with pytest.raises(UserError, match="it has nothing that id 2 of the model"):
        build(beginning_of(other, resume=False))


def test_a_frozen_image_branch_stays_and_goes_on(world: Path, tmp_path: Path) -> None:
    """In front of a text model of `transformers`, and of a model that was saved with it."""
    timm = "{kind: timm, backbone: test_efficientnet, image_size: [64, 64], freeze: true}"
    first = run_of(world, "bart", tmp_path / "first", f"model.vision={timm}", *STEPS, "steps=1")
    saved = train(first, progress=False)
    keys = (f"model={{from: {saved}, vision: {{freeze: true}}}}", *STEPS)
    whole = train(run_of(world, "bart", tmp_path / "whole", *keys), progress=False)
    train(run_of(world, "bart", tmp_path / "halves", *keys, "steps=2"), progress=False)
    halves = run_of(world, "bart", tmp_path / "halves", *keys)
    again = train(halves, resume=True, progress=False)
    begun, one, other = (load_file(f / "model.safetensors") for f in (saved, whole, again))
    drawn = build(beginning_of(first, resume=False)).model.state_dict()
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name
        if name.startswith("vision.features.backbone."):
            assert torch.equal(weight, begun[name]) and torch.equal(weight, drawn[name]), name
    assert not torch.equal(one["vision.row"], begun["vision.row"])


def test_a_trimmed_tokenizer_moves_the_ids_that_the_modules_know(
    world: Path, tmp_path: Path
) -> None:
    """T5Gemma 2 knows the ids around an image by their numbers."""
    source = tmp_path / "source"
    shutil.copytree(world / "t5gemma2" / "checkpoint", source)
    raw = SentencePieceText.load(source / "tokenizer.model")
    named = [piece(name, 0.0, CONTROL) for name in ("<start_of_image>", "<end_of_image>")]
    (source / "tokenizer.model").write_bytes(raw.proto.in_order([*range(len(raw)), *named]))
    config = json.loads((source / "config.json").read_text())
    boi, eoi = len(raw), len(raw) + 1
    config["encoder"] |= {"boi_token_index": boi, "eoi_token_index": eoi}
    (source / "config.json").write_text(json.dumps(config | {"eoi_token_index": eoi}))
    found = []
    for name, texts in (("whole", None), ("trimmed", ["red"])):
        run = run_of(world, "t5gemma2", tmp_path / name, f"model.from={source}")
        tasks = run.loaded_mixture.specs
        adopt_tokenizer(source, tasks, tmp_path / name, texts=texts)
        parts = build(
            beginning_of(run.model_copy(update={"tokenizer": tmp_path / name}), resume=False)
        )
        config, codec = parts.model.config, parts.codec
        (before,), (behind,) = config.around_image
        assert codec.text.pieces([before, behind]) == ["<start_of_image>", "<end_of_image>"]
        places = [config.image_token_id] * config.image_tokens
        ids = torch.tensor([[before, *places, behind, *codec.text.encode("red")]])
        pixels = torch.arange(3 * 16 * 16).remainder(256).to(torch.uint8).view(1, 3, 16, 16)
        target = torch.tensor([[config.decoder_start_token_id, *codec.text.encode("red")]])
        model = parts.model.eval()
        logits = model(ids, torch.ones_like(ids), pixels, target).logits
        pieces = [*codec.text.encode("red"), config.eos_token_id, before, behind]
        found.append((before, len(codec.text), logits[..., pieces]))
    assert found[1][0] < found[0][0] == boi
    assert found[1][1] < found[0][1]
    torch.testing.assert_close(found[1][2], found[0][2])
    saved = tmp_path / "saved"
    saved.mkdir()
    model.save_weights(saved)
    assert json.loads((saved / "config.json").read_text())["encoder"]["boi_token_index"] == before


def test_two_processes_train_as_one_does(world: Path, tmp_path: Path) -> None:
    """With gradients and with weights shared out, with batches that have images and batches that
    have none: to stages 0 and 1 it is a module as any other."""
    family, alone, stages = "t5gemma2", tmp_path / "alone", STAGES[2:]
    # Adam makes whole steps of gradients that are rounding alone: small ones, so that norms tell
    short = ["steps=3", "checkpoint_every=100", "optimizer.lr=1.0e-5"]
    train(run_of(world, family, alone, *short), progress=False)
    train_by_two(world / family, tmp_path, *short, stages=stages)
    expected = numbers(alone)
    assert {task for _, _, task, _ in expected} == {"see", "say"}
    for stage in stages:
        # measured: losses differ by 8e-8 of them, norms by 6e-7
        found = numbers(tmp_path / stage.stem)
        assert found == pytest.approx(expected, rel=1e-5), stage.stem


@pytest.mark.parametrize("family", FAMILIES)
def test_an_author_sees_what_the_model_will(
    world: Path, tmp_path: Path, family: str, squares: Path
) -> None:
    """The image size, the ids and the ids around an image are those of what is started from."""
    run = run_of(world, family, tmp_path)
    codec = build(beginning_of(run, resume=False)).codec
    sizes = sizes_of(*started(run))
    shown = load_codec(run.tokenizer, **sizes._asdict())
    assert shown is not None
    assert list(sizes.image_size) == SIZES[family]
    for name in ("image_tokens", "image_size", "fit", "around_image"):
        assert getattr(shown, name) == getattr(codec, name), name
    arguments = ["show", str(squares / "see.yaml"), "--run", str(world / family / "run.yaml")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    height, width = SIZES[family]
    assert f"as {width}x{height}]" in result.stdout


@pytest.mark.parametrize("family", FAMILIES)
def test_check_finds_what_does_not_fit(world: Path, tmp_path: Path, family: str) -> None:
    found = Findings()
    check_run(run_of(world, family, tmp_path), found, "error")
    assert not found.all()
    check_run(run_of(world, family, tmp_path, "max_source_tokens=4"), found, "error")
    assert ["an image alone takes" in str(each) for each in found.all()] == [True]


def spoil(world: Path, folder: Path, family: str, what: str) -> Path:
    """A checkpoint with one thing wrong."""
    if what == "rows":
        make(family, folder, rows=700)
        return folder
    shutil.copytree(world / family / "checkpoint", folder)
    if what == "pickle":
        for path in folder.glob("*.safetensors*"):
            path.unlink()
        (folder / "pytorch_model.bin").write_bytes(b"x")
    elif what == "type":
        path = folder / "config.json"
        path.write_text(path.read_text().replace('"bart"', '"barrt"'))
    elif what == "shard":
        sorted(folder.glob("*.safetensors"))[0].unlink()
    elif what == "weight":
        for path in folder.glob("*.safetensors*"):
            path.unlink()
        save_file({"model.shared.weight": torch.zeros(ROWS, 32)}, folder / "model.safetensors")
    elif what == "frames":
        shutil.copytree(world / family / "tokenizer", folder / "tokenizer")
        path = folder / "tokenizer" / "vocabulary.json"
        facts = json.loads(path.read_text())
        path.write_text(json.dumps(facts | {"tags": [*facts["tags"], frame_tag(0)]}))
    elif what == "codes":
        shutil.copytree(world / family / "tokenizer", folder / "tokenizer")
        ours, path = image_tokenizer(), folder / "tokenizer" / "vocabulary.json"
        before = load_tokenizer(folder / "tokenizer")[0]
        ids = {key: getattr(before, key) for key in ("pad_id", "eos_id", "unk_id")}
        codes = (before.tags, before.location_bins, ours.codes, ours.fingerprint)
        write_atomically(path, Vocabulary(before.text_size, *codes, **ids).to_json())
        ours.save_pretrained(folder / "tokenizer" / "image")
    elif what == "adapter":
        (folder / "adapter_config.json").write_text("{}")
    return folder


PACKED = "{{kind: patches, image_size: [8, 8], patch_size: 4, fit: pack}}"


@pytest.mark.parametrize(
    ("family", "what", "keys", "message"),
    [
        ("bart", "pickle", (), ".bin alone, which could run a program"),
        ("bart", "type", (), "a model of type 'barrt' cannot be started from.*bart"),
        ("bart", "shard", (), "cannot be read"),
        ("bart", "weight", (), "weights? missing, such as"),
        ("bart", "adapter", (), "adapters and not a whole model"),
        ("t5gemma2", "", ("model.vision.image_size=[32, 32]",), "takes images of one size"),
        ("t5gemma2", "", ("model.d_model=64",), "does not read this"),
        ("t5gemma2", "", ("model.vision.patch_size=4",), "does not read this"),
        ("bart", "", (f"model.vision={PACKED}",), "model.vision.fit.*takes images of one size"),
        ("bart", "", ("max_source_tokens=65",), "the model has 64 positions"),
        ("bart", "", ("tokenizer={world}/t5gemma2/tokenizer",), "its pad_id is 0"),
        ("bart", "rows", (), "and no tokenizer beside them"),
        ("bart", "", ("tokenizer={world}/bart/checkpoint",), "there is no vocabulary here"),
        ("bart", "codes", ("tokenizer={source}/tokenizer",), "a bart model reads .* no images in"),
        ("bart", "frames", ("tokenizer={source}/tokenizer",), "a bart model reads no videos"),
    ],
)
def test_bad_starts_are_told(
    world: Path, tmp_path: Path, family: str, what: str, keys: tuple[str, ...], message: str
) -> None:
    source = spoil(world, tmp_path / "source", family, what)
    with pytest.raises(UserError) as caught:
        more: list[Any] = [
            f"model.from={source}",
            *(key.format(world=world, source=source) for key in keys),
        ]
        build(beginning_of(run_of(world, family, tmp_path / "output", *more), resume=False))
    assert re.search(message, str(caught.value))
    assert caught.value.field or caught.value.file
    if what == "codes":  # which is known before there is a model
        found = Findings()
        check_run(run_of(world, family, tmp_path / "output", *more), found, "error")
        assert [each.message for each in found.all()] == [caught.value.message]
