"""Low-rank adapters: what they train, what decoding and saved models compute, how runs go on."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.serving.conftest import running
from unified_vl.app.answer import answer
from unified_vl.app.inputs import Input
from unified_vl.errors import UserError
from unified_vl.evaluation.results import read_facts
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model, save_model
from unified_vl.model.tuning.adapters import add_adapters, merged, merged_weights
from unified_vl.model.tuning.names import named_weights
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.serving.service import Service
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.specs.runs.lora import LoraSpec
from unified_vl.training.build import build
from unified_vl.training.checking import check
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
LORA = "lora={rank: 4, dropout: 0.1, also_train: [lm_head.weight]}"


def make_run(squares: Path, output: Path, *more: str) -> Run:
    given = [f"output={output}", "steps=4", "optimizer.decay=constant", *more]
    return load_run(squares / "run.yaml", given)


@pytest.fixture
def adapted(squares: Path, tmp_path: Path) -> UnifiedVLForConditionalGeneration:
    """A model with adapters that do something."""
    model = build(make_run(squares, tmp_path, LORA)).model
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def logits(model: UnifiedVLForConditionalGeneration) -> torch.Tensor:
    ids = torch.arange(4, 24).view(2, 10)
    return model(input_ids=ids, decoder_input_ids=ids[:, :5]).logits.detach()


def test_the_default_targets_are_all_of_attention_and_nothing_else_is_trained(
    adapted: UnifiedVLForConditionalGeneration,
) -> None:
    trained = {n for n, each in named_weights(adapted).items() if each.requires_grad}
    layers = {name.rpartition(".lora_")[0] for name in trained if ".lora_" in name}
    attention = {
        name.removesuffix(".weight")
        for name in named_weights(adapted)
        if ".attend_" in name and ".lora_" not in name
    }
    assert layers == attention
    assert len(layers) == 2 * 2 + 2 * 5  # two blocks each: qkv and out, of the decoder also q, kv
    assert {name for name in trained if ".lora_" not in name} == {"lm_head.weight"}


def test_adapters_begin_by_changing_nothing(squares: Path, tmp_path: Path) -> None:
    plain = build(make_run(squares, tmp_path)).model.eval()
    begun = build(make_run(squares, tmp_path, LORA)).model.eval()
    assert torch.equal(logits(plain), logits(begun))


def test_merged_is_the_same_model_without_adapters_and_then_as_it_was(
    adapted: UnifiedVLForConditionalGeneration,
) -> None:
    expected = logits(adapted)
    before = copy.deepcopy(adapted.state_dict())
    with merged(adapted), torch.no_grad():
        assert not any("lora" in name for name, _ in adapted.named_modules())
        torch.testing.assert_close(logits(adapted), expected, rtol=1e-4, atol=1e-4)
    after = adapted.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(logits(adapted), expected)


def test_merged_weights_are_those_that_peft_merges(
    adapted: UnifiedVLForConditionalGeneration,
) -> None:
    lora = LoraSpec(rank=4, also_train=("lm_head.weight",))
    ours = merged_weights(adapted.state_dict(), lora)
    plain = UnifiedVLForConditionalGeneration(adapted.config)
    plain.load_state_dict(ours)  # by the names of a model without adapters, and all of them
    torch.testing.assert_close(logits(plain.eval()), logits(adapted), rtol=1e-4, atol=1e-4)
    for name, module in list(adapted.named_modules()):
        if hasattr(module, "get_delta_weight"):
            module.merge()
            theirs = module.get_base_layer().weight
            torch.testing.assert_close(ours[f"{name}.weight"], theirs, rtol=1e-6, atol=1e-6)


def test_a_model_in_bfloat16_is_not_merged_for_decoding(
    adapted: UnifiedVLForConditionalGeneration,
) -> None:
    torch.nn.Module.to(adapted, dtype=torch.bfloat16)
    with merged(adapted):
        assert any("lora" in name for name, _ in adapted.named_modules())


STAGES = ["zero0", "zero1", "zero2", "zero3", "zero0_bf16", "zero3_bf16", "zero3_offload"]
OTHER_ENGINES = {
    "zero3_bf16": {"zero_optimization": {"stage": 3}, "bf16": {"enabled": True}},
    "zero3_offload": {
        "zero_optimization": {
            "stage": 3,
            "offload_optimizer": {"device": "cpu"},
            "offload_param": {"device": "cpu"},
        }
    },
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_with_adapters_scores_saves_and_goes_on_exactly(
    stage: str, squares: Path, tmp_path: Path
) -> None:
    engine = f"engine={ENGINES / stage}.json"
    if not (ENGINES / f"{stage}.json").exists():
        (tmp_path / "engine.json").write_text(json.dumps(OTHER_ENGINES[stage]))
        engine = f"engine={tmp_path / 'engine.json'}"
    more = (LORA, engine, "score_every=2", "score_rows=2")
    begun = build(make_run(squares, tmp_path)).model.state_dict()
    folder = train(make_run(squares, tmp_path / "whole", *more), progress=False)
    whole = load_file(folder / "model.safetensors")
    assert whole.keys() == begun.keys()
    exact = not stage.endswith("bf16")
    for name, weight in whole.items():
        moved = ".attend_" in name or name == "lm_head.weight"
        same = begun[name] if exact else begun[name].bfloat16().float()
        assert torch.equal(weight, same) != moved, name
    model = UnifiedVL.from_pretrained(folder)
    assert model.predict("say", text="rot", language="en").text is not None
    train(make_run(squares, tmp_path / "parts", *more, "steps=2"), progress=False)
    train(make_run(squares, tmp_path / "parts", *more), resume=True, progress=False)
    parts = load_file(tmp_path / "parts" / "model" / "model.safetensors")
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())
    for shard in (tmp_path / "whole" / "checkpoints").glob("step-*/state/*.safetensors"):
        with safe_open(shard, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (no mapping)
                kind, _, name = key.split(":")
                assert ".lora_" in name or name == "lm_head.weight" or kind == "buffer"
                assert kind == "buffer" or file.get_tensor(key).dtype == torch.float32


@pytest.fixture(scope="module")
def begun(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("begun") / "output"
    train(make_run(squares, output, "lora={rank: 4}", "steps=2"), progress=False)
    return output


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ("lora={rank: 8}", "lora is not what it was"),
        ("lora={rank: 4, alpha: 8}", "lora is not what it was"),
        ("lora=null", "lora is not what it was"),
        ("lora={rank: 4, targets: ['*.qkv']}", "a run that trained .*, now frozen or gone"),
        ("lora={rank: 4, also_train: [lm_head.weight]}", "did not train lm_head.weight"),
    ],
)
def test_a_checkpoint_of_other_adapters_is_refused(
    other: str, told: str, squares: Path, begun: Path, tmp_path: Path
) -> None:
    shutil.copytree(begun, tmp_path / "output")
    with pytest.raises(UserError, match=told):
        train(make_run(squares, tmp_path / "output", other), resume=True, progress=False)


@pytest.fixture(scope="module")
def base(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model to start from."""
    output = tmp_path_factory.mktemp("base") / "output"
    return train(make_run(squares, output, "steps=1"), progress=False)


