"""Blocks of encoder and decoder that learn by compiled programs (`torch.compile`).

What is compiled is a block alone (regional compilation), whose weights are arguments: one program
forward and one backward serve all layers that are alike. Embeddings, the image branch and the loss
stay as they are, and so does what has nothing to learn: validation and answers.

One program also serves all sizes, of rows and of lengths. The compiler bases some choices on the
sizes that it sees first, and rounding may depend on those; so programs are made before the first
step, from sizes that are the same in every start, and a resumed run computes with the same ones.

Legend: B rows, S source length, T target length, N tokens, M width (d_model).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from unified_vl.data.packing import pack
from unified_vl.model.backbone import Backbone
from unified_vl.model.compiler import refuse_missing_compiler, telling_compiler_faults
from unified_vl.model.encoder import Encoder
from unified_vl.model.layers.attention import padding_bias
from unified_vl.model.layers.blocks import Attend, DecoderBlock, EncoderBlock, own_biases
from unified_vl.model.learning.packed_batches import PackedBatch, decoder_blocks, encoder_blocks
from unified_vl.training.compiling.program_cache import keep_programs

ROWS, SOURCE, TARGET = 3, 40, 24  # no two alike, or a program would be for what is alike only
BACKEND = "inductor"  # of `torch.compile`
Program = Callable[..., torch.Tensor]
MOST_PROGRAMS = 64  # of a kind of block, whose layers may be frozen in part or have adapters


class Outside:
    """Attention that programs call, and do not hold."""

    def __init__(self, attend: Attend) -> None:
        self._attend = attend

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, x_NX: torch.Tensor) -> torch.Tensor:
        return self._attend(x_NX)


class CompiledForward:
    """In the place of a block's `forward`: a program where it learns, otherwise as it was.

    Attributes:
        first: whether sizes are those that programs are made from.
    """

    first = True

    def __init__(self, block: nn.Module, program: Program, packed: bool) -> None:
        self._block, self._program, self._packed = block, program, packed

    def __call__(self, x: torch.Tensor, *attends: Attend) -> torch.Tensor:
        block: Any = self._block
        if block.training and torch.is_grad_enabled():
            if self._packed:
                return self._program(block, x, *map(Outside, attends))
            if self.first:
                _any_size(x, *attends)
            return self._program(block, x, *attends)
        plain: torch.Tensor = type(block).forward(block, x, *attends)
        return plain


def compile_blocks(model: Backbone, *, packed: bool) -> float:
    """Let a model's blocks learn by compiled programs from now on; says the seconds it took.

    Names of weights stay as they are, and gradients are touched by nothing here.

    Args:
        model: of this project's architecture, on its device and in its precision.
        packed: whether batches are computed without padding: attention, whose groups differ from
            batch to batch, then stays outside of the programs.

    Raises:
        UserError: where there is no C++ compiler that works.
    """
    if BACKEND == "inductor":
        refuse_missing_compiler()
        keep_programs()
    start = time.monotonic()
    torch.compiler.reset()  # what was compiled before, for another model, is none of this one's
    options: Any = {"cpp.threads": torch.get_num_threads()} if BACKEND == "inductor" else None
    programs = {
        kind: torch.compile(
            kind.forward,
            dynamic=True if packed else None,  # or what `_any_size` says
            fullgraph=not packed,
            backend=BACKEND,
            options=options,
        )
        for kind in (EncoderBlock, DecoderBlock)
    }
    blocks: list[Any] = [each for each in model.modules() if type(each) in programs]
    for block in blocks:
        block.forward = CompiledForward(block, programs[type(block)], packed)
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_PROGRAMS)
    training = model.training
    model.train()
    try:
        with telling_compiler_faults():
            _make_programs(model, packed=packed)
    finally:
        model.train(training)
    for block in blocks:
        block.forward.first = False
    return time.monotonic() - start


def _any_size(x_BLM: torch.Tensor, *attends: Any) -> None:
    """Let a program be for any number of rows and any lengths: widths and heads stay."""
    for tensor in (x_BLM, *(value for each in attends for value in each.keywords.values())):
        if tensor is not None:
            axes = (0, 1) if tensor.dim() == 3 else (0, 2, 3)  # hidden states or biases
            sizes = [axis for axis in axes if tensor.shape[axis] > 1]
            torch._dynamo.maybe_mark_dynamic(tensor, sizes)


def _make_programs(model: Any, *, packed: bool) -> None:
    """Send zeros forward and back through all blocks, beside the gradients of the weights."""
    encoder, decoder = model.encoder, model.decoder
    x_BSM = _embedded(model, SOURCE, encoder.embedding, encoder.code_positions, encoder.vision)
    x_BTM = _embedded(model, TARGET, encoder.embedding, encoder.code_positions)
    mask_BS = torch.ones(ROWS, SOURCE, dtype=torch.long, device=model.device)
    if packed:
        packing = pack([SOURCE] * ROWS, [TARGET] * ROWS, SOURCE, TARGET)
        batch = PackedBatch(packing.changed(lambda each: each.to(model.device)))
        memory_NM = encoder.norm(encoder_blocks(encoder, x_BSM.flatten(0, 1), batch))
        found = decoder_blocks(decoder, x_BTM.flatten(0, 1), memory_NM, batch)
    else:
        memory_BSM = _through(encoder, x_BSM, mask_BS)
        found = decoder(x_BTM, memory_BSM, mask_BS, None, None)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    if found.requires_grad:
        torch.autograd.grad(found.float().sum(), trained, allow_unused=True)


def _through(encoder: Encoder, x_BSM: torch.Tensor, mask_BS: torch.Tensor) -> torch.Tensor:
    length = x_BSM.shape[1]
    positions = [bias(length, length) for bias in own_biases(encoder.blocks)]
    return encoder.through_blocks(x_BSM, positions, padding_bias(mask_BS, x_BSM.dtype))


def _embedded(model: Any, length: int, *sources: nn.Module | None) -> torch.Tensor:
    """Zeros (B, length, M) that have a gradient where embeddings come from something trained."""
    zeros = torch.zeros(ROWS, length, model.config.d_model, dtype=model.dtype, device=model.device)
    weights = (weight for part in sources if part is not None for weight in part.parameters())
    return zeros.requires_grad_(any(weight.requires_grad for weight in weights)) * 1.0
