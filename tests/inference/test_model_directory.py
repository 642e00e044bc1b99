"""unified_vl/inference/saved_models/model_directory.py"""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unified_vl.data.rows.closed_answers import learn_choices
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model, save_model
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

Break = Callable[[Path], object]


def rewrite(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def misspell(path: Path, right: str, wrong: str) -> None:
    path.write_text(path.read_text().replace(right, wrong))


def test_a_saved_model_needs_nothing_beside_it(tiny, model_directory: Path) -> None:
    moved = model_directory.rename(model_directory.parent / "elsewhere")
    loaded = load_model(moved)
    before, after = tiny.saved.model.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.codec.vocabulary == tiny.saved.codec.vocabulary
    assert loaded.codec.text.content == tiny.saved.codec.text.content
    assert (loaded.codec.max_source, loaded.codec.max_target) == (40, 20)
    assert loaded.codec.image_size == (16, 16)
    assert loaded.codec.image_tokens == 4
    assert loaded.facts == {"steps": 3}
    assert not loaded.model.training
    assert (moved / "generation_config.json").is_file()


def test_specs_are_kept_word_for_word(tiny, model_directory: Path) -> None:
    assert sorted(p.name for p in (model_directory / "specs").iterdir()) == [
        "tiny_caption.yaml",
        "tiny_copy.yaml",
        "tiny_ground.yaml",
    ]
    kept = (model_directory / "specs/tiny_ground.yaml").read_text(encoding="utf-8")
    assert kept == tiny.specs["tiny_ground"].text
    loaded = load_model(model_directory).specs
    assert {name: spec.model_dump() for name, spec in loaded.items()} == {
        name: spec.model_dump() for name, spec in tiny.specs.items()
    }


def closed(tiny, tmp_path: Path, choices: str, name: str = "tiny_closed") -> TaskSpec:
    """The copying task with closed answers, in a folder of its own."""
    folder = tmp_path / name
    folder.mkdir()
    text = tiny.specs["tiny_copy"].text.replace("task: tiny_copy", f"task: {name}")
    text = text.replace("method: beam, beams: 3", f"method: constrained, choices: {choices}")
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    (folder / "answers.txt").write_text(f"{name}\nگربه\n", encoding="utf-8")
    return load_task(folder / "task.yaml")


def test_choices_travel_with_the_model(tiny, tmp_path: Path) -> None:
    saved = tiny.saved
    specs = [closed(tiny, tmp_path, "{file: answers.txt}", name) for name in ("one", "two")]
    specs.append(closed(tiny, tmp_path, "{values: [a, b]}", "three"))
    save_model(tmp_path / "model", saved.model, saved.codec, specs)
    for name in ("one", "two", "three"):
        shutil.rmtree(tmp_path / name)
    loaded = load_model(tmp_path / "model").specs
    assert loaded["one"].choices == ("one", "گربه")
    assert loaded["two"].choices == ("two", "گربه")
    assert loaded["three"].choices == ("a", "b")
    save_model(tmp_path / "again", saved.model, saved.codec, loaded.values())
    assert load_model(tmp_path / "again").specs["two"].choices == ("two", "گربه")
    assert load_task(tmp_path / "again/specs/one.yaml").choices == ("one", "گربه")


def test_choices_of_a_field_are_those_of_the_training_data(tiny, tmp_path: Path) -> None:
    saved = tiny.saved
    spec = closed(tiny, tmp_path, "{field: text}")
    with pytest.raises(UserError, match="the choices of the task 'tiny_closed' are not known"):
        save_model(tmp_path / "model", saved.model, saved.codec, [spec])
    data = tmp_path / "data/copy"
    data.mkdir(parents=True)
    rows = [{"text": text} for text in ("no", "yes ", "گربه", "yes", "no")]
    (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = spec.text.replace("{test: test}", "{train: train, test: test}")
    spec.file.write_text(text, encoding="utf-8")
    spec = learn_choices(load_task(spec.file), tmp_path / "data")
    assert spec.choices == ("no", "yes", "گربه")
    save_model(tmp_path / "model", saved.model, saved.codec, [spec])
    loaded = load_model(tmp_path / "model").specs["tiny_closed"]
    again = learn_choices(loaded, tmp_path / "nowhere")  # nothing is read: they are known
    assert again.choices == loaded.choices == ("no", "yes", "گربه")


def test_saving_again_replaces_all_and_leaves_nothing_beside(tiny, model_directory: Path) -> None:
    saved = tiny.saved
    only = [tiny.specs["tiny_copy"]]
    save_model(model_directory, saved.model, saved.codec, only)
    assert list(load_model(model_directory).specs) == ["tiny_copy"]
    assert [p.name for p in model_directory.parent.iterdir()] == ["model"]


def test_weights_can_be_given_apart_from_the_model(tiny, tmp_path: Path) -> None:
    saved = tiny.saved
    doubled = {name: 2 * value for name, value in saved.model.state_dict().items()}
    save_model(tmp_path / "m", saved.model, saved.codec, saved.specs.values(), state_dict=doubled)
    found = load_model(tmp_path / "m").model.state_dict()
    assert all(torch.equal(found[name], doubled[name]) for name in doubled)


@pytest.mark.parametrize(
    ("damage", "named", "said"),
    [
        (lambda d: (d / "config.json").unlink(), "config.json", "missing"),
        (lambda d: (d / "config.json").write_text("{"), "config.json", "not JSON"),
        (lambda d: rewrite(d / "config.json", model_type="t5"), "config.json", "'t5'"),
        (
            lambda d: rewrite(d / "config.json", vocabulary_fingerprint="0"),
            "vocabulary.json",
            "fingerprint",
        ),
        (lambda d: rewrite(d / "config.json", max_source_tokens=None), "config.json", "missing"),
        (
            lambda d: rewrite(d / "config.json", vision={"kind": "pathces"}),
            "config.json:1",
            "did you mean 'patches'?",
        ),
        (
            lambda d: rewrite(d / "config.json", vision={"image_size": 3}),
            "config.json:1",
            "vision.image_size: found 3; expected a list",
        ),
        (lambda d: rewrite(d / "config.json", d_ff=50), "model.safetensors", "do not fit"),
        (lambda d: rewrite(d / "config.json", num_layers=3), "model.safetensors", "do not fit"),
        (lambda d: rewrite(d / "config.json", num_layers=1), "model.safetensors", "do not fit"),
        (lambda d: (d / "tokenizer/text.model").unlink(), "text.model", "no tokenizer"),
        (lambda d: (d / "tokenizer/text.model").write_bytes(b"x"), "text.model", "SentencePiece"),
        (lambda d: (d / "tokenizer/vocabulary.json").unlink(), "vocabulary.json", "no vocabulary"),
        (
            lambda d: rewrite(d / "tokenizer/vocabulary.json", location_bins=51),
            "vocabulary.json",
            "fingerprint",
        ),
        (lambda d: [p.unlink() for p in (d / "specs").iterdir()], "specs", "missing"),
        (
            lambda d: misspell(d / "specs/tiny_copy.yaml", "version", "versoin"),
            "tiny_copy.yaml:3",
            "did you mean 'version'?",
        ),
        (lambda d: (d / "model.safetensors").unlink(), "model.safetensors", "missing"),
        (
            lambda d: (d / "model.safetensors").write_bytes(b"\0" * 64),
            "model.safetensors",
            "cannot be read",
        ),
        (
            lambda d: (d / "model.safetensors").write_bytes(
                (d / "model.safetensors").read_bytes()[:-1000]
            ),
            "model.safetensors",
            "cannot be read",
        ),
    ],
)
def test_a_broken_directory_is_named(
    model_directory: Path, damage: Break, named: str, said: str
) -> None:
    damage(model_directory)
    with pytest.raises(UserError) as error:
        load_model(model_directory)
    place, _, message = str(error.value).partition(": ")
    assert place.endswith(named)
    assert said in message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"d_model": "32"}, "d_model: found '32'; expected a whole number"),
        ({"d_model": 0}, "d_model: found 0; expected greater than or equal to 1"),
        ({"num_heads": 2.5}, "num_heads: found 2.5; expected a whole number"),
        ({"num_layers": 1 << 40}, "num_layers: found 1099511627776; expected less than"),
        ({"vocab_size": 1 << 40}, "vocab_size: found 1099511627776; expected less than"),
        ({"d_ff": 1 << 20}, "weights do not fit config.json"),
        ({"d_model": 1 << 16, "vocab_size": 1 << 22}, "weights do not fit config.json"),
        ({"num_layers": 512}, "weights do not fit config.json"),
        ({"num_labels": 10**9}, "num_labels: is not a known key"),
        ({"scale_attention": "false"}, "expected false without quotation marks"),
        ({"image_token_id": 10**6}, "image_token_id: found 1000000; expected below"),
        ({"location_token_ids": [9, 3]}, "location_token_ids: found [9, 3]; expected two ascend"),
        ({"location_token_ids": 3}, "location_token_ids: found 3; expected a list"),
        ({"eos_token_id": 0}, "eos_token_id: found 0; expected another id than that of pad_to"),
        ({"image_token_id": 0}, "image_token_id: found 0; expected another id than that of pad"),
        ({"image_token_id": 1}, "image_token_id: found 1; expected another id than that of eos"),
        ({"pad_token_id": 1}, "eos_token_id: found 1; expected another id than that of pad_to"),
        ({"code_mask_id": 1}, "code_mask_id: found 1; expected another id than that of eos_to"),
        ({"location_token_ids": [0, 9]}, "location_token_ids: found [0, 9]; expected another id"),
        (
            {"location_token_ids": [4, 9], "code_token_ids": [8, 12]},
            "code_token_ids: found [8",
        ),
        ({"decoder_start_token_id": 4000}, "decoder_start_token_id: found 4000; expected below"),
        ({"vision": {"kind": "timm", "backbone": "resnet81"}}, "timm has no backbone 'resnet81'"),
        ({"vision": []}, "vision: found an empty list; expected keys and values"),
        ({"activation": "prelu"}, "activation: found 'prelu'; expected 'gelu_new'"),
        ({"task_tags": "all"}, "task_tags: found 'all'"),
        ({"attn_implementation": "flash_attention_2"}, "attn_implementation: found 'flash_atten"),
        ({"attn_implementation": "kernels-community/x"}, "expected 'eager' or 'sdpa'"),
        ({"_attn_implementation": "flex_attention"}, "_attn_implementation: found 'flex_attent"),
        ({"auto_map": {"AutoModel": "evil--x.y"}}, "auto_map: names other code"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantization_config: is not a known"),
        ({"dtype": "int8"}, "dtype: found 'int8'; expected 'float32', 'bfloat16' or 'float16'"),
        ({"max_target_tokens": -1}, "max_target_tokens: found -1; expected greater than"),
    ],
)
def test_a_configuration_is_input(
    model_directory: Path, values: dict[str, object], said: str
) -> None:
    rewrite(model_directory / "config.json", **values)
    with pytest.raises(UserError) as error:
        load_model(model_directory)
    assert said in str(error.value)
    assert str(model_directory) in str(error.value)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_known_attention_may_be_named(model_directory: Path, attention: str) -> None:
    rewrite(model_directory / "config.json", _attn_implementation=attention)
    load_model(model_directory)