@pytest.fixture(scope="module")
def alone(base: Path, squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run saves that saves adapters alone."""
    output = tmp_path_factory.mktemp("alone") / "output"
    run = adapted_run(squares, output, base, "save: adapter, also_train: [lm_head.weight]")
    return train(run, progress=False)


def adapted_run(squares: Path, output: Path, base: Path, keys: str, *more: str) -> Run:
    run_file = output.parent / "run.yaml"  # where the model comes from is all that it says of it
    text = re.sub(r"model:\n(  .*\n)+", f"model: {{from: {base}}}\n", read(squares / "run.yaml"))
    text = text.replace("mixture: mixture.yaml", f"mixture: {squares}/mixture.yaml")
    output.parent.mkdir(exist_ok=True)
    run_file.write_text(f"{text}lora: {{rank: 4, {keys}}}\n")
    return load_run(run_file, [f"output={output}", "steps=3", *more])


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_an_adapter_alone_is_small_and_the_same_model_as_a_whole_one(
    alone: Path, base: Path, squares: Path, tmp_path: Path
) -> None:
    assert not (alone / "model.safetensors").exists()
    with safe_open(alone / "other_weights.safetensors", framework="pt") as file:
        assert list(file.keys()) == ["lm_head.weight"]
    keys = "save: merged, also_train: [lm_head.weight]"
    whole = train(adapted_run(squares, tmp_path / "run" / "output", base, keys), progress=False)
    assert read_facts(alone)["parameters"] == read_facts(whole)["parameters"]
    opened = UnifiedVL.from_pretrained(alone)
    expected = load_file(whole / "model.safetensors")
    for name, weight in opened.model.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-6)
    saved = load_model(alone)
    save_model(tmp_path / "again", saved.model, saved.codec, saved.specs.values(), saved.facts)
    again = load_file(tmp_path / "again" / "model.safetensors")
    assert all(torch.equal(again[name], each) for name, each in saved.model.state_dict().items())
    asked = {"text": "rot", "language": "en"}
    told = UnifiedVL.from_pretrained(whole).predict("say", **asked)
    assert opened.predict("say", **asked).text == told.text


def test_an_adapter_alone_answers_as_a_service_and_on_a_page(alone: Path) -> None:
    predictor = UnifiedVL.from_pretrained(alone)
    expected = predictor.predict("say", text="rot", language="en")
    with running(Service(predictor, "adapted")) as found:
        told = found.ask(task="say", language="en", fields={"text": "rot"}).json()
    assert told["prediction"] == expected.text
    assert told["score"] == pytest.approx(expected.score, abs=1e-4)
    shown = answer(predictor, "say", "en", {Input("text", "text"): "rot"}, 3).html
    assert shown.count("<tr><td>") == 3


def test_peft_opens_an_adapter_alone(alone: Path, base: Path) -> None:
    from peft import PeftModel

    ours = UnifiedVL.from_pretrained(alone).model
    theirs = PeftModel.from_pretrained(UnifiedVL.from_pretrained(base).model, str(alone)).eval()
    merged_by_peft = theirs.merge_and_unload().state_dict()
    for name, weight in ours.state_dict().items():
        if name != "lm_head.weight":
            torch.testing.assert_close(weight, merged_by_peft[name], rtol=1e-5, atol=1e-6)


def test_a_run_that_saves_adapters_alone_goes_on(
    alone: Path, base: Path, squares: Path, tmp_path: Path
) -> None:
    keys = "save: adapter, also_train: [lm_head.weight]"
    output = tmp_path / "run" / "output"
    train(adapted_run(squares, output, base, keys, "steps=2"), progress=False)
    before = (output / "best_model" / "training.json").stat().st_mtime_ns
    train(adapted_run(squares, output, base, keys, "steps=2"), resume=True, progress=False)
    assert (output / "best_model" / "training.json").stat().st_mtime_ns == before  # it is whole


def test_an_adapter_and_its_base_are_moved_together(
    base: Path, squares: Path, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(base, before / "base")
    folder = train(
        adapted_run(squares, before / "run" / "output", before / "base", "save: adapter"),
        progress=False,
    )
    expected = load_model(folder).model.state_dict()
    before.rename(after)
    moved = load_model(after / "run/output/model").model.state_dict()
    assert all(torch.equal(moved[name], weight) for name, weight in expected.items())
    shutil.rmtree(after / "base")
    with pytest.raises(UserError, match=r"before/base', which this adapter was trained beside"):
        load_model(after / "run/output/model")


def test_a_running_mean_is_of_the_adapters(squares: Path, tmp_path: Path) -> None:
    """It is what is saved, merged with weights that no mean is kept of; a resume is exact."""
    plain = load_file(train(make_run(squares, tmp_path / "plain", LORA)) / "model.safetensors")
    more = (LORA, "ema={decay: 0.9}")
    mean = load_file(train(make_run(squares, tmp_path / "mean", *more)) / "model.safetensors")
    moved = {name for name in plain if not torch.equal(plain[name], mean[name])}
    assert moved == {name for name in plain if ".attend_" in name or name == "lm_head.weight"}
    train(make_run(squares, tmp_path / "parts", *more, "steps=2"), progress=False)
    parts = train(make_run(squares, tmp_path / "parts", *more), resume=True, progress=False)
    found = load_file(parts / "model.safetensors")
    assert all(torch.equal(found[name], weight) for name, weight in mean.items())


@pytest.mark.parametrize("stage", ["zero0", "zero3"])
def test_adapters_learn_the_same_where_blocks_compute_again(
    stage: str, squares: Path, tmp_path: Path
) -> None:
    """What goes into the first block needs no gradient, and what adapters drop is drawn again."""
    found = []
    for key in ("false", "true"):
        more = (LORA, f"engine={ENGINES / stage}.json", f"activation_checkpointing={key}")
        folder = train(make_run(squares, tmp_path / key, *more), progress=False)
        found.append(load_file(folder / "model.safetensors"))
    assert all(torch.equal(found[1][name], weight) for name, weight in found[0].items())


def lose_the_base(folder: Path) -> None:
    path = folder / "adapter.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "base": str(folder / "nowhere")}))


def change_the_base(folder: Path) -> None:
    path = folder / "adapter.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "fingerprint": "0" * 16}))


def change_the_rank(folder: Path) -> None:
    path = folder / "adapter.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "rank": 5}))


def cut_the_matrices(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def add_a_key(folder: Path) -> None:
    path = folder / "adapter.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "bases": "x"}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lose_the_base, r"adapter.json.*: base: .*nowhere', which this adapter was trained beside"),
        (change_the_base, r"adapter.json.*fingerprint: .* is not what this adapter was trained"),
        (change_the_rank, r"adapter_model.safetensors: the adapter of .* does not fit the model"),
        (cut_the_matrices, r"adapter_model.safetensors: these weights cannot be read"),
        (add_a_key, r"adapter.json.*bases: is not a known key; .*did you mean 'base'"),
    ],
)
def test_an_adapter_that_is_spoilt_is_told(
    alone: Path, tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    folder = tmp_path / "alone"
    shutil.copytree(alone, folder)
    spoil(folder)
    with pytest.raises(UserError) as raised:
        UnifiedVL.from_pretrained(folder)
    assert re.search(told, str(raised.value)), str(raised.value)


BAD: dict[str, Any] = {
    "targets: ['*.q_kv']": "lora.targets.0: no linear layer is called '*.q_kv'; expected patterns "
    "of linear layers, such as *.out, *.qkv, *.wi, *.wo, *.q, *.kv; did you mean '*.qkv'?",
    "targets: ['*.qkv', encoder.embedding]": "no linear layer is called 'encoder.embedding'",
    "also_train: [encoder.embeding.weight]": "lora.also_train.0: no weight is called "
    "'encoder.embeding.weight'",
    "also_train: [decoder.*]": "is trained whole and would have an adapter too",
}


@pytest.mark.parametrize("keys", BAD)
def test_targets_that_fit_nothing_are_told(keys: str, squares: Path, tmp_path: Path) -> None:
    run = make_run(squares, tmp_path, f"lora={{{keys}}}")
    with pytest.raises(UserError) as raised:
        build(run)
    assert BAD[keys] in str(raised.value)
    found = check(run, leakage=False).findings[0]
    assert (found.field, found.message) == (raised.value.field, raised.value.message)


def test_a_tied_head_gets_no_adapter_of_its_own(squares: Path, tmp_path: Path) -> None:
    tied = ("model.tie_word_embeddings=true", "lora={targets: [lm_head]}")
    with pytest.raises(UserError, match=r"'lm_head' is tied to 'encoder\.embedding\.weight'"):
        build(make_run(squares, tmp_path, *tied))


def test_a_model_without_default_targets_asks_for_them() -> None:
    model = torch.nn.ModuleDict({"query": torch.nn.Linear(4, 4)})
    with pytest.raises(UserError, match=r"does not say .* such as \*.query"):
        add_adapters(model, LoraSpec())


def test_adapters_and_freeze_are_not_asked_for_together(squares: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="freeze: adapters leave all other weights as they are"):
        make_run(squares, tmp_path, "lora={rank: 4}", "freeze=[encoder.*]")
