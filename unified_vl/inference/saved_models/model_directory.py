"""A saved model: a folder that needs nothing beside it.

    config.json              sizes, limits and the fingerprint of the vocabulary
    generation_config.json
    model.safetensors        or adapter.json and others, see `adapter.py`
    training.json            facts about how it came to be, for people and reports
    tokenizer/text.model     or tokenizer.json or bytes.json, as the text tokenizer is
    tokenizer/vocabulary.json
    tokenizer/image/         the image tokenizer of a model that reads or writes images in codes
    specs/NAME.yaml          the task specs it was trained on, word for word
    specs/NAME.choices.txt   the closed answers of a task that has them elsewhere
    specs/NAME.FIELD.names.txt   the names of classes, likewise
    specs/NAME.FIELD.dictionary.tsv   the words of a code-switched text, likewise
    specs/NAME.shots.json    the rows that the task shows as examples, images in NAME.shots/
    unified_vl_classes.py    and processor_config.json, tokenizer_config.json: for `transformers`,
                             see `unified_vl.model.class_files`

Weights are safetensors and nothing in the folder is unpickled, so a model from
elsewhere can be opened without trusting it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils import logging as transformers_logging

from unified_vl.codecs.sequence import VOCABULARY, SequenceCodec
from unified_vl.data.rows.other_rows import Shots
from unified_vl.errors import UserError
from unified_vl.files import new_directory, read_json_object, write_atomically
from unified_vl.inference.saved_models.adapter import MATRICES, Adapter, load_adapted
from unified_vl.inference.saved_models.parts import SPECS, load_parts, text_fingerprint
from unified_vl.inference.saved_models.shot_files import write_shots
from unified_vl.inference.saved_models.weights import load_weights
from unified_vl.model.backbone import Backbone
from unified_vl.model.backbones.checkpoint import load_backbone
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.class_files import write_class_files
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.saved_configuration import (
    CONFIG,
    TOKENIZER,
)
from unified_vl.run_record import ADAPTER, FACTS, WEIGHTS
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.written import write_task


@dataclass(frozen=True)
class SavedModel:
    """What a model directory holds.

    Attributes:
        model: in evaluation mode.
        codec: its tokenizer, vocabulary and limits.
        specs: the tasks it was trained on, by name.
        facts: what was recorded about its training.
        shots: the rows that tasks show as examples, by task.
    """

    model: Backbone
    codec: SequenceCodec
    specs: dict[str, TaskSpec]
    facts: dict[str, Any]
    shots: Mapping[str, Shots] = field(default_factory=dict)


def save_model(
    directory: str | Path,
    model: Backbone,
    codec: SequenceCodec,
    specs: Iterable[TaskSpec],
    facts: Mapping[str, Any] | None = None,
    *,
    state_dict: dict[str, torch.Tensor] | None = None,
    shots: Mapping[str, Shots] | None = None,
    adapter: Adapter | None = None,
) -> None:
    """Write a model directory, whole or not at all; one that is there is replaced.

    Args:
        directory: the folder to write.
        model: its weights are written, unless `state_dict` is given.
        codec: its tokenizer, vocabulary, and limits.
        specs: the tasks that it was trained on.
        facts: what `training.json` records of its training (JSON values).
        state_dict: the weights to write, where the model's own are in pieces (ZeRO-3).
        shots: the rows that tasks show as examples, by task (`ExampleBuilder.shots`).
        adapter: written in place of the weights, where it is all that was trained.

    Raises:
        DiskFull: when there is no room for it; a directory that is there stays as it was.
        UserError: when a task's choices or shots are not known.
    """
    _complete(model.config, codec)
    with new_directory(Path(directory)) as partial:
        if adapter is None:
            with _without_bars():
                model.save_weights(partial, state_dict)
        else:
            model.config.save_pretrained(partial)
            adapter.write(partial)
        write_parts(partial, codec, specs, shots or {}, facts or {})


def describe_model(
    directory: Path, config: UnifiedVLConfig | TransformersConfig, codec: SequenceCodec
) -> None:
    """Write what weights are of, beside them: `config.json` and the tokenizer without images.

    Args:
        directory: of the weights.
        config: of their model.
        codec: its tokenizer, vocabulary, and limits.
    """
    _complete(config, codec)
    values = json.loads(config.to_json_string())
    for remark in ("architectures", "auto_map", "dtype", "torch_dtype"):  # no fact of the weights
        values.pop(remark, None)
    write_atomically(directory / CONFIG, json.dumps(values, indent=1))
    codec.save(directory / TOKENIZER, images=False)


def _complete(config: UnifiedVLConfig | TransformersConfig, codec: SequenceCodec) -> None:
    """Let a configuration name the tokenizer and its limits."""
    config.vocabulary_fingerprint = codec.vocabulary.fingerprint
    config.text_fingerprint = text_fingerprint(codec.text)
    config.max_source_tokens = codec.max_source
    config.max_target_tokens = codec.max_target


def write_parts(
    directory: Path,
    codec: SequenceCodec,
    specs: Iterable[TaskSpec],
    shots: Mapping[str, Shots],
    facts: Mapping[str, Any],
) -> None:
    """Write all of a model directory but `config.json` and the weights.

    Args:
        directory: the folder.
        codec: the model's.
        specs: its tasks.
        shots: the rows that tasks show as examples, by task.
        facts: of its training.

    Raises:
        UserError: when a task's choices or shots are not known.
    """
    codec.save(directory / TOKENIZER)
    for spec in specs:
        path = directory / SPECS / f"{spec.task}.yaml"
        closed = spec.generate.choices
        if closed is not None and closed.values is None and not spec.choices:
            raise UserError(f"the choices of the task {spec.task!r} are not known", file=path)
        write_task(spec, path)
        if spec.example.shots is not None:
            if not shots.get(spec.task):
                raise UserError(f"the shots of the task {spec.task!r} are not known", file=path)
            write_shots(directory / SPECS, spec, shots[spec.task])
    told = json.dumps(dict(facts), indent=1, ensure_ascii=False)
    write_atomically(directory / FACTS, told)
    write_class_files(directory, codec.max_source)


def saved_facts(directory: Path) -> dict[str, Any] | None:
    """What `training.json` says of a directory that `save_model` wrote whole; else None.

    Only the header of the weights is read: it says how long their file has to be.
    """
    try:
        weights = MATRICES if (directory / ADAPTER).is_file() else WEIGHTS
        with safe_open(directory / weights, framework="pt"):
            pass
        parts = [directory / CONFIG, directory / TOKENIZER / VOCABULARY, directory / SPECS]
        facts = read_json_object(directory / FACTS)
    except (OSError, SafetensorError, UserError):
        return None
    return facts if all(part.exists() for part in parts) else None


def find_device(name: str | torch.device) -> torch.device:
    """That of a name; "auto" is a GPU where there is one, else the CPU.

    Raises:
        RuntimeError: for a name that torch does not know.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def usable_device(name: str | torch.device) -> torch.device:
    """That of `find_device`, once it has been tried.

    Raises:
        UserError: when this machine, or this torch, cannot compute on it.
    """
    try:
        device = find_device(name)
        torch.ones(1, device=device).item()  # "meta" has shapes and no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"cannot compute on {str(name)!r}: {reason}", field="device") from error
    return device


def load_model(
    directory: str | Path, device: str | torch.device = "cpu", *, check_weights: bool = True
) -> SavedModel:
    """Read a model directory.

    Args:
        directory: of `save_model`.
        device: of `usable_device`, to compute on.
        check_weights: look at every weight, which must be a finite number.

    Raises:
        UserError: naming the file, when a part is missing or broken or the parts do
            not belong together, or the device cannot be used.
    """
    found = usable_device(device)  # first: it takes no time
    directory = Path(directory)
    parts = load_parts(directory)
    config = parts.config
    model: Backbone
    if (directory / ADAPTER).is_file():
        model = load_adapted(directory, config, check=check_weights).eval()
    elif isinstance(config, TransformersConfig):
        model = load_backbone(directory, config, check=check_weights)
    else:
        model = load_weights(directory / WEIGHTS, config, check=check_weights).eval()
    model.to(device=found)
    if parts.image_tokenizer is not None:
        parts.image_tokenizer.to(device=found)
    return SavedModel(model, parts.codec, parts.specs, parts.facts, parts.shots)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep the progress bars of transformers, one weight a tick, off the terminal."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
