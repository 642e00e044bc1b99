"""A run that starts from another: what is taken, what is new, and what is said."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.codecs.row_names import row_names
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.specs.load import load_run, load_tasks
from unified_vl.specs.run import Run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.checkpoint import write_manifest
from unified_vl.training.tokenizers.tokenizer_extension import extend_tokenizer
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"

SIZES = "  d_model: 32\n  d_kv: 8\n  d_ff: 48\n  num_layers: 2\n"
SIZES += "  num_decoder_layers: 2\n  num_heads: 4\n"
VISION = "  vision: {kind: patches, image_size: [8, 8], patch_size: 4}\n"


@pytest.fixture(scope="module")
def trained(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that has ended."""
    output = tmp_path_factory.mktemp("trained") / "output"
    train(load_run(squares / "run.yaml", [f"output={output}"]), progress=False)
    return output


def run_from(squares: Path, source: Path, folder: Path, keys: str = "", *more: str) -> Run:
    """The run of squares that starts from `source` and says nothing else of its model."""
    text = (squares / "run.yaml").read_text().replace(SIZES, "").replace(VISION, "")
    text = text.replace("  dropout_rate: 0.1\n", f"  from: {source}\n{keys}")
    text = text.replace("mixture: mixture.yaml", f"mixture: {squares / 'mixture.yaml'}")
    (folder / "run.yaml").write_text(text)
    return load_run(folder / "run.yaml", [f"output={folder / 'output'}", *more])


