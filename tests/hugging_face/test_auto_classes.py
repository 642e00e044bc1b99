"""A saved model by the Auto classes of `transformers`: the same ids as `UnifiedVL`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

from tests.tiny import Tiny
from unified_vl import UnifiedVL, UnifiedVLConfig, UnifiedVLProcessor, UnifiedVLTokenizer
from unified_vl.errors import UserError
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

GENERATE = {  # what a spec says, for each task
    "greedy": ("tiny_caption", {"method": "greedy", "max_tokens": 12}),
    "beam": ("tiny_caption", {"method": "beam", "beams": 4, "max_tokens": 12}),
    "boxes": ("tiny_ground", {"method": "greedy", "allow": "box", "max_tokens": 6}),
    "boxes by beams": ("tiny_ground", {"method": "beam", "beams": 3, "allow": "box"}),
    "text": ("tiny_copy", {"method": "beam", "beams": 3, "max_tokens": 8}),
    "scripts": ("tiny_caption", {"method": "beam", "beams": 3, "language": "enforce"}),
    "prefix": ("tiny_caption", {"method": "greedy", "prefix": "a red", "min_tokens": 3}),
    "choices": (
        "tiny_copy",
        {"method": "constrained", "choices": {"values": ["yes", "no", "a red cat"]}},
    ),
}
FIELDS = {"tiny_caption": None, "tiny_ground": "phrase", "tiny_copy": "text"}


def asked(task: str, picture: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Three inputs as a processor takes them, and as `predict` does."""
    images, texts = [picture(n) for n in (0, 1, 2)], ["a dog", "yes", "a cat and a dog"]
    theirs: dict[str, Any] = {} if task == "tiny_copy" else {"images": images}
    ours: dict[str, Any] = {} if task == "tiny_copy" else {"image": images}
    if task != "tiny_copy":
        theirs["language"] = ours["language"] = ["de", "fa", "en"]
    if FIELDS[task] is not None:
        theirs["text"] = ours[FIELDS[task]] = texts
    return theirs, ours


@pytest.fixture
def model(model_directory: Path) -> Any:
    return AutoModelForSeq2SeqLM.from_pretrained(model_directory)


@pytest.fixture
def processor(model_directory: Path) -> Any:
    return AutoProcessor.from_pretrained(model_directory)


@pytest.mark.parametrize("name", GENERATE)
def test_generate_writes_what_predict_writes(
    tiny: Tiny, model: Any, processor: Any, picture: Any, name: str
) -> None:
    task, generate = GENERATE[name]
    values = tiny.specs[task].model_dump(exclude_unset=True, by_alias=True)
    values["generate"] = {**{"max_tokens": 10}, **generate}
    spec = type(tiny.specs[task])(**values)
    theirs, ours = asked(task, picture)
    inputs = processor(**theirs, task=spec, return_tensors="pt")
    written = model.generate(
        **inputs,
        **processor.generation_arguments(inputs),
        return_dict_in_generate=True,
        output_scores=True,
    )
    found = processor.post_process(written, inputs)
    expected = UnifiedVL(tiny.saved).predict(spec, **ours)
    for mine, other in zip(found, expected, strict=True):
        assert (mine.text, mine.shapes, mine.cut, mine.segments) == (
            other.text,
            other.shapes,
            other.cut,
            other.segments,
        )
    assert processor.batch_decode(written.sequences, skip_special_tokens=True) == [
        processor.tokenizer.words(row) for row in written.sequences.tolist()
    ]


def test_generate_works_by_the_arguments_that_people_know(
    model: Any, processor: Any, picture: Any
) -> None:
    inputs = processor(
        images=[picture(0), picture(1)],
        text=["a dog", "a cat"],
        task="tiny_ground",
        language="de",
        return_tensors="pt",
    )
    assert set(inputs) == {"input_ids", "attention_mask", "pixel_values"}
    several = model.generate(**inputs, num_beams=4, num_return_sequences=2, max_new_tokens=5)
    drawn = model.generate(**inputs, do_sample=True, max_new_tokens=5)
    assert len(several) == 4 and len(drawn) == 2
    assert len(processor.post_process(several, inputs)) == 4


def test_boxes_are_in_pixels_of_the_image_without_the_inputs_too(
    model: Any, processor: Any, picture: Any
) -> None:
    inputs = processor(images=picture(0), text="a dog", language="en", return_tensors="pt")
    written = model.generate(**inputs, **processor.generation_arguments(inputs))
    (known,) = processor.post_process(written, inputs)
    (again,) = processor.post_process(
        written, task="tiny_ground", language="en", target_sizes=[(20, 40)]
    )
    (larger,) = processor.post_process(
        written, task="tiny_ground", language="en", target_sizes=[(200, 400)]
    )
    assert known.boxes == again.boxes
    assert larger.boxes[0] == pytest.approx([10 * side for side in known.boxes[0]])