def change_weights(directory: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    path = directory / "model.safetensors"
    save_file({name: change(name, value) for name, value in load_file(path).items()}, path)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.float64, torch.float8_e4m3fn])
def test_weights_of_another_type_are_refused(model_directory: Path, dtype: torch.dtype) -> None:
    change_weights(model_directory, lambda name, value: value.to(dtype))
    with pytest.raises(UserError, match=r"the weight '.*' is of type .*; expected F32 or BF16 or"):
        load_model(model_directory)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_keep_their_type(model_directory: Path, dtype: torch.dtype) -> None:
    change_weights(model_directory, lambda name, value: value.to(dtype))
    assert load_model(model_directory).model.dtype == dtype


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["encoder.norm.weight", "lm_head.weight", "decoder.norm.weight"])
def test_weights_that_are_no_numbers_never_answer(
    model_directory: Path, part: str, value: float
) -> None:
    def spoil(name: str, weight: torch.Tensor) -> torch.Tensor:
        return torch.full_like(weight, value) if name == part else weight

    change_weights(model_directory, spoil)
    with pytest.raises(UserError, match=f"the weight '{part}' holds NaN or infinity"):
        load_model(model_directory)
    model = UnifiedVL.from_pretrained(model_directory, check_weights=False)
    how = ("method: beam, beams: 3", "method: greedy", "method: sample, seed: 1")
    for method in (*how, "method: score_choices, choices: {values: [a, b]}"):
        text = model.spec("tiny_copy").text
        assert how[0] in text
        spec = model_directory / "task.yaml"
        spec.write_text(text.replace(how[0], method), encoding="utf-8")
        with pytest.raises(UserError, match="gives no numbers but NaN or infinity"):
            model.predict(spec, text="a b", language="en")


