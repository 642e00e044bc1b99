"""The matching head in the second stage of retrieval: the scores of training, and their order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.data.batching import IGNORED
from unified_vl.errors import UserError
from unified_vl.inference.matching_scoring import MatchingScorer
from unified_vl.inference.pair_scoring import Sentence
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE, Features
from unified_vl.inference.retrieval.ranking import scorer_of
from unified_vl.inference.retrieval.retriever import Retriever
from unified_vl.model.learning.target_loss import Targets
from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.matching import Matching
from unified_vl.training.objectives.pairs import PAIRS
from unified_vl.training.trainer import train

PROCESS = Process(0, 1, torch.device("cpu"))
COLOURS = ("red", "green", "blue", "white", "black")


@pytest.fixture(scope="module")
def run(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("matching")
    text = (squares / "mixture.yaml").read_text().replace("spec: ", f"spec: {squares}/")
    (folder / "mixture.yaml").write_text(
        text.replace("contrast: 0.5", "contrast: 0.5, matching: 1")
    )
    keys = [f"mixture={folder / 'mixture.yaml'}", f"output={folder / 'out'}", "steps=2"]
    return load_run(squares / "run.yaml", [*keys, "validation_rows=0"])


@pytest.fixture(scope="module")
def saved(run: Any) -> Path:
    return train(run, progress=False)


@pytest.fixture
def model(saved: Path) -> UnifiedVL:
    return UnifiedVL.from_pretrained(saved)


@pytest.fixture(scope="module")
def photos(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "photos"
    folder.mkdir()
    for colour in COLOURS:
        shutil.copy(squares / "data" / f"{colour}.png", folder)
    return folder


@torch.no_grad()
def test_a_pair_has_the_score_of_training(run: Any, model: UnifiedVL) -> None:
    (batch,) = build(run).streams["see"].micro_batches(0, 0, 1, 1)
    assert batch.labels_BT is not None and batch.pixel_values_NCHW is not None
    learner: Any = model.model
    matching = Matching(1.0, learner.config)

    def within(learner: Any, output: Any) -> Any:
        return matching.within(learner, output, batch, PROCESS)

    output = learner(
        **batch.model_inputs(),
        **matching.inputs(batch),
        targets=Targets(batch.labels_BT, logits=False),
        within=[within],
        decoder_input_ids=learner.prepare_decoder_input_ids_from_labels(batch.labels_BT),
    )
    rows = len(batch.labels_BT)
    assert output.beside[PAIRS].belongs[:rows].all()
    expected = output.beside["matching_R2"][:rows].log_softmax(-1)[:, 1]
    images = Features.of(learner.image_features(batch.pixel_values_NCHW))
    ids = [[i for i in row if i not in (IGNORED, 1)] for row in batch.labels_BT.tolist()]
    texts = [Sentence(model.codec.text.decode(each), "en") for each in ids]
    found = MatchingScorer(model).log_probability(images, texts, [(i, i) for i in range(rows)])
    assert_close(torch.from_numpy(found).float(), expected, rtol=1e-4, atol=1e-5)
    assert len({round(value, 5) for value in found}) > 1, "the pairs must differ"


@torch.no_grad()
def test_images_come_in_the_order_of_the_head(model: UnifiedVL, photos: Path) -> None:
    """Of one that finds all pairs so unlikely that the first stage hardly counts."""
    head: Any = model.model.matching
    read: list[torch.Tensor] = []
    head.register_forward_hook(lambda module, inputs, scores: read.append(inputs[0]))
    found = Retriever.build(model, photos, rerank="matching")
    found.search("red", "en")
    mean_XM = torch.cat(read)
    away_M = mean_XM.mean(0)
    spread = (mean_XM @ away_M).max() - (mean_XM @ away_M).min()
    head.scores.weight[0] = 0.0
    head.scores.weight[1] = -away_M * 1000 / spread
    hits = found.search("red", "en")
    said = [hit.log_probability for hit in hits]
    assert len(said) == len(COLOURS)
    assert said == sorted(said, reverse=True) and said[0] - said[-1] == pytest.approx(
        1000, rel=0.01
    )
    for hit in hits:
        assert hit.score == pytest.approx(hit.similarity / TEMPERATURE + hit.log_probability)


def test_what_cannot_be_asked_is_said(
    squares: Path, model: UnifiedVL, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="yes: the matching head writes no answer"):
        scorer_of(model, yes="ja", rerank="matching")
    with pytest.raises(UserError, match="task: the task 'say' neither describes an image"):
        scorer_of(model, "say", rerank="matching")
    model.model.config.matching_head = False
    said = "rerank: the model has no matching head; expected task, or a model that was trained"
    with pytest.raises(UserError, match=said):
        Retriever.build(model, photos, rerank="matching").search("red", "en")


def test_commands_ask_the_head(saved: Path, squares: Path, photos: Path) -> None:
    asked = CliRunner()
    assert asked.invoke(app, ["index", str(saved), str(photos)]).exit_code == 0
    index = str(photos.with_suffix(".index"))
    words = ["retrieve", str(saved), index, "--text", "red", "--language", "en", "--json"]
    rows = {}
    for rerank in ("task", "matching"):
        found = asked.invoke(app, [*words, "--rerank", rerank])
        assert found.exit_code == 0, found.output
        lines = map(json.loads, found.stdout.splitlines())
        rows[rerank] = {row["key"]: row["log_probability"] for row in lines}
    assert rows["task"].keys() == rows["matching"].keys()
    assert rows["task"] != rows["matching"]
    data = ["--data", str(squares / "data"), "--split", "validation", "--json"]
    found = asked.invoke(app, ["evaluate-retrieval", str(saved), *data, "--rerank", "matching"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["all"]["text_to_image"]["reranked"]["count"] > 0
