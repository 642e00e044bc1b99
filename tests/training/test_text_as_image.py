"""Texts that stand in for images: the definition, ranks, resume, and what cannot be asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from transformers.modeling_outputs import BaseModelOutput

from tests.training.backbone_runs import run_in_way, write_world
from tests.training.conftest import COLOURS, SAY, SEE
from tests.training.exact_runs import assert_ranks_are_as_one, assert_resumes_exactly
from tests.training.objective_outputs import PROCESS, first_batch, output_of
from unified_vl.data.batching import IGNORED
from unified_vl.errors import UserError
from unified_vl.specs.load import load_mixture, load_run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.objectives.text_as_image import in_columns, spread

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 3)]
SPEAKS = SEE.replace("languages: [en]", "languages: [en, de], language_column: language").replace(
    '"{task} {image}"', '"{task} {language} {image}"'
)
MIXTURE = """
mixture: stand_in
version: 1
tasks:
  - {{spec: see.yaml{see}}}
  - {{spec: say.yaml{say}}}
"""
CONTRAST, STANDS_IN = ", contrast: 0.5", ", text_as_image: {task: see, weight: 0.5}"


def write_mixture(
    folder: Path, see: str = CONTRAST, say: str = STANDS_IN, specs: tuple[str, str] = (SPEAKS, SAY)
) -> Path:
    """A mixture of both tasks of squares, in which the first speaks German, too."""
    for name, text in zip(("see", "say"), specs, strict=True):
        (folder / f"{name}.yaml").write_text(text)
    (folder / "mixture.yaml").write_text(MIXTURE.format(see=see, say=say))
    return folder / "mixture.yaml"


@pytest.fixture(scope="module")
def keys(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Of a run of that mixture."""
    folder = tmp_path_factory.mktemp("stand_in")
    shutil.copytree(squares / "data", folder / "data")
    for path in (folder / "data").glob("see_*.jsonl"):
        rows = [json.loads(line) | {"language": "en"} for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"mixture={write_mixture(folder)}", f"data={folder / 'data'}", "validation_rows=0"


@pytest.fixture(scope="module")
def world(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("backbones"), squares, ("bart",))


@pytest.mark.parametrize("way", ["padded", "packed", "two streams", "bart"])
def test_the_loss_is_that_of_the_other_source_with_the_text_in_the_images_places(
    squares: Path, world: Path, keys: tuple[str, ...], tmp_path: Path, way: str
) -> None:
    first = first_batch(run_in_way(way, squares, world, tmp_path / "out", keys), "say")
    model, codec, batch = first.model.eval(), first.codec, first.batch
    (objective,) = first.objectives
    model.requires_grad_(True)
    output = output_of(model, batch, objective)
    found = objective.loss(output, batch, PROCESS)

    tag = codec.vocabulary.tag_id
    places = [tag("image")] * codec.image_tokens
    total = torch.zeros(())
    rows = zip(batch.examples, batch.input_ids_BS.tolist(), batch.labels_BT, strict=True)
    for example, source_S, label_T in rows:
        words = [each for each in source_S if codec.vocabulary.kind_of(each) == "piece"]
        words = words[: words.index(codec.vocabulary.eos_id)]
        assert codec.text.decode(words).strip() in {*COLOURS, *COLOURS.values()}
        ids = torch.tensor([[*words, codec.vocabulary.eos_id]])
        (read_WM,) = model.encode(ids, torch.ones_like(ids))
        # two columns: the first half of the words from top to bottom, then the second
        columns = [read_WM[len(words) * rank // 4] for rank in range(4)]
        shown_1PM = torch.stack([columns[0], columns[2], columns[1], columns[3]])[None]
        if way == "bart":
            assert model.image_branch is None or model.image_branch.rows == 2
        start = [tag("task:see"), tag(f"language:{example.language}")]
        source = codec.encode_source(())
        ids = torch.tensor([[*start, *places, *source.ids]])
        memory = model.encode(ids, torch.ones_like(ids), image_features=shown_1PM)
        label_T = label_T[label_T != IGNORED]
        logits = model(
            attention_mask=torch.ones_like(ids),
            encoder_outputs=BaseModelOutput(memory),
            decoder_input_ids=model.prepare_decoder_input_ids_from_labels(label_T[None]),
        ).logits[0]
        total = total + F.cross_entropy(logits, label_T, reduction="sum")
    assert_close(found, total, rtol=1e-4, atol=1e-4)
    weights = [each for each in model.parameters() if each.requires_grad]
    expected = torch.autograd.grad(total, weights, allow_unused=True)
    for one, other in zip(
        torch.autograd.grad(found, weights, allow_unused=True), expected, strict=True
    ):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_each_word_takes_as_many_places_from_left_to_right() -> None:
    class Grid:
        rows, columns = 2, 3

    model: Any = type("Model", (), {"image_branch": Grid})
    order_P = in_columns(model, 6)
    assert order_P.view(2, 3).tolist() == [[0, 2, 4], [1, 3, 5]]
    assert in_columns(model, 4).tolist() == [0, 1, 2, 3], "no grid of the branch's"
    read_BWM = torch.arange(8.0).view(2, 4, 1)
    shown_BP = spread(read_BWM, torch.tensor([3, 1]), order_P)[..., 0]
    assert shown_BP.view(2, 2, 3).tolist() == [[[0, 1, 2]] * 2, [[4, 4, 4]] * 2]


def test_a_resume_is_exact(squares: Path, keys: tuple[str, ...], tmp_path: Path) -> None:
    assert_resumes_exactly(squares / "run.yaml", keys, "text_as_image", tmp_path)


@pytest.mark.parametrize("more", [(), ("packing=true",)], ids=["padded", "packed"])
def test_two_ranks_are_as_one(
    squares: Path, keys: tuple[str, ...], tmp_path: Path, more: tuple[str, ...]
) -> None:
    assert_ranks_are_as_one(squares / "run.yaml", keys, "text_as_image", tmp_path, STAGES, more)


ASKS = SPEAKS.replace("fields:", "fields:\n  what: {kind: text, column: what}").replace(
    "{image}", "{image} {what}"
)
SHOTS = SAY.replace(
    'source: "{task} {language} {text}"',
    'source: "{task} {language} {shots} {text}", shots: {count: 1, template: "{text}"}',
)
REFUSED = {
    "no such task": ({"say": STANDS_IN.replace("see", "sea")}, "no task 'sea'", "see"),
    "no contrast": ({"see": ""}, "no `contrast`", None),
    "a question beside": ({"specs": (ASKS, SAY)}, "more than an image and tags", None),
    "other languages": ({"specs": (SEE, SAY)}, "does not speak 'de'", None),
    "of images": ({"see": CONTRAST + STANDS_IN}, "does not turn one text into another", None),
    "no task said": ({"say": ", text_as_image: {weight: 1}"}, "task", None),
    "no weight": ({"say": STANDS_IN.replace("0.5", "0")}, "0", None),
    "misspelt": ({"say": STANDS_IN.replace("weight", "wieght")}, "wieght", "weight"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(tmp_path: Path, case: str) -> None:
    given, said, nearest = REFUSED[case]
    mixture = write_mixture(tmp_path, **given)
    with pytest.raises(UserError) as caught:
        load_mixture(mixture)
    assert said in str(caught.value)
    assert str(mixture) in str(caught.value)
    assert "text_as_image" in str(caught.value)
    assert nearest is None or nearest in str(caught.value)


def test_packed_images_are_refused(squares: Path, keys: tuple[str, ...]) -> None:
    fit = "model.vision={kind: patches, image_size: [8, 8], patch_size: 4, fit: pack}"
    run = load_run(squares / "run.yaml", [*keys, fit])
    with pytest.raises(UserError, match="cannot where they are packed"):
        build(beginning_of(run, resume=False))
