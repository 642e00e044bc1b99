"""Pictures that a model writes: whole, guided, completed, ranked, saved, drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from typer.testing import CliRunner

from tests.batches import collate
from tests.painting import COLOURS, SIDE, painter, task
from unified_vl.cli.main import app
from unified_vl.codecs.segments import ImageCodes, Text
from unified_vl.codecs.vocabulary import EOS_ID
from unified_vl.errors import UserError
from unified_vl.inference.files import predict_file
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model, save_model

SAMPLE = "method: sample, allow: image_codes, max_tokens: 5, top_k: 20"


@pytest.mark.parametrize("how", ["max_tokens: 5", "max_tokens: 9, method: beam, beams: 3"])
def test_a_picture_has_exactly_as_many_codes_as_its_size(tmp_path: Path, how: str) -> None:
    spec = task(tmp_path, "paint", generate=f"generate: {{allow: image_codes, {how}}}")
    model = UnifiedVL(painter(tmp_path, [spec]))
    for answer in model.predict("paint", "de", name=[*COLOURS.values()]):
        (segment,) = answer.segments
        assert isinstance(segment, ImageCodes) and len(segment.codes) == 4
        (image,) = answer.images
        assert image.size == (SIDE, SIDE) and image.mode == "RGB"
        pixels = model.codec.decode_images([segment])[0]
        assert np.array_equal(np.asarray(image), pixels)
        assert answer.text == ""


def test_text_may_follow_a_picture_where_the_task_says_so(tmp_path: Path) -> None:
    spec = task(tmp_path, "repaint")
    model = UnifiedVL(painter(tmp_path, [spec]))
    with torch.no_grad():  # a model that likes to go on
        model.model.lm_head.weight[EOS_ID] *= -3
    answer = model.predict("repaint", "en", image=str(tmp_path / "0.png"), name="red")
    first, *rest = answer.segments
    assert isinstance(first, ImageCodes) and rest
    assert all(isinstance(segment, Text) for segment in rest)


def test_an_image_as_codes_is_read_as_the_codes_of_its_pixels(tmp_path: Path) -> None:
    spec = task(tmp_path, "repaint")
    model = UnifiedVL(painter(tmp_path, [spec]))
    builder = model.builder(spec, tmp_path)
    from unified_vl.inference.inputs import input_row

    row = input_row(spec, {"image": "2.png", "name": "blue"}, "en")
    source = builder.build(row, seed=None, with_target=False).source
    (image,) = [segment for segment in source if isinstance(segment, ImageCodes)]
    pixels = np.asarray(Image.open(tmp_path / "2.png"))[None]
    assert model.codec.code_images is not None
    expected = model.codec.code_images.codec.encode(pixels).reshape(-1).tolist()
    assert list(image.codes) == expected
    start = model.codec.vocabulary.image_codes.start
    assert [start + code for code in expected] == model.codec.encode_source(source).ids[1:5]


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_guidance_is_the_formula_of_the_paper(tmp_path: Path, scale: float) -> None:
    how = f"generate: {{allow: image_codes, max_tokens: 5, guidance: {scale}}}"
    spec = task(tmp_path, "paint", generate=how)
    saved = painter(tmp_path, [spec])
    model = saved.model
    with torch.no_grad():  # far enough apart for guidance to decide
        model.encoder.embedding.weight *= 3
    answers = UnifiedVL(saved).predict("paint", "en", name=["red", "blue"])
    task_id = saved.codec.vocabulary.tag_id("task:paint")
    codes = saved.codec.vocabulary.image_codes
    for name, answer in zip(["red", "blue"], answers, strict=True):
        source = [task_id, *saved.codec.text.encode(name), EOS_ID]
        written = [0]
        for _ in range(4):
            decoder_ids = torch.tensor([written])
            with torch.no_grad():
                with_it = model(torch.tensor([source]), decoder_input_ids=decoder_ids).logits[0, -1]
                bare = torch.tensor([[task_id, EOS_ID]])
                without = model(bare, decoder_input_ids=decoder_ids).logits[0, -1]
            guided = without + scale * (with_it - without)
            written.append(codes.start + int(guided[codes.start : codes.stop].argmax()))
        (segment,) = answer.segments
        assert [codes.start + code for code in segment.codes] == written[1:]


def test_guided_greedy_decoding_gives_one_answer(tmp_path: Path) -> None:
    how = "generate: {allow: image_codes, max_tokens: 5, guidance: 2}"
    model = UnifiedVL(painter(tmp_path, [task(tmp_path, "paint", generate=how)]))
    with pytest.raises(UserError, match="gives one answer; expected sample"):
        model.predict("paint", "en", name="red", n=3)


def test_what_is_known_of_a_picture_stays_and_holes_are_filled(tmp_path: Path) -> None:
    spec = task(tmp_path, "complete")
    model = UnifiedVL(painter(tmp_path, [spec]))
    whole = Image.open(tmp_path / "1.png").convert("RGBA")
    holed = whole.copy()
    holed.paste((0, 0, 0, 0), (4, 0, 8, 4))  # the upper right code
    assert model.codec.code_images is not None
    pixels = np.asarray(holed.convert("RGBA"))
    white = np.where(pixels[..., 3:] > 0, pixels[..., :3], 255).astype(np.uint8)
    known = model.codec.code_images.codec.encode(white[None]).reshape(-1).tolist()
    answer, same = model.predict("complete", "en", picture=[holed, whole], name="green")
    for place in (0, 2, 3):
        assert answer.segments[0].codes[place] == known[place]
    unholed = model.codec.code_images.codec.encode(np.asarray(whole.convert("RGB"))[None])
    assert list(same.segments[0].codes) == unholed.reshape(-1).tolist()


def test_of_several_pictures_the_one_is_best_that_shows_the_text_best(tmp_path: Path) -> None:
    rerank = "best_of: 6, temperature: 3.0, rerank: {task: name_it, field: name}"
    paint = task(tmp_path, "paint", generate=f"generate: {{{SAMPLE}, {rerank}}}")
    caption = task(tmp_path, "name_it")
    model = UnifiedVL(painter(tmp_path, [paint, caption]))
    answer = model.predict("paint", "de", name="grün", n=6)
    assert answer.alternatives is not None and len(answer.alternatives) == 6
    scores = [one.score for one in answer.alternatives]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) > 1
    assert answer.images == answer.alternatives[0].images
    for one in answer.alternatives:  # the mean log-probability of the name, by the other task
        file = tmp_path / "drawn.png"
        one.images[0].save(file)
        from unified_vl.data.rows.row import Row

        row = Row({"picture": str(file), "name": "grün", "language": "de"}, "drawn", 0, "de")
        example = model.builder(caption, None).build(row, seed=None)
        batch = collate([example], model.codec, pad_to_multiple=1)
        with torch.no_grad():
            logits = model.model(**batch.model_inputs(), labels=batch.labels_BT).logits
        assert batch.labels_BT is not None
        expected = -F.cross_entropy(logits.flatten(0, 1), batch.labels_BT.flatten())
        assert one.score == pytest.approx(float(expected), abs=1e-4)


def test_a_task_to_rank_by_that_the_model_lacks_is_named(tmp_path: Path) -> None:
    rerank = "best_of: 2, rerank: {task: nam_it, field: name}"
    paint = task(tmp_path, "paint", generate=f"generate: {{{SAMPLE}, {rerank}}}")
    model = UnifiedVL(painter(tmp_path, [paint, task(tmp_path, "name_it")]))
    message = r"generate.rerank.task: the model has no task 'nam_it'.*did you mean 'name_it'"
    with pytest.raises(UserError, match=message):
        model.predict("paint", "en", name="red")


def test_a_saved_model_carries_its_image_tokenizer(tmp_path: Path) -> None:
    specs = [task(tmp_path, name) for name in ("paint", "complete", "repaint")]
    saved = painter(tmp_path, specs)
    save_model(tmp_path / "model", saved.model, saved.codec, specs)
    before = UnifiedVL(saved).predict("paint", "en", name=[*COLOURS])
    after = UnifiedVL.from_pretrained(tmp_path / "model").predict("paint", "en", name=[*COLOURS])
    for one, other in zip(before, after, strict=True):
        assert one.segments == other.segments
        assert np.array_equal(np.asarray(one.images[0]), np.asarray(other.images[0]))
    weights = tmp_path / "model/tokenizer/image/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(UserError, match="is not the one of the vocabulary beside it"):
        load_model(tmp_path / "model")
    weights.unlink()
    with pytest.raises(UserError, match=r"image/model.safetensors: there is no image tokenizer"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_pictures_of_a_file_of_rows_lie_beside_the_answers(tmp_path: Path, ending: str) -> None:
    spec = task(tmp_path, "paint")
    model = UnifiedVL(painter(tmp_path, [spec]))
    lines = [{"name": name, "language": "en"} for name in COLOURS]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    output = tmp_path / f"out.{ending}"
    assert predict_file(model, "paint", tmp_path / "in.jsonl", output, batch_size=2) == 0
    files = sorted((tmp_path / "out.images").iterdir())
    assert [file.name for file in files] == [f"{number:06d}.png" for number in range(5)]
    for file, answer in zip(files, model.predict("paint", "en", name=[*COLOURS]), strict=True):
        assert np.array_equal(np.asarray(Image.open(file)), np.asarray(answer.images[0]))
    if ending == "jsonl":
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        assert [row["images"] for row in rows] == [[f"out.images/{f.name}"] for f in files]


def test_the_command_line_draws(tmp_path: Path) -> None:
    specs = [
        task(tmp_path, "paint", generate=f"generate: {{{SAMPLE}}}"),
        task(tmp_path, "complete"),
    ]
    saved = painter(tmp_path, specs)
    save_model(tmp_path / "model", saved.model, saved.codec, specs)
    model, drawn = str(tmp_path / "model"), tmp_path / "drawn.png"
    asked = ["predict", model, "--language", "en", "--draw", str(drawn)]
    found = CliRunner().invoke(app, [*asked, "--task", "paint", "--name", "red", "--n", "3"])
    assert found.exit_code == 0 and not found.output.strip()
    assert Image.open(drawn).size == (3 * SIDE + 2 * 4, SIDE)
    picture = str(tmp_path / "0.png")
    asked = [*asked, "--task", "complete", "--name", "red", "--picture", picture]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert Image.open(drawn).size == (SIDE, SIDE)
