"""The `augment` key of a run: which tasks take what, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run, load_task
from unified_vl.specs.run import Run
from unified_vl.specs.runs.augment import AUGMENTATIONS
from unified_vl.specs.runs.augment_rules import taken, told

TASK = """\
task: {name}
version: 1
about: Something.
data: {{reader: jsonl, path: rows.jsonl, splits: {{train: all}}, languages: [en]}}
fields:
  {fields}
example: {{source: "{source}", target: "{target}"{more}}}
{generate}score: [{{metric: {metric}, against: {target_field}, primary: true}}]
"""
IMAGE = "image: {kind: image, column: image}"
TEXT = "text: {kind: text, column: text}"
BOX = "box: {kind: box, column: box, layout: xyxy, units: pixels}"
CODES = "picture: {kind: image_codes, column: picture}"
OF_CODES = "generate: {allow: image_codes, max_tokens: 5}\n"


def write(
    folder: Path,
    name: str,
    *fields: str,
    target: str,
    metric: str = "chrf",
    more: str = "",
    generate: str = "",
) -> None:
    names = [field.split(":")[0] for field in fields]
    source = " ".join(f"{{{each}}}" for each in names if each != target)
    text = TASK.format(
        name=name,
        fields="\n  ".join(fields),
        source=source,
        target=f"{{{target}}}",
        target_field=target if metric != "exact_match" else "text",
        metric=metric,
        more=more,
        generate=generate,
    )
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    """A run of a task with a box, one that is never mirrored, one of text, and one in codes."""
    allow = "generate: {allow: box}\n"
    write(tmp_path, "find", IMAGE, TEXT, BOX, target="box", metric="box_accuracy", generate=allow)
    forbidden = ", forbid_augment: [horizontal_flip, grayscale]"
    write(tmp_path, "tell", IMAGE, TEXT, target="text", more=forbidden)
    write(tmp_path, "say", TEXT, "other: {kind: text, column: other}", target="other")
    write(tmp_path, "draw", TEXT, CODES, target="picture", metric="exact_match", generate=OF_CODES)
    tasks = "".join(f"  - {{spec: {name}.yaml}}\n" for name in ("find", "tell", "say", "draw"))
    text = f"mixture: all\nversion: 1\ntasks:\n{tasks}"
    (tmp_path / "mixture.yaml").write_text(text, encoding="utf-8")
    text = (
        "run: all\nversion: 1\nmixture: mixture.yaml\ndata: .\ntokenizer: t\noutput: o\n"
        "steps: 1\nbatch_size: 2\n"
    )
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "run.yaml"


def with_augment(run_file: Path, *lines: str) -> Run:
    text = run_file.read_text(encoding="utf-8")
    path = run_file.with_name("augmented.yaml")
    path.write_text(f"{text}augment:\n{''.join(f'  - {line}' + chr(10) for line in lines)}")
    return load_run(path)


def test_each_task_takes_what_it_can(run_file: Path) -> None:
    run = with_augment(
        run_file,
        "{name: color_jitter, hue: 0.05}",
        "{name: grayscale, rate: 0.2, tasks: [find]}",
        "{name: rotation, degrees: 5}",
        "{name: horizontal_flip}",
    )
    names = {
        spec.task: [each.name for each in taken(run.augment, spec)]
        for spec in run.loaded_mixture.specs
    }
    assert names == {
        "find": ["color_jitter", "grayscale", "horizontal_flip"],
        "tell": ["color_jitter", "rotation"],
        "say": [],
        "draw": [],
    }
    assert list(told(run)) == [
        "find: augmented by color_jitter, grayscale, horizontal_flip; not by rotation: it has "
        "boxes, which cannot be turned",
        "tell: augmented by color_jitter, rotation; not by horizontal_flip: it says "
        "forbid_augment: horizontal_flip",
        "say: not augmented: it has no pictures",
        "draw: not augmented: it has pictures in codes, which are made once and kept",
    ]
    assert list(told(load_run(run_file))) == []
    assert run.augment[1].settled == {"name": "grayscale", "rate": 0.2}
    assert run.augment[2].settled == {"name": "rotation", "rate": 1.0, "degrees": 5.0, "keep": 0.7}


REFUSED = {
    "{name: blurr}": r"augmented.yaml:10: augment.0.name: found 'blurr'; .*; did you mean 'blur'\?",
    "{name: blur, hue: 0.1}": "augment.0.hue: the augmentation 'blur' does not read this; "
    "expected 'sigma'",
    "{name: grayscale, keep: 0.5}": "augment.0.keep: the augmentation 'grayscale' does not read",
    "{name: blur, sigma: [2, 1]}": "augment.0.sigma: found 2 to 1; expected the smaller number",
    "{name: resized_crop, area: [0, 1]}": "augment.0.area.0: found 0; expected greater than 0",
    "{name: color_jitter, hue: 0.6}": "augment.0.hue: found 0.6; expected less than or equal to",
    "{name: jpeg, rate: 0}": "augment.0.rate: found 0; expected greater than 0",
    "{name: blur, tasks: [fnd]}": "augment.0.tasks.0: found 'fnd'; expected a task of the "
    r"mixture 'all'; did you mean 'find'\?",
    "{name: blur, tasks: [draw]}": "augment.0.tasks.0: 'draw' has pictures in codes, which are "
    "made once and kept; expected tasks whose pictures blur may change",
    "{name: blur, tasks: [find, say]}": "augment.0.tasks.1: 'say' has no pictures",
    "{name: horizontal_flip, tasks: [tell]}": "'tell' says forbid_augment: horizontal_flip",
    "{name: rotation, tasks: [find]}": "'find' has boxes, which cannot be turned",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_done_is_refused(run_file: Path, line: str) -> None:
    with pytest.raises(UserError, match=REFUSED[line]):
        with_augment(run_file, line)


def test_an_augmentation_that_no_task_takes_is_refused(run_file: Path) -> None:
    mixture = run_file.with_name("mixture.yaml")
    mixture.write_text("mixture: few\nversion: 1\ntasks:\n  - {spec: say.yaml}\n")
    with pytest.raises(UserError, match=r"augment\.0: no task takes it: 'say' has no pictures"):
        with_augment(run_file, "{name: blur}")


def test_a_spec_forbids_what_there_is_and_once(run_file: Path) -> None:
    path = run_file.with_name("tell.yaml")
    text = path.read_text(encoding="utf-8")
    for found, said in {
        "[horizontal_flp]": "forbid_augment.0: found 'horizontal_flp'; .* 'horizontal_flip'",
        "[blur, blur]": "forbid_augment: 'blur' is listed 2 times",
    }.items():
        path.write_text(text.replace("[horizontal_flip, grayscale]", found), encoding="utf-8")
        with pytest.raises(UserError, match=said):
            load_task(path)


def test_every_augmentation_says_what_it_does() -> None:
    for variant in AUGMENTATIONS.values():
        about = variant.augmentation.about  # type: ignore[attr-defined]
        assert about[0].isupper() and about.endswith(".")
