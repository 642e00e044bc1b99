"""Models of transformers, asked about tasks as their own code would be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner, Result

import unified_vl
from tests.other_models import public_models
from unified_vl.cli.evaluation.evaluate import evaluate
from unified_vl.errors import UserError
from unified_vl.other_models.asking import Question
from unified_vl.other_models.hf_model import HfModel, HfOptions
from unified_vl.other_models.other_model import How
from unified_vl.specs.tasks.generate import GenerateSpec

MODELS: dict[str, Callable[[Path], None]] = {
    "llava": public_models.save_llava,
    "qwen2_vl": public_models.save_qwen2_vl,
    "t5": public_models.save_t5,
    "llama": public_models.save_llama,
}
WITHOUT_TEMPLATE = {
    "florence2": public_models.save_florence2,
    "paligemma": public_models.save_paligemma,
}
IMAGES = ("llava", "qwen2_vl")
SPEC = """
task: TASK
version: 1
about: Say what is there.
data:
  reader: jsonl
  path: "rows.jsonl"
  splits: {test: test}
  languages: [en, de]
  language_column: language
  key_column: key
fields:
  image: {kind: image, column: image}
  question: {kind: text, column: question}
  answer: {kind: text, column: answer}
example: {source: "{task} {image} {question}", target: "{answer}"}
generate: {method: METHOD, choices: {values: ["yes", "no", "a red cat"]}, max_tokens: 8}
score: [{metric: accuracy, against: answer, primary: true}]
"""
TEXT_ONLY = SPEC.replace("  image: {kind: image, column: image}\n", "").replace("{image} ", "")

app = typer.Typer()
app.command()(evaluate)


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)][1:])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a model by its name, made when it is first asked for."""
    root = tmp_path_factory.mktemp("public")

    def directory(name: str) -> Path:
        if not (root / name).is_dir():
            (MODELS | WITHOUT_TEMPLATE)[name](root / name)
        return root / name

    return directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = []
    for number in range(5):
        Image.new("RGB", (60 + 10 * number, 30), (40 * number, 90, 160)).save(
            tmp_path / f"{number}.png"
        )
        rows.append(
            {
                "key": f"row {number}",
                "language": ("en", "de")[number % 2],
                "image": f"{number}.png",
                "question": f"Is it a dog{' or so' * number}?",
                "answer": ("yes", "no")[number % 2],
            }
        )
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for method in ("constrained", "score_choices"):
        for name, spec in (("seen", SPEC), ("read", TEXT_ONLY)):
            text = spec.replace("METHOD", method).replace("TASK", f"{name}_{method}")
            (tmp_path / f"{name}_{method}.yaml").write_text(text)
    return tmp_path


def questions(images: bool) -> list[Question]:
    picture = Image.new("RGB", (60, 30), (200, 90, 160))
    texts = ["Is it a dog?", "a red cat", "What is it, in one word or in two words?"]
    return [Question(text, (picture, text) if images else (text,), (60, 30)) for text in texts]


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_the_model_asked_alone(saved, name: str) -> None:
    """Batches, padding and the chat template change nothing: transformers by hand, row by row."""
    model = HfModel(str(saved(name)))
    how = How(GenerateSpec(max_tokens=6), 6)
    asked = questions(name in IMAGES)
    found = dict(model.respond(asked, how, 3))
    processor, own = model._inputs.processor, model.model
    for place, question in enumerate(asked):
        text = question.parts[-1]
        if name == "t5":
            inputs = processor(text, return_tensors="pt")
        elif name == "llama":
            inputs = processor.apply_chat_template(
                [{"role": "user", "content": text}],
                add_generation_prompt=True,
                return_tensors="pt",
                return_dict=True,
            )
        else:
            content = [
                {"type": "image", "image": question.images[0]},
                {"type": "text", "text": text},
            ]
            inputs = processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_tensors="pt",
                return_dict=True,
            )
        inputs.pop("token_type_ids", None)
        ids_1T = own.generate(**inputs, max_new_tokens=6, do_sample=False)
        start = 1 if name == "t5" else inputs["input_ids"].shape[1]
        tokenizer = getattr(processor, "tokenizer", processor)
        expected = tokenizer.decode(ids_1T[0, start:], skip_special_tokens=True).strip()
        assert found[place].text == expected


