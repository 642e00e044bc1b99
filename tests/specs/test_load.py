"""Mixtures, runs, overrides and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.load import load_mixture, load_run, load_task, load_tasks
from unified_vl.specs.reading.parse import MOST_PROBLEMS

TASK = """\
task: {name}
version: 1
about: Translate.
data: {{reader: csv, path: a.csv, splits: {{test: test}}, languages: [en]}}
fields:
  text: {{kind: text, column: text}}
  answer: {{kind: text, column: answer}}
example: {{source: "{{text}}", target: "{{answer}}"}}
score: [{{metric: bleu, against: answer, primary: true}}]
"""
MIXTURE = """\
mixture: both
version: 1
tasks:
  - {spec: ../tasks/one.yaml, batches: 2}
  - {spec: ../tasks/two.yaml, weight: 0.5}
schedule: {kind: round_robin, order: seeded}
"""
RUN = """\
run: small
version: 1
seed: 7
mixture: ../mixtures/both.yaml
data: ../data
tokenizer: ../tokenizers/text/small
output: ../runs/small
steps: 100
batch_size: 32
model: {d_model: 64}
optimizer:
  lr: 1e-3
engine: engine.json
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("tasks", "mixtures", "runs"):
        (tmp_path / folder).mkdir()
    for name in ("one", "two"):
        (tmp_path / "tasks" / f"{name}.yaml").write_text(TASK.format(name=name))
    (tmp_path / "mixtures" / "both.yaml").write_text(MIXTURE)
    (tmp_path / "runs" / "small.yaml").write_text(RUN)
    (tmp_path / "runs" / "engine.json").write_text("{}")
    return tmp_path


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_a_mixture_holds_its_specs_in_order(root: Path) -> None:
    mixture = load_mixture(root / "mixtures" / "both.yaml")
    assert [spec.task for spec in mixture.specs] == ["one", "two"]
    assert [(task.batches, task.weight) for task in mixture.tasks] == [(2, 1.0), (1, 0.5)]
    assert mixture.schedule.order == "seeded"


def test_a_run_resolves_what_is_relative_to_it(root: Path) -> None:
    run = load_run(root / "runs" / "small.yaml")
    assert run.mixture == root / "mixtures" / "both.yaml"
    assert run.engine == root / "runs" / "engine.json"
    assert run.data == root / "data"
    assert run.tokenizer == root / "tokenizers/text/small"
    assert run.output == root / "runs/small"
    assert run.optimizer.lr == 1e-3
    assert [spec.task for spec in run.loaded_mixture.specs] == ["one", "two"]