def weights_of(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")


def test_the_same_vocabulary_takes_every_weight(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    run = run_from(squares, trained / "model", tmp_path)
    parts = build(beginning_of(run, resume=False))
    saved = weights_of(trained / "model")
    state = parts.model.state_dict()
    assert state.keys() == saved.keys()
    for name, weight in saved.items():
        assert torch.equal(state[name], weight), name
    assert parts.model.training and parts.model.config.dropout_rate == 0.1
    assert parts.start is not None
    assert (parts.start.new, parts.start.fresh, parts.start.unused) == ([], [], [])


def test_a_run_says_what_it_started_from(
    squares: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(run_from(squares, trained / "model", tmp_path, "", "steps=2"))
    assert f"started from the model {trained / 'model'}: " in capsys.readouterr().err
    first = json.loads((tmp_path / "output" / "events.jsonl").read_text().splitlines()[0])
    assert first["event"] == "started_from" and first["rows_new"] == []
    facts = load_model(tmp_path / "output" / "model").facts
    assert facts["started_from"]["fingerprint"] == first["fingerprint"]


CONTRADICTIONS = {
    "  d_model: 64\n": ("model.d_model", "found 64, but the model .* has 32"),
    "  scale_attention: false\n": ("model.scale_attention", "found false, but .* has true"),
    "  vision: {kind: stem}\n": ("model.vision.kind", 'found "stem", but .* has "patches"'),
    "  vision: {patch_size: 8}\n": ("model.vision.patch_size", "found 8, but .* has 4"),
    "  vision: {channels: [16]}\n": ("model.vision.channels", "of kind .patches. does not read"),
    "  vision: {image_size: [10, 8]}\n": ("model.vision.image_size", "cannot be cut into"),
}


@pytest.mark.parametrize("keys", CONTRADICTIONS)
def test_a_key_that_contradicts_the_weights_is_refused(
    squares: Path, trained: Path, tmp_path: Path, keys: str
) -> None:
    run = run_from(squares, trained / "model", tmp_path, keys)
    field, told = CONTRADICTIONS[keys]
    with pytest.raises(UserError, match=told) as caught:
        beginning_of(run, resume=False)
    assert caught.value.field == field
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "run.yaml"), 13)


def test_the_same_value_may_be_given_and_what_weights_do_not_need_may_differ(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    keys = "  d_model: 32\n  dropout_rate: 0.25\n  vision: {image_size: [16, 8]}\n"
    run = run_from(squares, trained / "model", tmp_path, keys)
    parts = build(beginning_of(run, resume=False))
    config = parts.model.config
    assert (config.d_model, config.dropout_rate, config.image_size) == (32, 0.25, (16, 8))
    assert parts.start is not None and parts.start.resized == ["encoder.vision.row"]
    row = weights_of(trained / "model")["encoder.vision.row"]
    resized = parts.model.state_dict()["encoder.vision.row"]
    assert resized.shape == (4, 32)
    assert torch.allclose(resized[0], row[0]) and torch.allclose(resized[-1], row[-1])
    assert torch.allclose(resized[1], 0.75 * row[0] + 0.25 * row[1], atol=1e-6)


def test_the_saved_configuration_does_not_name_the_source(trained: Path) -> None:
    names = row_names(*load_tokenizer(trained / "model" / "tokenizer"))
    assert "from" not in json.loads((trained / "model" / "config.json").read_text())
    assert len(set(names)) == len(names) and None not in names


def grown(squares: Path, folder: Path, bins: int = 24) -> Path:
    """A tokenizer with another tag, other pieces and other bins than that of squares."""
    texts = ["red rot rouge", "green grün vert", "black noir noir schwarz"] * 4
    text = train_text_tokenizer(texts, folder / "text.model", 300)
    tags = standard_tags(["fr", "en", "de"], ["count", "see", "say"], ["seeing"])
    vocabulary = Vocabulary(len(text), tags, bins)
    (folder / "vocabulary.json").write_text(vocabulary.to_json())
    return folder


def names_in(directory: Path) -> list[str | None]:
    return row_names(*load_tokenizer(directory))


def test_rows_of_another_vocabulary_are_found_by_what_they_stand_for(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    tokenizer = grown(squares, tmp_path / "tokenizer")
    run = run_from(squares, trained, tmp_path, "", f"tokenizer={tokenizer}")
    parts = build(beginning_of(run, resume=False))
    saved = weights_of(trained / "model")
    theirs = {name: i for i, name in enumerate(names_in(trained / "model" / "tokenizer"))}
    ours = names_in(tokenizer)
    start = parts.start
    assert start is not None and start.between == 24
    state = parts.model.state_dict()
    new = [name for name in ours if name not in theirs and not str(name).startswith("location")]
    assert start.new == [name for name in new if not str(name).startswith("unused")]
    assert {"tag:language:fr", "tag:task:count"} <= set(start.new)
    assert any(str(name).startswith("piece:") for name in start.new)
    for name in ("encoder.embedding.weight", "lm_head.weight"):
        for i, meaning in enumerate(ours):
            if meaning in theirs:
                assert torch.equal(state[name][i], saved[name][theirs[meaning]]), meaning
        first = [ours.index(f"location:{place}/24") for place in range(24)]
        old = [theirs[f"location:{place}/16"] for place in range(16)]
        low, high = saved[name][old[0]], saved[name][old[1]]
        assert torch.equal(state[name][first[0]], low)  # outside of the first centre
        assert torch.allclose(state[name][first[1]], torch.lerp(low, high, 0.5), atol=1e-6)
        assert state[name].isfinite().all()
    tags = [row for name, row in theirs.items() if str(name).startswith("tag:")]
    head = state["lm_head.weight"][ours.index("tag:task:count")]
    mean, std = saved["lm_head.weight"][tags].mean(0), saved["lm_head.weight"][tags].std(0)
    assert ((head - mean).abs() < 0.6 * std + 1e-6).all()
    again = build(beginning_of(run, resume=False))
    assert torch.equal(state["lm_head.weight"], again.model.state_dict()["lm_head.weight"])


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_checkpoint_gives_the_weights_of_its_model(
    squares: Path, tmp_path: Path, stage: int
) -> None:
    source = tmp_path / "source"
    engine = f"engine={ENGINES / f'zero{stage}.json'}"
    train(load_run(squares / "run.yaml", [f"output={source}", engine, "steps=2"]), progress=False)
    shutil.rmtree(source / "best_model")
    saved = weights_of(source / "model")
    shutil.rmtree(source / "model")
    for place in (source, source / "checkpoints", source / "checkpoints/step-00000002"):
        parts = build(beginning_of(run_from(squares, place, tmp_path), resume=False))
        assert parts.start is not None and "checkpoint" in parts.start.about
        state = parts.model.state_dict()
        assert all(torch.equal(state[name], weight) for name, weight in saved.items())


def test_a_checkpoint_of_two_ranks_is_put_together(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    """Cut the stretches of one rank's file in two, as two ranks of ZeRO write them."""
    folder = tmp_path / "out/checkpoints/step-00000006"
    shutil.copytree(trained / "checkpoints/step-00000006", folder)
    (shard,) = (folder / "state").glob("*.safetensors")
    halves: list[dict[str, torch.Tensor]] = [{}, {}]
    for key, tensor in load_file(shard).items():
        kind, start, name = key.split(":", 2)
        cut = len(tensor) // 3
        halves[0][key] = tensor[: cut or None].clone()
        if cut:  # a single number is the first rank's
            halves[1][f"{kind}:{int(start) + cut}:{name}"] = tensor[cut:].clone()
    for rank, half in enumerate(halves):
        save_file(half, folder / f"state/rank-{rank:05d}.safetensors")
    write_manifest(folder)
    parts = build(beginning_of(run_from(squares, folder, tmp_path), resume=False))
    state = parts.model.state_dict()
    saved = weights_of(trained / "model")
    assert all(torch.equal(state[name], weight) for name, weight in saved.items())
    (folder / "state/rank-00001.safetensors").unlink()
    write_manifest(folder)
    with pytest.raises(UserError, match=r"has .* of its .* numbers"):
        beginning_of(run_from(squares, folder, tmp_path), resume=False)


def test_a_run_goes_on_without_what_it_started_from(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(trained, source)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    whole.mkdir()
    halves.mkdir()
    settings = ["steps=4", "optimizer.decay=constant"]
    train(run_from(squares, source, halves, "", *settings, "steps=2"), progress=False)
    train(run_from(squares, source, whole, "", *settings), progress=False)
    shutil.rmtree(source)
    with pytest.raises(UserError, match="this run started from something else") as caught:
        train(run_from(squares, trained, halves, "", *settings), resume=True, progress=False)
    assert caught.value.field == "model.from"
    train(run_from(squares, source, halves, "", *settings), resume=True, progress=False)
    one, two = (weights_of(f) for f in (whole / "output/model", halves / "output/model"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    facts = load_model(halves / "output/model").facts
    assert facts["started_from"]["from"] == f"the model {source / 'model'}"


def test_an_extended_tokenizer_keeps_every_row_at_its_id(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    tokenizer = tmp_path / "tokenizer"
    tasks = load_tasks([squares / "look.yaml"])
    texts = ["alles wat ik zie is rood", "een groen vierkant", "een žlutý vierkant"]
    extended = extend_tokenizer(trained / "model/tokenizer", tokenizer, tasks, texts, 8)
    assert extended.tags == ("task:look",) and 0 < len(extended.pieces) <= 8
    assert extended.ids_after < extended.ids_before
    (tmp_path / "mixture.yaml").write_text(
        f"mixture: more\nversion: 1\ntasks:\n  - {{spec: {squares / 'look.yaml'}}}\n"
    )
    places = [f"tokenizer={tokenizer}", f"mixture={tmp_path / 'mixture.yaml'}", "steps=1"]
    run = run_from(squares, trained, tmp_path, "", *places)
    parts = build(beginning_of(run, resume=False))
    assert parts.start is not None
    pieces = [f"piece:{piece}" for piece in extended.pieces]
    assert parts.start.new == ["tag:task:look", *pieces]
    saved, state = weights_of(trained / "model"), parts.model.state_dict()
    end = load_tokenizer(trained / "model/tokenizer")[0].end
    for name in ("encoder.embedding.weight", "lm_head.weight"):
        assert torch.equal(state[name][:end], saved[name][:end])
    model = UnifiedVL.from_pretrained(train(run, progress=False))
    assert isinstance(model.predict("look", image=squares / "data/red.png").text, str)
    with pytest.raises(UserError, match="is the tokenizer itself"):
        extend_tokenizer(tokenizer, tokenizer, tasks)


def test_other_tasks_on_resume_are_told_where_to_go(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "output")
    (tmp_path / "mixture.yaml").write_text(
        f"mixture: less\nversion: 1\ntasks:\n  - {{spec: {squares / 'say.yaml'}}}\n"
    )
    places = [f"mixture={tmp_path / 'mixture.yaml'}", f"output={tmp_path / 'output'}"]
    run = load_run(squares / "run.yaml", places)
    with pytest.raises(UserError, match=r"the task 'see' is gone") as caught:
        train(run, resume=True, progress=False)
    assert f"model.from: {tmp_path / 'output'}" in str(caught.value)
    (tmp_path / "mixture.yaml").write_text(
        f"mixture: look\nversion: 1\ntasks:\n  - {{spec: {squares / 'look.yaml'}}}\n"
    )
    with pytest.raises(UserError, match="has no tag 'task:look'") as caught:
        build(load_run(squares / "run.yaml", places[:1]))
    assert "unified-vl tokenizer extend" in str(caught.value)


def test_the_page_about_it_runs(
    squares: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ENGINES.parent / "docs" / "starting_from.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"```sh\n(unified-vl tokenizer extend .* --spec count.yaml .*)\n", page)
    mixture, run = re.findall(r"```yaml\n((?:mixture|run): count .*?)```", page, re.S)
    (tmp_path / "count.yaml").write_text((squares / "look.yaml").read_text())
    (tmp_path / "mixture.yaml").write_text(mixture)
    (tmp_path / "run.yaml").write_text(run)
    shutil.copytree(squares / "data", tmp_path / "data")
    shutil.copytree(trained / "model", tmp_path / "runs/demo/model")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, command.split()[1:]).exit_code == 0
    model = train(load_run("run.yaml", ["steps=1", "batch_size=4"]), progress=False)
    assert load_model(model).facts["started_from"]["rows_new"] == ["tag:task:look"]
