"""Every shipped spec on rows in its data set's own format: check, show, one training step.

All data sets can lie under one data root, each in a folder of its own. `fixtures/*.py` write
those rows: each module has `WRITERS`, from a spec's path below `task_specs`, without its
suffix, to a function that writes its files under a data root.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.cli.main import main
from unified_vl.files import write_atomically
from unified_vl.specs.load import load_run, load_task
from unified_vl.training.trainer import train

pytestmark = pytest.mark.usefixtures("code_cache")
SPECS = Path(__file__).parents[2] / "task_specs"
ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
IMAGE_TOKENIZER = Path(__file__).parents[2] / "tokenizers/image/emoji_world"
OTHER = ("emoji", "emoji_clips", "mixtures", "runs", "image_tokenizers")  # with their own tests
NAMES = sorted(
    path.relative_to(SPECS).with_suffix("").as_posix()
    for path in SPECS.rglob("*.yaml")
    if path.relative_to(SPECS).parts[0] not in OTHER
)
STAND_INS = {  # trained where a spec is for scoring alone, by its family or its own name
    "captioning": "captioning/coco_captions",
    "reasoning/marvl": "reasoning/nlvr2",
    "vqa/xgqa": "vqa/gqa",
}
UNTRIED = "# Not tried on the published files"
TRIED = re.compile(
    r"\| (not tried|layout: \S[^|]*|real: [\w.-]+/[\w.-]+ \S[^|]*\([\d,]+ rows\)) \|$"
)
RUN = """
run: one_step
version: 1
mixture: mixture.yaml
data: data
tokenizer: tokenizer
output: output
steps: 1
batch_size: 2
model:
  d_model: 16
  d_kv: 8
  d_ff: 16
  num_layers: 1
  num_decoder_layers: 1
  num_heads: 2
  region_features: 4
  vision: {{kind: patches, image_size: [8, 8], patch_size: 4}}
optimizer: {{lr: 1.0e-3}}
engine: {engines}/zero0.json
max_source_tokens: 512
max_target_tokens: 256
validation_rows: 0
"""


def writers() -> dict[str, Callable[[Path], None]]:
    """What all modules of `fixtures` write."""
    found: dict[str, Callable[[Path], None]] = {}
    for path in sorted((Path(__file__).parent / "fixtures").glob("*.py")):
        loader = importlib.util.spec_from_file_location(f"fixtures_{path.stem}", path)
        assert loader is not None and loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        loader.loader.exec_module(module)
        assert not set(module.WRITERS) & set(found), path
        found |= module.WRITERS
    return found


WRITERS = writers()


def test_every_spec_has_a_fixture() -> None:
    assert sorted(WRITERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_spec_says_what_a_stranger_must_know(name: str) -> None:
    path = SPECS / f"{name}.yaml"
    spec = load_task(path)
    assert spec.paper and spec.family
    assert spec.task == path.stem
    head = path.read_text(encoding="utf-8").split("task:")[0].lower()
    for word in ("files", "licence", "metric"):
        assert word in head, f"the comment at the head of {name} says nothing of its {word}"


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_spec_checks_shows_and_trains(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = str(SPECS / f"{name}.yaml")
    splits = load_task(spec).data.splits
    trained = name if "train" in splits else STAND_INS.get(name) or STAND_INS[name.split("/")[0]]
    learnt = str(SPECS / f"{trained}.yaml")
    (tmp_path / "data").mkdir()
    for written in {name, trained}:
        WRITERS[written](tmp_path / "data")

    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["unified-vl", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert ended.value.code in (0, None), captured.out + captured.err
        return captured.out

    texts = ["--spec", learnt, "--spec", spec][: 2 if trained == name else 4]
    into = ["--data", "data", "--output", "tokenizer", "--vocabulary-size", "4000"]
    if any(field.in_codes for field in load_task(spec).fields.values()):
        into += ["--image-tokenizer", str(IMAGE_TOKENIZER)]
    run("tokenizer", "train", *texts, *into)
    tokens = ["--tokenizer", "tokenizer", "--max-source", "512", "--max-target", "256"]
    found = json.loads(run("check", spec, "--data", "data", *tokens, "--json"))
    assert not [each for each in found["findings"] if each["severity"] == "error"], found
    assert found["checked"]["row"] >= 2 * len(splits)
    shown = ["--split", next(iter(splits)), "--data", "data", "-n", "2", *tokens[:2]]
    assert "target" in run("show", spec, *shown)
    mixture = f"mixture: one\nversion: 1\ntasks: [{{spec: {learnt}}}]\ntags: family\n"
    write_atomically(tmp_path / "mixture.yaml", mixture)
    write_atomically(tmp_path / "run.yaml", RUN.format(engines=ENGINES))
    model = train(load_run("run.yaml"), progress=False)
    assert (model / "model.safetensors").is_file()
    if trained != name:
        rows = ["--data", "data", "--split", next(iter(splits)), "--limit", "4"]
        report = json.loads(run("evaluate", str(model), spec, *rows, "--resamples", "0", "--json"))
        assert report["tasks"][load_task(spec).task]["count"] >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_specs_has_each(name: str) -> None:
    spec = load_task(SPECS / f"{name}.yaml")
    begins = f"| [{spec.task}]({name}.yaml) | {' '.join(spec.about.split())} | "
    lines = (SPECS / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = (each for each in lines if each.startswith(begins))
    tried = TRIED.search(line)
    assert tried, f"the last column of {name} does not say what it was tried on"
    says_so = UNTRIED in (SPECS / f"{name}.yaml").read_text(encoding="utf-8")
    assert says_so != tried[1].startswith("real"), f"{name} says otherwise than the list"
