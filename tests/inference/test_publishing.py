"""Model cards, and what of a model is uploaded: with a Hub that only remembers."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from tests.tiny import Tiny
from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.publishing.card import model_card
from unified_vl.inference.publishing.contents import public_facts
from unified_vl.inference.publishing.upload import push


class Remembers:
    """A Hub as `HfApi` shows it."""

    public: bool = False
    refuses: Exception | None = None
    made: list[tuple[str, bool]] = []  # noqa: RUF012 (a fresh one in each test)
    uploaded: dict[str, bytes] = {}  # noqa: RUF012

    def create_repo(self, name: str, *, private: bool, **_: Any) -> str:
        if self.refuses:
            raise self.refuses
        self.made.append((name, private))
        return f"https://hub/{name}"

    def repo_info(self, name: str, **_: Any) -> Any:
        return type("Info", (), {"private": not self.public})

    def create_commit(self, name: str, operations: list[Any], **_: Any) -> None:
        for each in operations:
            with each.as_file() as file:
                self.uploaded[each.path_in_repo] = file.read()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[Remembers]:
    kind = type("Hub", (Remembers,), {"made": [], "uploaded": {}})
    monkeypatch.setattr(huggingface_hub, "HfApi", kind)
    return kind


@pytest.fixture(scope="module")
def report(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.json"
    specs = [tiny.specs["tiny_caption"], tiny.specs["tiny_ground"]]
    found = evaluate(UnifiedVL(tiny.saved), specs, "test", tiny.data, resamples=20)
    path.write_text(json.dumps({**found.report, "model": "/home/ann/runs/model"}))
    return path


def test_a_card_says_what_a_model_does_and_how_well(
    model_directory: Path, report: Path, tiny: Tiny
) -> None:
    text = model_card(model_directory, "ann/tiny", report=report, licence="apache-2.0")
    card = ModelCard(text)
    data = card.data
    assert data.language == ["de", "en", "fa"]
    assert (data.license, data.library_name) == ("apache-2.0", "unified_vl")
    assert {"image-to-text", "object-detection"} <= set(data.tags)
    written = json.loads(report.read_text())["tasks"]
    found = {
        (each.dataset_name, each.dataset_config, each.metric_type): each.metric_value
        for each in data.eval_results
    }
    for task, said in written.items():
        for metric, value in said["metrics"].items():
            assert found[task, None, metric] == round(value, 2)
        for language, row in said["by"]["language"].items():
            assert found[task, language, said["primary"]] == round(row[said["primary"]], 2)
    for name, spec in tiny.specs.items():
        assert f"`{name}` | {spec.about}" in text
    assert 'UnifiedVL.from_pretrained("ann/tiny")' in text
    assert "/home" not in text


def test_a_card_needs_no_report(model_directory: Path) -> None:
    card = ModelCard(model_card(model_directory, "tiny"))
    assert card.data.eval_results is None
    assert "No report was at hand." in card.text


def test_the_example_of_a_card_runs(model_directory: Path, picture: Any, tmp_path: Path) -> None:
    text = model_card(model_directory, str(model_directory))
    picture(0).save(tmp_path / "picture.png")
    for code in text.split("```python\n")[1:]:
        program = code.split("```")[0].replace("picture.png", str(tmp_path / "picture.png"))
        exec(program, {})


def test_a_report_of_another_model_is_refused(model_directory: Path, report: Path) -> None:
    facts = json.loads((model_directory / "training.json").read_text())
    (model_directory / "training.json").write_text(json.dumps({**facts, "steps": 4}))
    with pytest.raises(UserError, match="report is of another model"):
        model_card(model_directory, "tiny", report=report)


def test_only_what_a_model_is_made_of_is_uploaded(
    model_directory: Path, hub: type[Remembers], capsys: pytest.CaptureFixture[str]
) -> None:
    """And the record without folders of this machine."""
    facts = {"steps": 3, "started_from": {"from": "the model /home/ann/runs/secret/base", "n": [1]}}
    (model_directory / "training.json").write_text(json.dumps(facts))
    for stray in ("optimizer.pt", "notes.txt", "state/rank-0.safetensors", ".env"):
        (model_directory / stray).parent.mkdir(exist_ok=True)
        (model_directory / stray).write_text("secret")
    address = push(model_directory, "ann/tiny", private=True)
    assert address == "https://hub/ann/tiny"
    assert hub.made == [("ann/tiny", True)]
    assert sorted(hub.uploaded) == sorted(
        [
            *("README.md", "config.json", "generation_config.json", "model.safetensors"),
            *("processor_config.json", "tokenizer_config.json", "training.json"),
            *("unified_vl_classes.py", "tokenizer/text.model", "tokenizer/vocabulary.json"),
            *(f"specs/tiny_{name}.yaml" for name in ("caption", "copy", "ground")),
        ]
    )
    assert not any(b"ann/runs" in data or b"secret" in data for data in hub.uploaded.values())
    assert json.loads(hub.uploaded["training.json"])["started_from"]["from"] == "the model base"
    weights = (model_directory / "model.safetensors").read_bytes()
    assert hub.uploaded["model.safetensors"] == weights
    said = capsys.readouterr().out
    assert all(name in said for name in hub.uploaded)
    assert "not uploaded: 4 other files" in said


def test_what_was_uploaded_answers_as_before(
    model_directory: Path, hub: type[Remembers], tmp_path: Path, picture: Any
) -> None:
    model = UnifiedVL.from_pretrained(model_directory, device="cpu")
    model.push_to_hub("ann/tiny")
    for name, data in hub.uploaded.items():
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    again = UnifiedVL.from_pretrained(tmp_path / "there", device="cpu")
    asked = {"language": "de", "image": picture(1)}
    assert again.predict("tiny_caption", **asked) == model.predict("tiny_caption", **asked)


REFUSED = {
    "a link": "a link out of the model's directory",
    "a home": "names a folder of a person: '/home/ann'",
    "adapters": "adapters of a model on this machine, 'base'",
    "public": "is there already, and public",
    "not logged in": "the Hub did not take the model: no token",
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_should_not_leave_stays(
    model_directory: Path, hub: type[Remembers], what: str, tmp_path: Path
) -> None:
    spec = model_directory / "specs/tiny_copy.yaml"
    if what == "a link":
        (tmp_path / "secret.yaml").write_text("")
        (model_directory / "specs/other.txt").symlink_to(tmp_path / "secret.yaml")
    elif what == "a home":
        spec.write_text(f"# from /home/ann/data\n{spec.read_text()}")
    elif what == "adapters":
        (model_directory / "adapter.json").write_text('{"base": "/data/models/base"}')
    elif what == "public":
        hub.public = True
    else:
        hub.refuses = OSError("no token")
    with pytest.raises(UserError, match=REFUSED[what]):
        push(model_directory, "ann/tiny", private=True, say=lambda _: None)
    assert not hub.uploaded


def test_the_commands(model_directory: Path, hub: type[Remembers], report: Path) -> None:
    run = CliRunner().invoke
    written = run(app, ["card", str(model_directory), "--report", str(report)])
    assert written.exit_code == 0, written.output
    assert ModelCard.load(model_directory / "README.md").data.eval_results
    dry = run(app, ["push", str(model_directory), "ann/tiny", "--private", "--dry-run"])
    assert "would upload" in dry.output and not hub.uploaded
    sent = run(app, ["push", str(model_directory), "ann/tiny", "--private"])
    assert sent.output.strip().endswith("https://hub/ann/tiny")
    assert "README.md" in hub.uploaded


@pytest.mark.parametrize(
    ("said", "public"),
    [
        ("/home/ann/runs/demo/model", "model"),
        ("the model /data/x", "the model x"),
        (r"C:\Users\ann\model", "model"),
        ("google/mt5-small", "google/mt5-small"),
        ("https://hub/a/b", "https://hub/a/b"),
        (3, 3),
    ],
)
def test_of_a_path_the_last_name_is_left(said: Any, public: Any) -> None:
    assert public_facts({"a": [{"b": said}]}) == {"a": [{"b": public}]}
