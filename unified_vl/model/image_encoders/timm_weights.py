"""What a `timm` backbone starts from: weights in a safetensors file, under timm's names.

A file has the names of the whole model of timm, with its classifier, which is what timm writes
and what the hub has; or those of the backbone in a model of this project. Either may have
something in front of them (`backbone.`, `visual.trunk.`), and then be part of a larger model.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from unified_vl.errors import UserError, nearest
from unified_vl.specs.runs.vision import PRETRAINED, RANDOM

FIELD = "model.vision.weights"
CONFIG, WEIGHTS = "config.json", "model.safetensors"  # of a folder, as on the hub
PICKLES = (".bin", ".pth", ".pt", ".ckpt", ".tar", ".pkl")
OURS = "encoder.vision.features.backbone."  # in front of the names in a saved model
_COUNT = "num_batches_tracked"  # of a batch norm; older files lack it, and it is not used

State = dict[str, torch.Tensor]
Filter = Callable[..., State]
ColourScale = Mapping[str, list[float]]
_lock = threading.Lock()


@dataclass(frozen=True)
class Source:
    """What a backbone starts from.

    Attributes:
        path: of the file; None where timm's own are meant, which may have to be fetched.
        mean: of the colours that it was trained with.
        std: their standard deviations.
    """

    path: Path | None
    mean: list[float]
    std: list[float]


def source_of(backbone: str, weights: str) -> Source | None:
    """Where the weights of a backbone are; None where it starts at random.

    Raises:
        UserError: for a path that is none, a pickle, or a folder of another backbone.
    """
    if weights == RANDOM:
        return None
    scale = trained_scale(backbone)
    if weights == PRETRAINED:
        return Source(None, scale["mean"], scale["std"])
    path = Path(weights)
    if path.is_dir():
        return _of_folder(path, backbone, scale)
    if path.suffix.lower() in PICKLES:
        raise UserError(
            f"{str(path)!r} is a pickle, which is not opened: it may run any program",
            field=FIELD,
            expected="a safetensors file, which this makes of it: "
            f"{CONVERSION.format(source=path.name, target=path.with_suffix('.safetensors').name)}",
        )
    if not path.is_file():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(
            f"there is no {str(path)!r}",
            field=FIELD,
            expected="`random`, `pretrained`, a safetensors file, or a folder with one",
            nearest=nearest(path.name, (*beside, RANDOM, PRETRAINED)),
        )
    return Source(path, scale["mean"], scale["std"])


CONVERSION = (
    'python -c "import torch, safetensors.torch as s; s.save_file({{k: v.contiguous() for k, v in '
    "torch.load('{source}', weights_only=True).items()}}, '{target}')\""
)


def trained_scale(backbone: str) -> ColourScale:
    """Mean and standard deviation of the colours that timm's weights of a backbone expect."""
    import timm

    made_for: Any = timm.get_pretrained_cfg(backbone)
    return {"mean": list(made_for.mean), "std": list(made_for.std)}