@pytest.mark.parametrize("normalize", ["none", "tokens"])
@pytest.mark.parametrize("name", MODELS)
def test_choices_are_as_likely_as_the_model_finds_them_alone(
    saved, name: str, normalize: str
) -> None:
    model = HfModel(str(saved(name)))
    choices = ("yes", "no", "a red cat")
    generate = GenerateSpec(
        method="score_choices", choices={"values": choices}, normalize=normalize
    )
    asked = questions(name in IMAGES)[:2]
    found = dict(model.respond(asked, How(generate, 8, choices), 2))
    tokenizer = model._inputs.tokenizer
    for place, question in enumerate(asked):
        assert [text for text, _ in found[place].ranked] == sorted(
            choices, key=lambda c: -dict(found[place].ranked)[c]
        )
        for choice, score in found[place].ranked:
            inputs = model._inputs.of([question], bare=False, padding_side="right")
            if name == "t5":
                labels = tokenizer(text_target=choice, return_tensors="pt")["input_ids"]
                with torch.inference_mode():
                    logits = model.model(**inputs, labels=labels).logits
            else:
                length = inputs["input_ids"].shape[1]
                inputs = model._inputs.of(
                    [question], bare=False, padding_side="right", behind=[choice]
                )
                labels = inputs["input_ids"][:, length:]
                with torch.inference_mode():
                    logits = model.model(**inputs).logits[:, length - 1 : -1]
            each = logits.log_softmax(-1).gather(2, labels[..., None])
            expected = each.sum() if normalize == "none" else each.mean()
            assert score == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_task_is_scored(saved, data: Path, tmp_path: Path, name: str) -> None:
    kind = "seen" if name in IMAGES else "read"
    specs = [data / f"{kind}_{method}.yaml" for method in ("constrained", "score_choices")]
    out, said = tmp_path / "report.json", tmp_path / "said.jsonl"
    asked = ("--data", data, "--output", out, "--predictions", said, "--batch-size", 2)
    call("--model", f"hf:{saved(name)}", *specs, *asked)
    report = json.loads(out.read_text())
    by = report["answered_by"]
    assert (by["kind"], by["chat_template"], by["dtype"]) == ("hf", name != "t5", "float32")
    places = {"qwen2_vl": "thousand"}.get(name, "pixels")
    assert (by["places"], len(by["weights"])) == (places, 16)
    rows = [json.loads(line) for line in said.read_text().splitlines()]
    free, scored = rows[:5], rows[5:]
    assert report["tasks"][f"{kind}_constrained"]["failed"] == sum(
        row["error"] is not None for row in free
    )
    assert all(row["prediction"] in ("yes", "no", "a red cat") for row in scored)
    assert all(row["error"] is None and row["score"] < 0 for row in scored)
    expected = ["Say what is there.", *(["<image>"] if kind == "seen" else [])]
    assert free[0]["asked"].split("\n") == [
        *expected,
        "Is it a dog?",
        "Answer with one of these alone: yes; no; a red cat.",
    ]
    assert not (tmp_path / "said.jsonl.answers").exists()
    again = call(said, *specs, "--data", data, "--json")
    for task, found in json.loads(again.stdout)["tasks"].items():
        assert found["metrics"] == report["tasks"][task]["metrics"]


def test_an_interrupted_scoring_goes_on(saved, data: Path, tmp_path: Path, monkeypatch) -> None:
    asked: list[int] = []
    written = HfModel._written

    def dies(self: HfModel, some: list[Question], inputs: Any, how: How) -> Any:
        asked.append(len(some))
        if sum(asked) == 3:
            raise KeyboardInterrupt
        return written(self, some, inputs, how)

    monkeypatch.setattr(HfModel, "_written", dies)
    out = tmp_path / "report.json"
    arguments = (f"hf:{saved('llama')}", data / "read_constrained.yaml", "--data", data)
    for options in (("--output", out), ("--cache", tmp_path / "cache.jsonl")):
        asked.clear()
        whole = (*arguments, *options, "--batch-size", 1)
        assert call(*whole).exit_code == 130
        assert call(*whole).exit_code == 0
        assert asked == [1] * 6  # five rows, and the one that was lost
    call(*whole)
    assert asked == [1] * 6


def test_a_prompt_of_the_spec_is_used_word_for_word(saved, data: Path, tmp_path: Path) -> None:
    spec, said = data / "read_constrained.yaml", tmp_path / "said.jsonl"
    text = spec.read_text().replace(
        "example: {", 'wording: {how: {de: "Kurz!", default: "Shortly!"}}\nexample: {'
    )
    spec.write_text(text.replace("example: {", 'example: {prompt: "{question} {how}", '))
    call(f"hf:{saved('llama')}", spec, "--data", data, "--predictions", said)
    rows = [json.loads(line) for line in said.read_text().splitlines()]
    assert [row["asked"] for row in rows[:2]] == [
        "Is it a dog? Shortly!",
        "Is it a dog or so? Kurz!",
    ]