def test_each_auto_class_gives_ours(model_directory: Path) -> None:
    assert isinstance(AutoConfig.from_pretrained(model_directory), UnifiedVLConfig)
    assert isinstance(AutoTokenizer.from_pretrained(model_directory), UnifiedVLTokenizer)
    assert isinstance(AutoProcessor.from_pretrained(model_directory), UnifiedVLProcessor)
    for auto in (AutoModelForSeq2SeqLM, AutoModelForImageTextToText):
        found = auto.from_pretrained(model_directory, dtype=torch.bfloat16)
        assert isinstance(found, UnifiedVLForConditionalGeneration)
        assert found.dtype == torch.bfloat16
        assert not found.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_transformers_saves_is_a_saved_model(
    model: Any, processor: Any, picture: Any, tmp_path: Path, dtype: torch.dtype
) -> None:
    model.to(dtype).save_pretrained(tmp_path / "again")
    processor.save_pretrained(tmp_path / "again")
    ours = UnifiedVL.from_pretrained(tmp_path / "again", device="cpu")
    assert ours.model.dtype == dtype
    expected = ours.predict("tiny_caption", "de", image=picture(1))
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "again", dtype="auto")
    assert theirs.dtype == dtype
    again = AutoProcessor.from_pretrained(tmp_path / "again")
    inputs = again(images=picture(1), task="tiny_caption", language="de", return_tensors="pt").to(
        dtype
    )
    written = theirs.generate(**inputs, **again.generation_arguments(inputs))
    assert again.post_process(written, inputs)[0].text == expected.text


def test_a_pipeline_answers(model_directory: Path, tiny: Tiny, picture: Any) -> None:
    ask = pipeline("image-text-to-text", model=str(model_directory), device="cpu")
    options = {"language": "de", "max_new_tokens": 6, "return_full_text": False}
    (one,) = ask(images=picture(0), text="", task="tiny_caption", **options)
    (chat,) = ask(
        text=[
            {
                "role": "user",
                "content": [{"type": "image", "image": picture(0)}, {"type": "text", "text": ""}],
            }
        ],
        task="tiny_caption",
        **options,
    )
    assert one["generated_text"] == chat["generated_text"]
    several = ask(images=[picture(0), picture(1)], text=["a dog", "a cat"], **options)
    assert len(several) == 2


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "task": ({"task": "tiny_captoin"}, "did you mean 'tiny_caption'"),
    "no task": ({"images": None, "text": None}, "task: no task is named"),
    "language": ({"task": "tiny_caption", "images": "x", "language": "xx"}, "unknown language"),
    "field": ({"task": "tiny_copy", "txt": "a"}, "did you mean 'text'"),
    "no text": ({"task": "tiny_caption", "text": "a dog"}, "text: the task"),
    "no image": ({"task": "tiny_copy", "images": "x", "text": "a"}, "reads no image"),
    "missing": ({"task": "tiny_ground", "text": "a", "language": "en"}, "needs the field 'image'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_message(processor: Any, name: str) -> None:
    given, message = WRONG[name]
    with pytest.raises(UserError, match=message):
        processor(**given)


def test_a_chat_of_several_messages_is_refused(processor: Any) -> None:
    said = {"role": "assistant", "content": "a cat"}
    with pytest.raises(UserError, match="one message of a user"):
        processor.apply_chat_template([{"role": "user", "content": "a"}, said], task="tiny_copy")


def test_adapters_alone_are_refused(model_directory: Path) -> None:
    (model_directory / "model.safetensors").unlink()
    (model_directory / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="adapters and not a whole model"):
        UnifiedVLForConditionalGeneration.from_pretrained(model_directory)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


LAZY = """
import sys
{first}
assert not [name for name in sys.modules if name.startswith("unified_vl.hugging_face")]
from transformers import AutoConfig, AutoTokenizer, AutoProcessor, AutoModelForSeq2SeqLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
assert "t5" in CONFIG_MAPPING and "nothing" not in CONFIG_MAPPING
assert not [name for name in sys.modules if name.startswith("unified_vl.model")], sys.modules
AutoProcessor.from_pretrained(sys.argv[1])
AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1])
"""


@pytest.mark.parametrize(
    "first",
    [
        "import unified_vl\nassert 'transformers' not in sys.modules",
        "from transformers import AutoConfig, AutoModelForSeq2SeqLM\nimport unified_vl",
    ],
)
def test_nothing_is_loaded_before_somebody_looks(model_directory: Path, first: str) -> None:
    ended = run(LAZY.format(first=first), str(model_directory))
    assert ended.returncode == 0, ended.stderr


WITHOUT = """
import sys
import unified_vl.torchvision_compat as kept  # for a torchvision of another build than torch's
kept.define_missing_operators()
for name in [name for name in sys.modules if name.partition(".")[0] == "unified_vl"]:
    del sys.modules[name]
sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith("unified_vl")]
class Hidden:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "unified_vl":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden)
import transformers
for auto in sys.argv[2:]:
    try:
        getattr(transformers, auto).from_pretrained(sys.argv[1], trust_remote_code=True)
    except ImportError as error:
        print(auto, error)
"""
AUTOS = ["AutoConfig", "AutoModelForSeq2SeqLM", "AutoTokenizer", "AutoProcessor"]


def test_without_the_package_transformers_says_what_to_install(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    ended = run(WITHOUT, str(model_directory), *AUTOS)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.strip().splitlines()
    assert [line.split()[0] for line in said] == AUTOS
    assert all(line.endswith("Run `pip install unified_vl`") for line in said)


def test_with_the_package_a_folder_names_it(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody has imported it."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    program = "import sys, transformers\n" + "\n".join(
        f"transformers.{auto}.from_pretrained(sys.argv[1], trust_remote_code=True)"
        for auto in AUTOS
    )
    ended = run(program, str(model_directory))
    assert ended.returncode == 0, ended.stderr
