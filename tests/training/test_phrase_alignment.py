"""Phrases and the places of their boxes: the definition, ranks, learning, what is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F
from torch.testing import assert_close

from tests.processes import run_ranks
from tests.training.backbone_runs import run_in_way, write_world
from tests.training.conftest import COLOURS, SAY, SEE
from tests.training.objective_outputs import PROCESS, first_batch, output_of
from unified_vl.errors import UserError
from unified_vl.specs.load import load_mixture, load_run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.objectives.phrase_alignment import TEMPERATURE
from unified_vl.training.objectives.reading.boxes_in_images import covered_places
from unified_vl.training.objectives.reading.target_bins import bins_of_targets
from unified_vl.training.trainer import train

WORKER = Path(__file__).with_name("worker.py")
ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 3)]
SIDE, BINS = 8, 16  # pixels of an image; bins of the tokenizer of squares
FIND = """
task: see
version: 1
family: seeing
about: Where is the square of a colour?
data:
  {reader: jsonl, path: "find_{split}.jsonl", splits: {train: train, validation: train},
   languages: [en]}
fields:
  image: {kind: image, column: image}
  colour: {kind: text, column: colour}
  box: {kind: box, column: box, layout: xyxy, units: pixels}
example: {source: "{task} {image} {colour}", target: "{box}"}
generate: {allow: box, max_tokens: 6}
score: [{metric: box_accuracy, against: box, primary: true}]
"""
MIXTURE = "mixture: find\nversion: 1\ntasks:\n  - {{spec: see.yaml, {keys}}}\n"
ASKED = "phrase_alignment: 0.5"


def write_mixture(folder: Path, spec: str = FIND, keys: str = ASKED) -> Path:
    (folder / "see.yaml").write_text(spec, encoding="utf-8")
    (folder / "mixture.yaml").write_text(MIXTURE.format(keys=keys), encoding="utf-8")
    return folder / "mixture.yaml"


@pytest.fixture(scope="module")
def keys(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Of a run on pictures of four squares, of which a row asks for one."""
    folder = tmp_path_factory.mktemp("find")
    draw, rows = random.Random(0), []
    for number in range(16):
        colours = draw.sample(list(COLOURS), 4)
        image, half, boxes_of = Image.new("RGB", (SIDE, SIDE)), SIDE // 2, {}
        for place, colour in enumerate(colours):
            left, top = place % 2 * half, place // 2 * half
            image.paste(colour, (left, top, left + half, top + half))
            boxes_of[colour] = [left, top, left + half, top + half]
        image.save(folder / f"{number}.png")
        rows += [{"image": f"{number}.png", "colour": c, "box": b} for c, b in boxes_of.items()]
    (folder / "find_train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"mixture={write_mixture(folder)}", f"data={folder}", "validation_rows=0"


@pytest.fixture(scope="module")
def world(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("backbones"), squares, ("bart",))


def numbers(output: Path) -> dict[int, list[float]]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return {
        e["step"]: [e[k] for k in ("loss", "grad_norm", "phrase_alignment")]
        for e in events
        if e["event"] == "step"
    }


@pytest.mark.parametrize("way", ["padded", "packed", "two streams", "pooled", "bart"])
def test_the_loss_is_the_divergence_of_where_a_phrase_is_found(
    squares: Path, world: Path, keys: tuple[str, ...], tmp_path: Path, way: str
) -> None:
    vision = (
        "{kind: patches, image_size: [8, 8], patch_size: 2, pool: {kind: average, grid: [2, 2]}}"
    )
    more = [f"model.vision={vision}"] if way == "pooled" else []
    run = run_in_way(way, squares, world, tmp_path / "out", [*keys, *more])
    first = first_batch(run, "see")
    model, codec, batch = first.model.eval(), first.codec, first.batch
    (objective,) = first.objectives
    assert batch.labels_BT is not None
    output = output_of(model, batch, objective)
    found = objective.loss(output, batch, PROCESS)

    state_BSM = model.encode(
        batch.input_ids_BS, batch.attention_mask_BS, batch.pixel_values_NCHW
    ).float()
    total, vocabulary = torch.zeros(()), codec.vocabulary
    for row, (ids_S, labels_T) in enumerate(
        zip(batch.input_ids_BS.tolist(), batch.labels_BT.tolist(), strict=True)
    ):
        end = ids_S.index(vocabulary.eos_id)
        words = [i for i in range(end) if vocabulary.kind_of(ids_S[i]) == "piece"]
        places = [i for i in range(end) if ids_S[i] == vocabulary.tag_id("image")]
        assert len(places) == 4
        phrase_M = state_BSM[row, words].mean(0)
        cosine_P = torch.stack(
            [F.cosine_similarity(state_BSM[row, i], phrase_M, 0) for i in places]
        )
        box = codec.shapes.decode(labels_T[:4], "box")
        share_P = torch.tensor(
            [
                span(box.x1, box.x2, column) * span(box.y1, box.y2, row)
                for row in range(2)
                for column in range(2)
            ]
        )
        right_P = share_P / share_P.sum()
        told_P = torch.special.entr(right_P) + right_P * (cosine_P / TEMPERATURE).log_softmax(0)
        total = total - told_P.sum()
    assert_close(found, total, rtol=1e-4, atol=1e-4)


def span(low: float, high: float, half: int) -> float:
    """How much of a half of an axis lies between two fractions."""
    return max(0.0, min(high, (half + 1) / 2) - max(low, half / 2)) * 2


def box_of(corners: tuple[int, int, int, int]) -> list[int]:
    left, right = sorted(corners[:2])
    top, bottom = sorted(corners[2:])
    return [left, top, right, bottom]


CORNERS = st.tuples(*[st.integers(0, 59)] * 4).map(box_of)  # of 60 bins


@given(st.lists(st.lists(CORNERS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_boxes_of_targets_cover_as_much_of_the_grid_as_of_the_image(
    rows: list[list[list[int]]],
) -> None:
    locations = range(100, 160)
    most = max(map(len, rows))
    labels_BT = torch.full((len(rows), most * 4 + 2), -100)
    for row, of_row in zip(labels_BT, rows, strict=True):
        ids = [each + locations.start for box in of_row for each in box]
        row[1 : len(ids) + 1] = torch.tensor(ids)
        row[len(ids) + 1] = 1
    box_BK4 = bins_of_targets(labels_BT, locations, 4)
    assert [[b for b in row if b[0] >= 0] for row in box_BK4.tolist()] == rows
    for grid in ((1, 1), (2, 3), (5, 4)):
        share_BP = covered_places(box_BK4, *grid, len(locations))
        assert share_BP.max() <= 1 + 1e-6
        for share_P, of_row in zip(share_BP, rows, strict=True):
            picture, shares = torch.zeros(120, 120), []  # half of a bin a pixel
            for box in of_row:
                left, top, right, bottom = (2 * edge + 1 for edge in box)
                right, bottom = max(right, left + 2), max(bottom, top + 2)  # a bin at least
                picture.zero_()[top:bottom, left:right] = 1
                cells = picture.view(grid[0], 120 // grid[0], grid[1], 120 // grid[1])
                shares.append(cells.mean((1, 3)).flatten())
            assert_close(share_P, torch.stack(shares).amax(0), rtol=1e-4, atol=1e-5)


def test_a_row_without_a_box_says_nothing() -> None:
    box_BK4 = bins_of_targets(torch.tensor([[1, -100], [1, -100]]), range(100, 116), 4)
    assert box_BK4.shape == (2, 0, 4)
    assert covered_places(box_BK4, 2, 2, 16).tolist() == [[0.0] * 4] * 2


def test_it_is_learnt(squares: Path, keys: tuple[str, ...], tmp_path: Path) -> None:
    settings = ("steps=80", "optimizer.lr=1e-2", "model.dropout_rate=0", "checkpoint_every=80")
    run = load_run(squares / "run.yaml", [f"output={tmp_path}", *keys, *settings])
    train(run, progress=False)
    found = [values[-1] for values in numbers(tmp_path).values()]
    assert found[0] > 0.5, "of four places none is known"
    assert max(found[-5:]) < 0.2


@pytest.mark.parametrize("more", [(), ("packing=true",)], ids=["padded", "packed"])
def test_two_ranks_are_as_one(
    squares: Path, keys: tuple[str, ...], tmp_path: Path, more: tuple[str, ...]
) -> None:
    settings = ["model.dropout_rate=0.0", "steps=3", "checkpoint_every=100"]
    run = load_run(squares / "run.yaml", [f"output={tmp_path / 'alone'}", *keys, *settings])
    train(run, progress=False)
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *STAGES, *keys, *settings, *more)
    expected = numbers(tmp_path / "alone")
    for stage in STAGES:
        for step, values in numbers(tmp_path / stage.stem).items():
            assert values == pytest.approx(expected[step], rel=1e-4, abs=1e-5), (stage.stem, step)


COLOUR = "  colour: {kind: text, column: colour}\n"
BOXES = "{kind: box, column: box, layout: xyxy, units: pixels"
IMAGE, VIDEO = "{kind: image, column: image}", "{kind: video, column: image, frames: 4}"
MOMENT = "{kind: moment, column: moment}"
WHEN = (  # `box` of it is when, not where
    FIND.replace(IMAGE, VIDEO)
    .replace(f"{BOXES}}}", MOMENT)
    .replace("allow: box", "allow: moment")
    .replace("box_accuracy", "moment_iou")
)
REFUSED = {
    "a caption": SEE,
    "no image": SAY.replace("task: say", "task: see"),
    "no phrase": FIND.replace(" {colour}", "").replace(COLOUR, ""),
    "words beside the box": FIND.replace('"{box}"', '"{colour} {box}"').replace(
        "allow: box", "allow: mixed"
    ),
    "labelled boxes": FIND.replace(f"{BOXES}}}", f"{BOXES}, many: true, labels: names}}")
    .replace(COLOUR, f"{COLOUR}  names: {{kind: text, column: names, many: true}}\n")
    .replace("allow: box", "allow: labelled_boxes"),
    "a phrase of another row": FIND.replace(
        'target: "{box}"',
        'target: "{fits} {box}", mismatch: '
        '{field: colour, rate: 0.5, slot: fits, right: "yes", wrong: "no"}',
    ).replace("allow: box", "allow: mixed"),
    "an image shown twice": FIND.replace("{image}", "{image} {image}"),
    "a phrase that may be missing": FIND.replace(
        "column: colour}", "column: colour, missing: allow}"
    ),
    "a phrase that is dropped": FIND.replace(
        'target: "{box}"', 'target: "{box}", drop: {fields: [colour], rate: 0.1}'
    ),
    "several images": FIND.replace("column: image}", "column: image, many: true}"),
    "an image that may be missing": FIND.replace(
        "column: image}", "column: image, missing: allow}"
    ),
    "boxes of a video": FIND.replace(IMAGE, VIDEO).replace("units: pixels", "units: relative"),
    "moments of an image": FIND.replace(f"{BOXES}}}", MOMENT)
    .replace("allow: box", "allow: moment")
    .replace("box_accuracy", "moment_iou"),
    "moments of two videos": WHEN.replace("{image}", "{image} {other}").replace(
        COLOUR, f"{COLOUR}  other: {VIDEO}\n"
    ),
    "moments of a video shown twice": WHEN.replace("{image}", "{image} {image}"),
    "moments of a video that may be missing": WHEN.replace(
        "frames: 4}", "frames: 4, missing: allow}"
    ),
    "moments without a phrase": WHEN.replace(" {colour}", "").replace(COLOUR, ""),
    "words beside the moment": WHEN.replace('"{box}"', '"{colour} {box}"').replace(
        "allow: moment", "allow: mixed"
    ),
}


TAKEN = {
    "boxes of an image": FIND,
    "several boxes": FIND.replace("units: pixels}", "units: pixels, many: true, empty: true}"),
    "moments of a video": WHEN,
    "several moments": WHEN.replace("column: moment}", "column: moment, many: true, empty: true}"),
}


@pytest.mark.parametrize("case", TAKEN)
def test_tasks_that_point_are_taken(tmp_path: Path, case: str) -> None:
    mixture = load_mixture(write_mixture(tmp_path, TAKEN[case]))
    assert mixture.tasks[0].phrase_alignment == 0.5


@pytest.mark.parametrize("case", REFUSED)
def test_tasks_that_do_not_point_are_refused(tmp_path: Path, case: str) -> None:
    mixture = write_mixture(tmp_path, REFUSED[case])
    with pytest.raises(UserError) as caught:
        load_mixture(mixture)
    assert "phrase_alignment" in str(caught.value)
    assert str(mixture) in str(caught.value)
    assert "does not point" in str(caught.value)


@pytest.mark.parametrize(
    ("vision", "said"),
    [
        ("fit: pack", "cannot where they are packed"),
        ("pool: {kind: resampler, tokens: 4}", "places of an image's grid"),
    ],
)
def test_images_without_a_grid_are_refused(
    squares: Path, keys: tuple[str, ...], vision: str, said: str
) -> None:
    branch = f"model.vision={{kind: patches, image_size: [8, 8], patch_size: 4, {vision}}}"
    run = load_run(squares / "run.yaml", [*keys, branch])
    with pytest.raises(UserError, match=said):
        build(beginning_of(run, resume=False))
