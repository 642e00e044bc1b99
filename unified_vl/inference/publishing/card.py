"""A model card: what a model does, in which languages, how well, and how to ask it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from unified_vl.files import write_atomically
from unified_vl.inference.inputs import source_fields, target_fields
from unified_vl.inference.publishing.contents import public_facts
from unified_vl.inference.publishing.scores import (
    evaluation_results,
    hub_languages,
    report_of,
    score_tables,
    task_type,
)
from unified_vl.inference.saved_models.parts import SavedParts, load_parts
from unified_vl.kinds.kind import Kind
from unified_vl.specs.runs.run_paths import is_path
from unified_vl.specs.task import TaskSpec

UNKNOWN = "not recorded"


def model_card(
    directory: str | Path,
    name: str,
    *,
    report: Path | None = None,
    licence: str | None = None,
) -> str:
    """The README.md of a model on the Hub.

    Args:
        directory: of the saved model.
        name: what it is called: that of its repository, or any other.
        report: the `report.json` of `evaluate`; unless given, that beside the directory.
        licence: of the model, an identifier of the Hub (`apache-2.0`, `cc-by-4.0`, `other`).

    Raises:
        UserError: when a part of the model is missing or broken, or the report is another's.
    """
    directory = Path(directory)
    parts = load_parts(directory)
    tasks = report_of(directory, parts.facts, report)
    head = _metadata(parts, name, tasks, licence)
    body = [
        f"# {name.rpartition('/')[2]}",
        _about(parts),
        "## How to ask it",
        _asking(parts, name),
        "## Tasks",
        _tasks(parts),
        "## Scores",
        "No report was at hand." if tasks is None else score_tables(parts.specs, tasks),
        "## Data and training",
        _training(parts),
        "## Intended use",
        _use(parts, tasks is not None),
    ]
    return f"---\n{head.to_yaml()}\n---\n\n" + "\n\n".join(body) + "\n"


def _metadata(
    parts: SavedParts, name: str, tasks: Mapping[str, Any] | None, licence: str | None
) -> ModelCardData:
    specs = parts.specs
    tags = (tag for spec in specs.values() for tag in spec.data.languages)
    results = [] if tasks is None else evaluation_results(specs, tasks)
    kinds = {task_type(spec) for spec in specs.values()}
    base = _base(parts.facts)
    return ModelCardData(
        language=hub_languages(tags),
        license=licence,
        library_name="unified_vl",
        pipeline_tag="image-text-to-text" if _sees(parts) else "text-generation",
        tags=sorted({"unified_vl", *kinds}),
        base_model=base,
        model_name=name.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )


def _sees(parts: SavedParts, what: Callable[[Kind], bool] = lambda kind: kind.is_image) -> bool:
    return any(
        what(spec.fields[name].of_kind)
        for spec in parts.specs.values()
        for name in source_fields(spec)
    )


def _base(facts: Mapping[str, Any]) -> str | None:
    """The model of the Hub that the training started from, if it was one."""
    start = facts.get("started_from")
    said = str(start.get("from", "")).split() if isinstance(start, Mapping) else []
    found = [word for word in said if "/" in word and not is_path(word)]
    return found[0] if found and not Path(found[0]).exists() else None


def _about(parts: SavedParts) -> str:
    languages = {tag for spec in parts.specs.values() for tag in spec.data.languages}
    kind = str(parts.config.model_type)
    what = "an encoder-decoder" if kind == "unified_vl" else f"a `{kind}` model"
    seen = ["images"] * _sees(parts) + ["videos"] * _sees(parts, lambda kind: kind.is_video)
    reads = f"reads {' and '.join([', '.join(seen), 'text'] if seen else ['text'])}"
    return (
        f"This is {what} of unified_vl that {reads}. "
        f"It was trained on {_count(len(parts.specs), 'task')} in "
        f"{_count(len(languages), 'language')}: {', '.join(sorted(languages))}."
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _asking(parts: SavedParts, name: str) -> str:
    spec = next(iter(parts.specs.values()))
    language = spec.data.languages[0]
    fields = ", ".join(f"{field}={_example(spec, field)}" for field in source_fields(spec))
    return f"""\
`pip install unified_vl`, and then

```python
from unified_vl import UnifiedVL

model = UnifiedVL.from_pretrained("{name}")
answer = model.predict("{spec.task}", language="{language}", {fields})
print(answer.text, answer.boxes)
```

or with `transformers`

```python
import unified_vl
from transformers import AutoModelForSeq2SeqLM, AutoProcessor

model = AutoModelForSeq2SeqLM.from_pretrained("{name}")
processor = AutoProcessor.from_pretrained("{name}")
inputs = processor(
    task="{spec.task}", language="{language}", {fields}, return_tensors="pt"
)
ids = model.generate(**inputs, **processor.generation_arguments(inputs))
print(processor.post_process(ids, inputs))
```

Boxes are in pixels of the image that was given."""


def _example(spec: TaskSpec, name: str) -> str:
    kind = spec.fields[name].of_kind
    return '"clip.mp4"' if kind.is_video else '"picture.png"' if kind.is_image else '"..."'


def _tasks(parts: SavedParts) -> str:
    lines = [
        "| task | what it does | reads | writes | languages |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, spec in parts.specs.items():
        kinds = [
            ", ".join(f"{field} ({spec.fields[field].kind})" for field in names)
            for names in (source_fields(spec), target_fields(spec))
        ]
        about = " ".join(str(spec.about).split()).replace("|", "\\|")
        languages = ", ".join(spec.data.languages)
        lines.append(f"| `{name}` | {about} | {kinds[0]} | {kinds[1]} | {languages} |")
    return "\n".join(lines)


def _training(parts: SavedParts) -> str:
    lines = ["| task | data | licence of the data |", "| --- | --- | --- |"]
    for name, spec in parts.specs.items():
        lines.append(f"| `{name}` | {_data(spec)} | {spec.data.licence or UNKNOWN} |")
    facts = public_facts(parts.facts)
    start = facts.pop("started_from", None)
    known = {key: value for key, value in facts.items() if isinstance(value, int | float | str)}
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in known.items())
    lines += ["", f"The training's record: {told or 'none'}."]
    if isinstance(start, Mapping):
        lines.append(f"It started from {start.get('from')}.")
    return "\n".join(lines)


def _data(spec: TaskSpec) -> str:
    """The reader and what it reads, which is relative to a data root that nobody is told of."""
    where = spec.data.path or ", ".join((spec.data.files or {}).values())
    return f"`{where}` ({spec.data.reader})" if where else spec.data.reader


def _use(parts: SavedParts, scored: bool) -> str:
    tasks = ", ".join(f"`{name}`" for name in parts.specs)
    limits = "the scores above say how well, on data like that of the training"
    if not scored:
        limits = "how well was not recorded here"
    return (
        f"It answers {tasks}, in the languages of each; {limits}. Other tasks, other languages and "
        "other kinds of images were not tried. Nothing it writes is checked for truth, bias or "
        "harm: look at its answers before people depend on them."
    )


def write_card(directory: Path, card: str, output: Path | None) -> Path:
    """Write a card into the model's directory, or elsewhere; gives where it is."""
    path = directory / "README.md" if output is None else output
    write_atomically(path, card)
    return path