def test_overrides_are_yaml_at_dotted_keys(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    run = load_run(
        "runs/small.yaml",
        [
            "steps=10",
            "optimizer.lr=3e-4",
            "optimizer.betas=[0.9, 0.95]",
            "model.vision.kind=stem",
            "clip=null",
            "mixture=mixtures/both.yaml",
        ],
    )
    assert (run.steps, run.optimizer.lr, run.clip) == (10, 3e-4, None)
    assert run.optimizer.betas == (0.9, 0.95)
    given = run.model.model_dump(exclude_unset=True)
    assert given == {"d_model": 64, "vision": {"kind": "stem"}}
    assert run.data == Path("data") == Path("runs/../data").resolve().relative_to(root)
    assert run.mixture == Path("mixtures/both.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stesp=1", "command line: stesp: is not a known key; did you mean 'steps'?"),
        ("optimizer.lrr=1", "command line: optimizer.lrr: is not a known key; did you mean 'lr'?"),
        ("steps=many", "command line: steps: found 'many'; expected a whole number"),
        (f"run={'a' * 101}", "expected at most 100 characters"),
        ("model.vision.image_size=[8, 8, 8]", "image_size: found a list of 3; expected at most 2"),
        ("steps", "command line: found 'steps'; expected key=value"),
        ("steps.more=1", "command line: steps.more: 'steps' holds one value"),
        ("engine=none.json", "command line: engine: there is no file 'none.json'"),
        ("clip=[1", "command line:1: is not YAML: "),
    ],
)
def test_a_bad_override_is_blamed_on_the_command_line(
    root: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError) as error:
        load_run(root / "runs" / "small.yaml", [override])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("runs/small.yaml", "both", "btoh", "small.yaml:4: mixture: there is no file '{root}/mixt"),
        ("runs/small.yaml", "both", "btoh", "did you mean 'both.yaml'?"),
        ("runs/small.yaml", "engine.json", "e.json", "small.yaml:13: engine: there is no file"),
        ("runs/small.yaml", "steps: 100", "steps: 0", "small.yaml:8: steps: found 0; expected gr"),
        ("runs/small.yaml", "lr: 1e-3", "lr: -1", "small.yaml:12: optimizer.lr: found -1; expec"),
        ("runs/small.yaml", "lr: 1e-3", "lr: .nan", "small.yaml:12: optimizer.lr: found nan; exp"),
        ("runs/small.yaml", "seed: 7", "sede: 7", "small.yaml:3: sede: is not a known key; did y"),
        ("mixtures/both.yaml", "two.yaml", "tow.yaml", "both.yaml:5: tasks.1.spec: there is no ta"),
        ("mixtures/both.yaml", "two.yaml", "tow.yaml", "did you mean '../tasks/two.yaml'?"),
        ("mixtures/both.yaml", "two.yaml", "one.yaml", "both.yaml:5: tasks.1.spec: the task 'one'"),
        ("mixtures/both.yaml", "weight: 0.5", "weight: 0", "both.yaml:5: tasks.1.weight: found 0"),
        ("mixtures/both.yaml", "robin, o", "robin, by: rows, o", "both.yaml:6: schedule.by: a sch"),
        ("mixtures/both.yaml", "round_robin", "sampled", "both.yaml:6: schedule.order: a schedule"),
        (
            "mixtures/both.yaml",
            "weight: 0.5",
            "contrast: 1",
            "both.yaml:5: tasks.1.contrast: the task 'two' does not describe an image or a video; "
            "expected one image or video in its source",
        ),
        (
            "mixtures/both.yaml",
            "order: seeded",
            "curriculum: {order: easy_first, rounds: 5}",
            "both.yaml:4: tasks.0: has no `difficulty`, which the schedule's curriculum goes by",
        ),
        (
            "mixtures/both.yaml",
            "order: seeded",
            "curriculum: {order: easy, rounds: 5}",
            "both.yaml:6: schedule.curriculum.order: found 'easy'",
        ),
        (
            "mixtures/both.yaml",
            "order: seeded",
            "stop_and_go: {gap: 0}",
            "both.yaml:6: schedule.stop_and_go.gap: found 0",
        ),
        (
            "mixtures/both.yaml",
            "order: seeded",
            "stop_and_go: {}",
            "both.yaml:6: schedule.stop_and_go: the task 'one' has no validation split to go by",
        ),
        (
            "mixtures/both.yaml",
            "order: seeded",
            "joint_weights: tokens",
            "both.yaml:6: schedule.joint_weights: a schedule of kind 'round_robin' with updates "
            "'per_task' does not read this",
        ),
        (
            "mixtures/both.yaml",
            "version: 1",
            "version: 1\ntags: family",
            "both.yaml:3: tags: the task 'one' has no `family`; expected one in every task spec",
        ),
        ("tasks/two.yaml", "bleu", "blue", "two.yaml:9: score.0.metric: found 'blue'; expected"),
    ],
)
def test_a_run_is_refused_with_the_file_at_fault(
    root: Path, file: str, old: str, new: str, message: str
) -> None:
    edit(root / file, old, new)
    with pytest.raises(UserError) as error:
        load_run(root / "runs" / "small.yaml")
    assert message.format(root=root) in str(error.value)