def test_a_base_model_goes_on_with_a_plain_prompt(saved) -> None:
    directory = str(saved("llama"))
    asked = questions(False)[0]
    plain = HfModel(directory, HfOptions(chat_template=False))
    assert plain._inputs.prompt(asked, bare=False) == "Is it a dog?\nAnswer:"
    assert HfModel(directory)._inputs.prompt(asked, bare=False).endswith("assistant:\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "pickles are not opened"),
        (lambda folder: _without_a_weight(folder), "1 weights are missing, the first 'model.norm"),
        (lambda folder: _edit(folder, model_type="clip_text_model"), "writes no text"),
        (
            lambda folder: _edit(
                folder, model_type="of_its_own", auto_map={"AutoConfig": "code.Own"}
            ),
            "computed by code of its own directory; expected --trust-remote-code",
        ),
        (
            lambda folder: (folder / "chat_template.jinja").write_text("{{ ''.__class__.mro() }}"),
            "chat template cannot be rendered.*--no-chat-template",
        ),
        (
            lambda folder: (folder / "chat_template.jinja").write_text("{# nothing #}"),
            "chat template cannot be rendered: it writes nothing",
        ),
    ],
)
def test_directories_that_are_refused(
    data: Path, tmp_path: Path, change: Callable[[Path], Any], said: str
) -> None:
    public_models.save_llama(tmp_path / "model")
    change(tmp_path / "model")
    with pytest.raises(UserError, match=said):
        call(f"hf:{tmp_path / 'model'}", data / "read_constrained.yaml", "--data", data)


def _edit(folder: Path, **keys: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def _without_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.norm.weight"]
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hf:none/such/model",), "there is no such directory"),
        (("hf:MODEL", "--dtype", "float23"), "did you mean 'float32'"),
        (("hf:MODEL", "--partial"), "--partial: has no effect on hf:; expected a file"),
        (("answers.jsonl", "--dtype", "float32"), "--dtype: has no effect on a file of answers"),
    ],
)
def test_arguments_that_do_not_fit(saved, data: Path, arguments: Any, said: str) -> None:
    asked = [str(a).replace("MODEL", str(saved("llama"))) for a in arguments]
    with pytest.raises(UserError, match=said):
        call(*asked, "--spec", data / "read_constrained.yaml", "--data", data)


def test_a_model_of_texts_reads_no_images(saved, data: Path) -> None:
    with pytest.raises(UserError, match="a 'llama' model reads no images"):
        call(f"hf:{saved('llama')}", data / "seen_constrained.yaml", "--data", data)


@pytest.mark.parametrize("name", ["qwen2_vl", "t5"])
def test_numbers_of_half_the_size(saved, name: str) -> None:
    model = HfModel(str(saved(name)), HfOptions(dtype="bfloat16"))
    assert model.identity["dtype"] == "bfloat16"
    found = dict(model.respond(questions(name in IMAGES), How(GenerateSpec(), 4), 2))
    assert all(said.error is None for said in found.values())


def test_a_question_that_a_processor_refuses_is_said(saved) -> None:
    """A text with the token of an image, and no image for it: the others are answered."""
    model = HfModel(str(saved("llava")))
    asked = questions(True)
    asked.insert(1, Question("bad", (asked[0].images[0], "<image><image>"), (60, 30)))
    choices = ("yes", "no")
    scored = GenerateSpec(method="score_choices", choices={"values": choices})
    for how in (How(GenerateSpec(), 4), How(scored, 4, choices)):
        found = dict(model.respond(asked, how, 4))
        assert [place for place, said in found.items() if said.error is not None] == [1]
        assert "its processor refuses it" in str(found[1].error)


def test_python_scores_as_the_command_does(saved, data: Path, tmp_path: Path) -> None:
    spec, name = data / "read_score_choices.yaml", f"hf:{saved('t5')}"
    by_command = json.loads(call(name, spec, "--data", data, "--json").stdout)
    model = unified_vl.other_model(name, cache=tmp_path / "cache.jsonl")
    specs = [unified_vl.load_task(spec)]
    found = unified_vl.evaluate(model, specs, "test", data, batch_size=2).report
    task = "read_score_choices"
    assert found["tasks"][task]["metrics"] == by_command["tasks"][task]["metrics"]
    assert len((tmp_path / "cache.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("name", "prompt", "scores"),
    [("florence2", "Is it a dog?", True), ("paligemma", "<image>Is it a dog?", False)],
)
def test_families_without_a_chat_template(saved, name: str, prompt: str, scores: bool) -> None:
    model = HfModel(str(saved(name)))
    asked = questions(True)
    assert model._inputs.prompt(asked[0], bare=False) == prompt
    assert model.scores_choices is scores
    how = How(GenerateSpec(), 4)
    found = dict(model.respond(asked, how, 3))
    for place, question in enumerate(asked):
        assert dict(model.respond([question], how, 1))[0] == found[place]
    assert {said.error for said in found.values()} == {None}
