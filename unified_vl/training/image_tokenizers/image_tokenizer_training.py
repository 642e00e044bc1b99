"""Training of an image tokenizer, from top to bottom.

Everything random of a step is drawn from (seed, step), so a resume is exact and needs no
state of a generator.

Legend: B batch, H height, W width.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from unified_vl.data.order import draw_seed
from unified_vl.errors import UserError
from unified_vl.files import read_json_object, telling_disk_full, write_atomically
from unified_vl.image_tokenizer.discriminator import PatchDiscriminator, discriminator_loss
from unified_vl.image_tokenizer.image_tokenizer import WEIGHTS, ImageTokenizer, to_floats
from unified_vl.image_tokenizer.perceptual import PerceptualDistance
from unified_vl.inference.saved_models.model_directory import usable_device
from unified_vl.locks import WITHIN
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.runs.run_paths import only_writer_of_output
from unified_vl.training.distributed.devices import SLOW_BF16, is_slow_in_bf16
from unified_vl.training.image_tokenizers.image_files import ImageFiles
from unified_vl.training.learning_rate import learning_rate
from unified_vl.training.optimizers.registry import build_optimizer

CHECKPOINT = "checkpoint"
FINGERPRINT = "spec"


@dataclass
class _Training:
    spec: ImageTokenizerSpec
    images: ImageFiles
    tokenizer: ImageTokenizer
    optimizer: torch.optim.Optimizer
    perceptual: PerceptualDistance | None
    discriminator: PatchDiscriminator | None
    discriminator_optimizer: torch.optim.Optimizer | None


def train_image_tokenizer(
    spec: ImageTokenizerSpec, *, resume: bool = False, device: str = "auto"
) -> Path:
    """Train what an image tokenizer's file says.

    Args:
        spec: of `load_image_tokenizer`.
        resume: go on from the checkpoint of the output directory.
        device: "cpu", "cuda", "cuda:1", ...; "auto" takes a GPU where there is one.

    Returns:
        The directory of the saved tokenizer.

    Raises:
        UserError: for images that cannot be read, an output directory in use, a checkpoint
            of another spec, or a device that is not there.
    """
    with only_writer_of_output(spec):
        return _train(spec, resume, usable_device(device))


def _train(spec: ImageTokenizerSpec, resume: bool, device: torch.device) -> Path:
    checkpoint = spec.output / CHECKPOINT
    if (
        not resume
        and spec.output.exists()
        and any(path.name != WITHIN for path in spec.output.iterdir())
    ):
        raise UserError("is not empty", file=spec.output, expected="a new folder, or --resume")
    if spec.precision == "bf16" and is_slow_in_bf16(device):
        print(f"warning: {SLOW_BF16}; fp32 may be many times as fast", file=sys.stderr, flush=True)
    training = _build(spec, device)
    start = _load(training, checkpoint) if resume else 0
    began, first = time.monotonic(), start
    for step in range(start, spec.steps):
        losses = _step(training, step, device)
        done = step + 1
        if done % spec.log_every == 0 or done == spec.steps:
            rate = (done - first) / (time.monotonic() - began)
            told = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
            left = (spec.steps - done) / rate
            line = f"step {done}/{spec.steps}: {rate:.2f} steps/s, {left:.0f} s left, {told}"
            print(line, file=sys.stderr, flush=True)
        if done % spec.checkpoint_every == 0 and done < spec.steps:
            _save(training, checkpoint, done)
    facts = {"name": spec.image_tokenizer, "version": spec.version, "steps": spec.steps}
    facts |= {"image_size": list(spec.image_size), "seed": spec.seed}
    training.tokenizer.eval().save_pretrained(spec.output, facts)
    _forget(checkpoint)
    return spec.output


def _build(spec: ImageTokenizerSpec, device: torch.device) -> _Training:
    """All parts; the weights are a function of the seed."""
    torch.manual_seed(spec.seed)
    images = ImageFiles(spec.data, spec.images, spec.image_size, spec.crop)
    tokenizer = ImageTokenizer(spec.model, spec.quantizer).to(device)
    tokenizer = nn.Module.to(tokenizer, memory_format=torch.channels_last)  # type: ignore[call-overload]
    losses = spec.losses
    discriminator = perceptual = discriminator_optimizer = None
    if losses.adversarial is not None:
        discriminator = PatchDiscriminator(losses.adversarial.channels).to(device)
        discriminator_optimizer = build_optimizer(discriminator, spec.optimizer)
    if losses.perceptual is not None:
        told = losses.perceptual
        perceptual = PerceptualDistance(told.backbone, told.weights).to(device)
    optimizer = build_optimizer(tokenizer, spec.optimizer)
    return _Training(
        spec, images, tokenizer, optimizer, perceptual, discriminator, discriminator_optimizer
    )


def _step(training: _Training, step: int, device: torch.device) -> dict[str, float]:
    """One update of the tokenizer and, where there is one, of its discriminator."""
    spec = training.spec
    torch.manual_seed(draw_seed(spec.seed, "step", step) & (2**63 - 1))
    pixels = to_floats(training.images.batch(step, spec.batch_size, spec.seed).to(device))
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    training.tokenizer.train()
    kind = device.type
    with torch.autocast(kind, torch.bfloat16, enabled=spec.precision == "bf16"):
        made, _, commitment = training.tokenizer(pixels)
    made = made.float()
    distance = F.l1_loss if spec.losses.pixels == "l1" else F.mse_loss
    terms = {"pixels": distance(made, pixels), "quantiser": commitment}
    if training.perceptual is not None and spec.losses.perceptual is not None:
        weight = spec.losses.perceptual.weight
        terms["perceptual"] = weight * training.perceptual(made, pixels)
    adversarial = spec.losses.adversarial
    adversarial_now = adversarial is not None and step >= adversarial.from_step
    if adversarial_now and training.discriminator is not None and adversarial is not None:
        terms["adversarial"] = -adversarial.weight * training.discriminator(made).mean()
    rate = learning_rate(step, spec.steps, spec.optimizer)
    _update(training.tokenizer, training.optimizer, sum(terms.values()), rate, spec.clip)
    if (
        adversarial_now
        and training.discriminator is not None
        and training.discriminator_optimizer is not None
    ):
        loss = discriminator_loss(
            training.discriminator(pixels), training.discriminator(made.detach())
        )
        _update(training.discriminator, training.discriminator_optimizer, loss, rate, spec.clip)
        terms["discriminator"] = loss
    return {name: float(value.detach()) for name, value in terms.items()}


def _update(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float, clip: float
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    model.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()


def _parts(training: _Training) -> dict[str, tuple[nn.Module, torch.optim.Optimizer]]:
    parts: dict[str, tuple[nn.Module, torch.optim.Optimizer]] = {
        "tokenizer": (training.tokenizer, training.optimizer)
    }
    if training.discriminator is not None and training.discriminator_optimizer is not None:
        parts["discriminator"] = (training.discriminator, training.discriminator_optimizer)
    return parts


def _save(training: _Training, folder: Path, step: int) -> None:
    """Write a checkpoint beside the last one; the pointer then names it."""
    tensors: dict[str, torch.Tensor] = {}
    for part, (model, optimizer) in _parts(training).items():
        for name, value in model.state_dict().items():
            tensors[f"{part}:model:{name}"] = value
        for name, parameter in model.named_parameters():
            for key, value in optimizer.state[parameter].items():
                tensors[f"{part}:{key}:{name}"] = value
    folder.mkdir(parents=True, exist_ok=True)
    file = f"step-{step:08d}.safetensors"
    held = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    with telling_disk_full(f"{folder / file}: no room to write it; the one before it is whole"):
        save_file(held, folder / file)
    pointer = {"step": step, "file": file, FINGERPRINT: _spec_of(training.spec)}
    write_atomically(folder / "pointer.json", json.dumps(pointer))
    for old in folder.glob("step-*.safetensors"):
        if old.name != file:
            old.unlink()


def _load(training: _Training, folder: Path) -> int:
    """Restore the checkpoint; returns the steps done, 0 where there is none."""
    path = folder / "pointer.json"
    if not path.is_file():
        if (folder.parent / WEIGHTS).exists():
            raise UserError(
                "there is a tokenizer, but no checkpoint to go on from",
                file=folder.parent,
                expected="another output directory: this training has ended",
            )
        return 0
    pointer = read_json_object(path)
    if pointer.get(FINGERPRINT) != _spec_of(training.spec):
        raise UserError("the checkpoint is of another spec", file=path)
    tensors = load_file(folder / str(pointer["file"]))
    for part, (model, optimizer) in _parts(training).items():
        start = f"{part}:model:"
        state = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        model.load_state_dict(state)
        for name, parameter in model.named_parameters():
            for key, found in _remembered(tensors, part, name):
                if found.shape == parameter.shape:  # as the fused update takes for granted
                    found = torch.empty_like(parameter).copy_(found)
                optimizer.state[parameter][key] = found
    return int(pointer["step"])


def _remembered(
    tensors: Mapping[str, torch.Tensor], part: str, name: str
) -> Iterator[tuple[str, torch.Tensor]]:
    """What a checkpoint holds of an optimiser's state of a parameter."""
    for key, value in tensors.items():
        of, _, rest = key.partition(":")
        kind, _, parameter = rest.partition(":")
        if (of, parameter) == (part, name) and kind != "model":
            yield kind, value


def _forget(folder: Path) -> None:
    for path in folder.glob("*") if folder.is_dir() else ():
        path.unlink()
    if folder.is_dir():
        folder.rmdir()


def _spec_of(spec: ImageTokenizerSpec) -> str:
    """What has to be the same for a training to go on."""
    left_out = {"output", "log_every", "checkpoint_every"}
    return json.dumps(spec.model_dump(mode="json", exclude=left_out), sort_keys=True)
