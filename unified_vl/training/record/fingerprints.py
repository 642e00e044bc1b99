"""What has to be the same for a checkpoint to be continued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from unified_vl.data.shards.sharded_rows import ShardedRows
from unified_vl.kinds.detected.region import RegionKeys
from unified_vl.kinds.detected.regions import RegionsKeys
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.specs.mixture import Mixture, MixtureTask
from unified_vl.specs.objectives.keys import ADDED_LATER
from unified_vl.specs.reading.document import Document, Part
from unified_vl.specs.run import Run
from unified_vl.specs.runs.augment_rules import taken
from unified_vl.specs.runs.engine import read_engine
from unified_vl.specs.runs.model import ModelSpec
from unified_vl.specs.runs.vision import OF_TRAINING, VisionSpec
from unified_vl.specs.schedule import PrioritizedKeys, ScheduleSpec
from unified_vl.specs.tasks.data import DataSpec
from unified_vl.specs.tasks.example import ExampleSpec
from unified_vl.specs.tasks.fields import FieldSpec
from unified_vl.training.build import Parts
from unified_vl.training.distillation.teacher import fingerprint_of

NUMBER_OF_ROWS = "the number of rows of task"


def fingerprints(run: Run, parts: Parts) -> dict[str, str]:
    """What has to be the same for a checkpoint to be continued, by name."""
    values: dict[str, object] = {
        "the vocabulary": parts.codec.vocabulary.fingerprint,
        "the text tokenizer": hashlib.sha256(parts.codec.text.content).hexdigest(),
        "the mixture": said_of(run.loaded_mixture),
        "model": _said_of_model(run.model, parts.model.config),
        "seed": run.seed,
        "batch_size": run.batch_size,
        **({} if run.batch_tokens is None else {"batch_tokens": run.batch_tokens}),
        "max_source_tokens": run.max_source_tokens,
        "max_target_tokens": run.max_target_tokens,
        "engine": read_engine(run.engine).written,
    }
    if run.optimizer.name != "adamw":  # what the first checkpoints were made with
        values["optimizer.name"] = run.optimizer.name
    if parts.start is not None:
        values["what it started from"] = parts.start.fingerprint
    if parts.teacher is not None:
        values["teacher"] = fingerprint_of(parts.teacher)
    if run.lora is not None:
        values["lora"] = {"rank": run.lora.rank, "alpha": run.lora.alpha}
    for name, spec in parts.specs.items():
        values[f"task {name}"] = said_of(spec)
        augment = taken(run.augment, spec)
        if augment:
            values[f"augment of task {name}"] = [each.settled for each in augment]
        data = parts.streams[name].data
        if isinstance(data, ShardedRows):
            values[f"the files of task {name}"] = data.fingerprint
        else:
            values[f"{NUMBER_OF_ROWS} {name}"] = len(data)
        for field, dictionary in spec.dictionaries.items():
            values[f"the dictionary of {field!r} of task {name}"] = dictionary.text
    return {key: _digest(value) for key, value in values.items()}


def _differs(part: Part, key: str) -> bool:
    return bool(getattr(part, key) != type(part).model_fields[key].default)


def _never(part: Part, key: str) -> bool:
    return False


@dataclass(frozen=True)
class Reserved:
    """Keys that are no part of a fingerprint, but where they count.

    Attributes:
        of: what has them.
        keys: their names.
        counts: whether one does.
    """

    of: type[Part]
    keys: tuple[str, ...]
    counts: Callable[[Any, str], bool] = _differs


RESERVED = (
    # what the first checkpoints did not know
    Reserved(Mixture, ("balance",)),
    Reserved(MixtureTask, ADDED_LATER),
    Reserved(FieldSpec, (*RegionsKeys.model_fields, *RegionKeys.model_fields)),
    Reserved(DataSpec, ("stream", "shuffle_shards"), lambda data, key: data.stream),
    Reserved(DataSpec, ("file_parts",)),
    Reserved(
        ScheduleSpec,
        tuple(PrioritizedKeys.model_fields),
        lambda schedule, key: schedule.kind == "prioritized",
    ),
    # said by itself: what a run takes of its `augment`, and what it starts from
    Reserved(ExampleSpec, ("forbid_augment",), _never),
    Reserved(ModelSpec, ("from_",), _never),
    Reserved(VisionSpec, OF_TRAINING, _never),
)


def said_of(part: Part, *, exclude_defaults: bool = False) -> dict[str, Any]:
    """What a spec says, without the keys that do not count (`RESERVED`), as JSON."""
    return part.model_dump(mode="json", exclude=_uncounted(part), exclude_defaults=exclude_defaults)


def _uncounted(value: object) -> dict[Any, Any]:
    """The keys that do not count, nested as pydantic's `exclude` is."""
    within: Mapping[Any, object] = {}
    found: dict[Any, Any] = {}
    if isinstance(value, Part):
        for each in RESERVED:
            if isinstance(value, each.of):
                found |= {key: True for key in each.keys if not each.counts(value, key)}
        within = {key: getattr(value, key) for key in type(value).model_fields}
    elif isinstance(value, Mapping):
        within = value
    elif isinstance(value, list | tuple):
        within = dict(enumerate(value))
    for key, one in within.items():
        # a whole spec in a key's place is said by the name of its file
        inner = {} if key in found or isinstance(one, Document) else _uncounted(one)
        if inner:
            found[key] = inner
    return found


def _said_of_model(
    model: ModelSpec, config: UnifiedVLConfig | TransformersConfig
) -> dict[str, Any]:
    """What is said of the model, whatever the name of the file that its backbone starts from."""
    keys = said_of(model, exclude_defaults=True)
    if config.vision is not None and config.vision["normalize"] is not None:
        keys["vision"]["normalize"] = config.vision["normalize"]  # which that file may decide
    return keys


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