def _of_folder(folder: Path, backbone: str, scale: ColourScale) -> Source:
    """The file of a folder as the hub has it, and what its `config.json` says."""
    file, config = folder / WEIGHTS, folder / CONFIG
    if not file.is_file():
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLES)
        found = f", but {pickles[0]!r}, a pickle, which is not opened" if pickles else ""
        raise UserError(
            f"there is no {WEIGHTS!r} in {str(folder)!r}{found}",
            field=FIELD,
            expected=f"{WEIGHTS}, and {CONFIG} beside it",
        )
    if not config.is_file():
        return Source(file, scale["mean"], scale["std"])
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
        trained = said.get("pretrained_cfg") or {}
        known = said.get("architecture") or backbone
        mean, std = ([float(v) for v in trained.get(key) or scale[key]] for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean {mean} and std {std} are not those of three colours")
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{str(config)!r} is no timm config: {error}", field=FIELD) from error
    if known.split(".")[0] != backbone.split(".")[0]:
        raise UserError(
            f"{str(folder)!r} has the weights of {known!r}, and the backbone is {backbone!r}",
            field=FIELD,
            expected=f"those of {backbone!r}, or `backbone: {known}`",
        )
    return Source(file, mean, std)


def load_weights(
    backbone: nn.Module, name: str, image_size: tuple[int, int], path: Path, whole: Whole
) -> None:
    """Put the weights of a file into a backbone.

    Args:
        backbone: timm's feature extractor.
        name: of it.
        image_size: (height, width) in pixels that it is built for; timm resamples position
            embeddings and tables of windows to it.
        path: a safetensors file.
        whole: timm's whole model of the name, and how it reads files.

    Raises:
        UserError: when the file is broken; when one of its weights is missing, of no use or of
            another shape, naming the one that is nearest to it.
    """
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{str(path)!r} cannot be read: {error}", field=FIELD) from error
    own = backbone.state_dict()
    state = _of_saved_model(own, found)
    if state is None:
        state = _from_whole(own, found, name, path, whole)
    wrong = [key for key in state if state[key].shape != own[key].shape]
    if wrong:
        found_shape, shape = tuple(state[wrong[0]].shape), tuple(own[wrong[0]].shape)
        raise UserError(
            f"{str(path)!r} has {wrong[0]!r} in the shape {found_shape} ({len(wrong)} of "
            f"{len(own)} weights do not fit)",
            field=FIELD,
            expected=f"{shape}, as the backbone {name!r} has it for {image_size[0]} x "
            f"{image_size[1]} pixels",
        )
    with torch.no_grad():
        for key, tensor in state.items():
            if not bool(tensor.isfinite().all()):
                raise UserError(f"{str(path)!r}: {key!r} holds NaN or infinity", field=FIELD)
            own[key].copy_(tensor)


@dataclass(frozen=True)
class Whole:
    """timm's whole model, with classifier.

    Attributes:
        model: without memory for its weights.
        read: what timm makes of a file's weights: other names, other sizes of images.
        heads: names of its classifiers.
    """

    model: nn.Module
    read: Filter | None
    heads: tuple[str, ...]


def whole_model(create: Callable[..., nn.Module]) -> Whole:
    """The whole model of a backbone.

    Args:
        create: makes it, given `pretrained`.

    timm does not say how it reads a file, but does so when it makes a model that shall be
    pretrained. So it makes one here, and its loading is told apart from all else by a name.
    """
    from timm.models import _builder

    taken: dict[str, Any] = {}

    def take(model: nn.Module, *_: Any, filter_fn: Filter | None = None, **__: Any) -> None:
        taken["read"] = filter_fn

    with _lock, torch.device("meta"):
        original = _builder.load_pretrained
        _builder.load_pretrained = take
        try:
            model = create(pretrained=True)
        finally:
            _builder.load_pretrained = original
    config: Any = getattr(model, "pretrained_cfg", {})
    heads = config.get("classifier") or ()
    return Whole(model, taken.get("read"), (heads,) if isinstance(heads, str) else tuple(heads))


def _of_saved_model(own: State, found: State) -> State | None:
    """The weights of a backbone, from those of a model of this project that has the same."""
    prefix = next((key[: key.index(OURS) + len(OURS)] for key in found if OURS in key), None)
    if prefix is None:
        return None
    state = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    return state if set(_needed(own)) <= state.keys() <= own.keys() else None


def _from_whole(own: State, found: State, name: str, path: Path, whole: Whole) -> State:
    """The weights of a backbone, from those of a whole model."""
    expected = whole.model.state_dict()
    prefix = _prefix(expected, found) or ""
    state = {key.removeprefix(prefix): v for key, v in found.items() if key.startswith(prefix)}
    state = _read(state, whole, path)
    by_plain = {_plain(key): key for key in expected}
    sources = {key: by_plain.get(_plain(key), key) for key in own}
    missing = [sources[key] for key in _needed(own) if sources[key] not in state]
    unused = [k for k in state if k not in expected and not k.startswith(whole.heads)]
    if missing:
        raise UserError(
            f"{str(path)!r} has no {missing[0]!r} ({len(missing)} of {len(own)} weights of the "
            f"backbone {name!r} are missing)",
            field=FIELD,
            expected="the weights of this backbone under timm's names",
            nearest=nearest(missing[0], unused or found),
        )
    if unused:
        raise UserError(
            f"{str(path)!r} has {unused[0]!r}, which the backbone {name!r} does not have "
            f"({len(unused)} of {len(found)} weights)",
            field=FIELD,
            expected="the weights of this backbone under timm's names",
            nearest=nearest(unused[0], expected),
        )
    return {key: state[source] for key, source in sources.items() if source in state}


def _read(state: State, whole: Whole, path: Path) -> State:
    """What timm makes of a file's weights."""
    if whole.read is None:
        return state
    try:
        try:
            return whole.read(state, whole.model)
        except TypeError:  # some take the weights alone
            return whole.read(state)
    except Exception as error:  # each has its own way to fail on what it does not know
        said = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(
            f"timm cannot read {str(path)!r} for this backbone ({said[:100]})",
            field=FIELD,
            expected="the weights of this backbone under timm's names",
        ) from error


def _needed(own: Mapping[str, object]) -> list[str]:
    return [key for key in own if not key.endswith(_COUNT)]


def _prefix(expected: Iterable[str], found: Iterable[str]) -> str | None:
    """What stands in front of most of the expected names in a file; None where none is there."""
    names = set(expected)
    counts: dict[str, int] = {}
    for key in found:
        parts = key.split(".")
        for first in range(len(parts)):
            if ".".join(parts[first:]) in names:
                prefix = "".join(f"{part}." for part in parts[:first])
                counts[prefix] = counts.get(prefix, 0) + 1
                break
    best = max(counts, key=lambda prefix: counts[prefix], default=None)
    return best if best is not None and 2 * counts[best] >= len(names) else None


def _plain(name: str) -> str:
    """A name without what timm changes when it makes a feature extractor of a model.

    It puts `model.` before it, or `stages_0` in place of `stages.0`.
    """
    return name.removeprefix("model.").replace("_", ".")