def test_a_curriculum_leaves_no_say_to_from_round(root: Path) -> None:
    mixture = edit(
        root / "mixtures" / "both.yaml",
        "order: seeded",
        "curriculum: {order: hard_first, rounds: 5}",
    )
    edit(mixture, "batches: 2", "difficulty: 2")
    edit(mixture, "weight: 0.5", "difficulty: 1, from_round: 3")
    with pytest.raises(UserError, match=r"tasks.1.from_round: the schedule's curriculum decides"):
        load_mixture(mixture)


def test_stop_and_go_needs_scores(root: Path) -> None:
    for name in ("one", "two"):
        edit(root / "tasks" / f"{name}.yaml", "test: test", "validation: dev")
    edit(root / "mixtures" / "both.yaml", "order: seeded", "stop_and_go: {}")
    with pytest.raises(UserError, match=r"score_every: stop-and-go goes by scores"):
        load_run(root / "runs" / "small.yaml")
    assert load_run(root / "runs" / "small.yaml", ["score_every=10"]).score_every == 10


def test_folders_give_their_task_specs(root: Path) -> None:
    specs = load_tasks([root])
    assert [spec.task for spec in specs] == ["one", "two"]
    assert load_tasks([root / "tasks" / "two.yaml", root])[0].task == "two"


def test_two_specs_of_one_name_are_refused(root: Path) -> None:
    edit(root / "tasks" / "two.yaml", "task: two", "task: one")
    with pytest.raises(UserError, match=r"two.yaml:1: task: 'one' is also in .*one.yaml"):
        load_tasks([root])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist; expected a YAML file; did you mean 'tasks.yaml'?"),
        (b"", "1: found nothing; expected keys and values"),
        (b"- a\n", "1: found a list of 1; expected keys and values"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: \x00", "is not YAML"),
        (b"a: b: c", "1: is not YAML: mapping values are not allowed"),
        (b"? [a, b]\n: 1\n", "is not a tree of values"),
        (b"a: &a [*a]\n", "is not YAML: too many or too deeply nested values"),
        (b"[" * 1000, "is not YAML"),
        (b"a: &a [x,x,x,x,x,x,x,x,x,x]\n", ""),
        (b"#" * (1 << 20) + b"#", "is too large for a spec; expected at most 256 KiB"),
        (b"mixture: both\n", "1: is a mixture file; expected a task"),
        (b"run: small\nmixture: both\n", "1: is a run file; expected a task"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(
    tmp_path: Path, text: bytes | None, message: str
) -> None:
    path = tmp_path / "task.yaml"
    (tmp_path / "tasks.yaml").write_text("a: 1")
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(UserError) as error:
        load_task(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    path = tmp_path / "task.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match="too many or too deeply nested"):
        load_task(path)


def test_a_folder_without_specs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no task spec below it; expected \*.yaml"):
        load_tasks([tmp_path])


def test_a_wrong_item_does_not_make_its_list_too_short(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "task_specs/emoji/easy_vqa.yaml"
    path = tmp_path / "task.yaml"
    path.write_text(shipped.read_text(encoding="utf-8").replace("primary: true", "primry: true"))
    with pytest.raises(UserError) as error:
        load_task(path)
    message = "score.0.primry: is not a known key; did you mean 'primary'?"
    assert [str(e).split(": ", 1)[1] for e in error.value.all] == [message]  # type: ignore[attr-defined]


def test_of_many_problems_the_first_are_told_and_the_others_counted(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(RUN + "".join(f"key{number}: 1\n" for number in range(2_000)))
    with pytest.raises(UserError) as error:
        load_run(path)
    told = [str(each) for each in error.value.all]  # type: ignore[attr-defined]
    assert "key0: is not a known key" in told[0]
    assert len(told) == MOST_PROBLEMS + 1
    assert told[-1] == f"{path}: {2_000 - MOST_PROBLEMS} more problems are not listed"