def test_a_tied_head_is_the_embedding_again(tiny, tmp_path: Path) -> None:
    saved = tiny.saved
    config = copy.deepcopy(saved.model.config)
    config.tie_word_embeddings = True
    model = type(saved.model)(config)
    save_model(tmp_path / "m", model, saved.codec, saved.specs.values())
    found = load_model(tmp_path / "m").model
    assert found.lm_head.weight is found.encoder.embedding.weight
    assert torch.equal(found.lm_head.weight, model.lm_head.weight)


def test_a_tokenizer_of_the_same_size_from_elsewhere_is_refused(
    tiny, model_directory: Path, tmp_path: Path
) -> None:
    model = tiny.saved.codec.text.content
    other = model.replace("▁".encode(), "▂".encode())
    assert other != model
    (model_directory / "tokenizer/text.model").write_bytes(other)
    with pytest.raises(UserError, match=r"text\.model: .*fingerprint"):
        load_model(model_directory)


def test_a_device_that_is_not_there_is_named(model_directory: Path) -> None:
    with pytest.raises(UserError, match="device: cannot compute on 'quantum'"):
        load_model(model_directory, "quantum")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: there is no model directory"):
        load_model(tmp_path / "nowhere")


class Bomb:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


def test_a_pickle_is_never_loaded(model_directory: Path) -> None:
    pickled = pickle.dumps(Bomb())
    (model_directory / "pytorch_model.bin").write_bytes(pickled)
    load_model(model_directory)
    (model_directory / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_model(model_directory)
    (model_directory / "model.safetensors").write_bytes(pickled)
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_model(model_directory)
