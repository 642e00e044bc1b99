"""The encoder's blocks and a step of decoding as programs.

A step of decoding is some hundred small operations, which cost as much to call as to
compute. AOTInductor (torch.export, then C++) makes one program of them: what lies between two
matrix products becomes one loop, and Python is left once a step. A program is made for one
model's present weights, with any number of rows, source lengths and positions, when it is first
needed; that takes ten seconds or so and a C++ compiler.

Legend: B sources still running, K hypotheses of a source, H heads, D width of a head,
I = H * D, M width (d_model), S source length, P keys that a query meets, N slots, V vocabulary,
R = B * K, C candidates.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._inductor.exc import CppCompileError, InductorError, InvalidCxxCompiler
from torch.export import Dim

from unified_vl.errors import UserError
from unified_vl.model.incremental import through_blocks
from unified_vl.model.positions import RelativePositionBias
from unified_vl.model.selection import first_largest, largest
from unified_vl.model.unified import Encoder, UnifiedVLForConditionalGeneration

ROWS = Dim("rows", min=1, max=1 << 16)
SOURCE = Dim("source", min=1, max=1 << 16)
SLOTS = Dim("slots", min=1, max=1 << 20)
MOST_LOOPED_QUERIES = 4
EXPECTED = "a C++ compiler (on Debian the package g++), or no compiled model"
_REORDER = "mkldnn::_reorder_linear_weight"


class CompiledPrograms:
    """The programs of a model, each compiled when it is first needed.

    Args:
        model: in evaluation mode; its weights must not change any more.

    Raises:
        UserError: when no C++ compiler is found; by a program that is compiled, when the
            compiler does not work.
    """

    def __init__(self, model: UnifiedVLForConditionalGeneration) -> None:
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            message = f"a model is compiled with {compiler}, which is not there"
            raise UserError(message, field="compile", expected=EXPECTED)
        self._model = model
        self._heads = int(model.config.num_heads)
        self._steps: dict[tuple[int, int | None], Program] = {}

    def encode(
        self,
        x_BSM: torch.Tensor,
        positions_1HSS: list[torch.Tensor],
        mask_bias_B11S: torch.Tensor | None,
    ) -> torch.Tensor:
        """`Encoder.through_blocks`."""
        if mask_bias_B11S is None:
            mask_bias_B11S = x_BSM.new_zeros(len(x_BSM), 1, 1, x_BSM.shape[1])
        dense_1HSS = [position.contiguous() for position in positions_1HSS]
        return self._encoder(x_BSM, *dense_1HSS, mask_bias_B11S)[0]

    def step(self, width: int, enough: int | None) -> Program:
        """`StepProgram` for so many hypotheses a source."""
        if (width, enough) not in self._steps:
            self._steps[width, enough] = self._compiled_step(width, enough)
        return self._steps[width, enough]

    @cached_property
    @torch.inference_mode(False)
    def _encoder(self) -> Program:
        encoder, rows, length = self._model.encoder, 2, 24
        biases = _own_biases(encoder.blocks)
        x_BSM = self._zeros(rows, length, self._model.config.d_model)
        positions = [self._zeros(1, self._heads, length, length) for _ in biases]
        shapes = ({0: ROWS, 1: SOURCE}, [{2: SOURCE, 3: SOURCE} for _ in biases])
        mask_B11S = self._zeros(rows, 1, 1, length)
        program = EncoderProgram(encoder)
        return _compile(program, (x_BSM, positions, mask_B11S), (*shapes, {0: ROWS, 3: SOURCE}))

    @torch.inference_mode(False)
    def _compiled_step(self, width: int, enough: int | None) -> Program:
        config, rows, length, slots = self._model.config, 2, 24, 8 * width
        blocks = self._model.decoder.blocks
        biases = _own_biases(blocks)
        bias = self._zeros(1 if width == 1 else rows, self._heads, width, slots)
        kept, cross = (
            [self._zeros(rows, self._heads, places, config.d_kv) for _ in range(2 * len(blocks))]
            for places in (slots, length)
        )
        arguments = (
            self._zeros(rows, width, config.d_model),
            torch.arange(width, device=self._model.device),
            [bias.clone() for _ in biases],
            self._zeros(rows, 1, 1, length),
            kept,
            cross,
        )
        bias_shape = {3: SLOTS} if width == 1 else {0: ROWS, 3: SLOTS}
        shapes: tuple[Any, ...] = (
            {0: ROWS},
            {},
            [bias_shape for _ in biases],
            {0: ROWS, 3: SOURCE},
            [{0: ROWS, 2: SLOTS} for _ in kept],
            [{0: ROWS, 2: SOURCE} for _ in cross],
        )
        return _compile(StepProgram(self._model, enough), arguments, shapes)

    def _zeros(self, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=self._model.dtype, device=self._model.device)


class Program:
    """What was compiled: it takes the tensors of a module's arguments one after the other."""

    def __init__(self, package: Any) -> None:
        self._run = package.loader.boxed_run  # calling the package reads its signature anew

    def __call__(self, *tensors: torch.Tensor) -> list[torch.Tensor]:
        # the strides are compiled in, and nobody else looks at them
        assert all(tensor.is_contiguous() for tensor in tensors), "a tensor is not dense"
        return self._run(list(tensors))


class EncoderProgram(nn.Module):
    """What is compiled of the encoder."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, x_BSM: torch.Tensor, positions_1HSS: list[torch.Tensor], mask_bias_B11S: torch.Tensor
    ) -> torch.Tensor:
        return self.encoder.through_blocks(x_BSM, positions_1HSS, mask_bias_B11S)


class StepProgram(nn.Module):
    """What is compiled of a step: from embeddings to logits, or to the likeliest ids.

    Args:
        model: whose step it is.
        enough: how many of the likeliest ids a hypothesis gets; None gives all logits.
    """

    def __init__(self, model: UnifiedVLForConditionalGeneration, enough: int | None) -> None:
        super().__init__()
        self.model = model
        self.enough = enough

    def forward(
        self,
        x_BKM: torch.Tensor,
        slots_K: torch.Tensor,
        biases: list[torch.Tensor],
        memory_bias_B11S: torch.Tensor,
        kept: list[torch.Tensor],
        cross: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        """Logits (R, V); or log-probabilities (R, C) of the likeliest ids, and these (R, C).

        Args:
            x_BKM: embeddings of the ids that are read.
            slots_K: where their keys and values are written.
            biases: (1 or B, H, K, N) of the layers that have their own, hiding all that a
                hypothesis does not descend from.
            memory_bias_B11S: hides the sources' padding.
            kept: keys and values (B, H, N, D) of each layer, which are written to.
            cross: keys and values (B, H, S, D) of the sources, of each layer.
        """
        blocks: list[Any] = list(self.model.decoder.blocks)
        heads = int(self.model.config.num_heads)
        batch, width, _ = x_BKM.shape
        bias_of_layer: list[torch.Tensor] = []
        own = iter(biases)
        for block in blocks:
            bias_of_layer.append(next(own) if _has_bias(block) else bias_of_layer[-1])

        def attend_self(layer: int, qkv_BKI: torch.Tensor) -> torch.Tensor:
            qkv_BK3HD = qkv_BKI.view(batch, width, 3, heads, -1)
            query_BHKD, key_BHKD, value_BHKD = qkv_BK3HD.permute(2, 0, 3, 1, 4)
            keys, values = kept[2 * layer], kept[2 * layer + 1]
            keys.index_copy_(2, slots_K, key_BHKD)
            values.index_copy_(2, slots_K, value_BHKD)
            query_BHKD = blocks[layer].attend_self.scaled(query_BHKD)
            return _attend_few(query_BHKD, keys, values, bias_of_layer[layer])

        def attend_cross(layer: int, query_BKI: torch.Tensor) -> torch.Tensor:
            query_BHKD = query_BKI.view(batch, width, heads, -1).transpose(1, 2)
            keys, values = cross[2 * layer], cross[2 * layer + 1]
            return _attend_few(query_BHKD, keys, values, memory_bias_B11S)

        x_BKM = through_blocks(blocks, x_BKM, attend_self, attend_cross)
        logits_RV = self.model.logits(self.model.decoder.norm(x_BKM).flatten(0, 1)).float()
        return (logits_RV,) if self.enough is None else _best(logits_RV, self.enough)


def _attend_few(
    query_BHKD: torch.Tensor, key_BHPD: torch.Tensor, value_BHPD: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """softmax(q k^T + bias) v, (B, K, I).

    A few queries are sums of products, which become one loop; many are matrix products.
    """
    batch, _, width, _ = query_BHKD.shape
    if width <= MOST_LOOPED_QUERIES:
        score_BHKP = (query_BHKD[:, :, :, None] * key_BHPD[:, :, None]).sum(-1) + bias
        y_BHKD = (torch.softmax(score_BHKP, -1)[..., None] * value_BHPD[:, :, None]).sum(3)
    else:
        score_BHKP = query_BHKD @ key_BHPD.transpose(-1, -2) + bias
        y_BHKD = torch.softmax(score_BHKP, -1) @ value_BHPD
    return y_BHKD.transpose(1, 2).reshape(batch, width, -1)


def _best(logits_RV: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest log-probabilities (R, C) and their ids (R, C), the largest first."""
    if count == 1:
        id_RC = first_largest(logits_RV)[:, None]
        logit_RC = logits_RV.gather(1, id_RC)
    else:
        logit_RC, id_RC = largest(logits_RV, count)
    most_R1 = logit_RC[:, :1]
    total_R1 = torch.exp(logits_RV - most_R1).sum(-1, keepdim=True)
    return logit_RC - most_R1 - total_R1.log(), id_RC


def _has_bias(block: Any) -> bool:
    return isinstance(block.position_bias, RelativePositionBias)


def _own_biases(blocks: Any) -> list[Any]:
    return [block for block in blocks if _has_bias(block)]


def _compile(module: nn.Module, arguments: tuple[Any, ...], shapes: tuple[Any, ...]) -> Program:
    """A program of a module for any sizes of the dimensions that `shapes` names."""
    if not torch._C._dispatch_has_kernel_for_dispatch_key(_REORDER, "Meta"):
        torch.library.register_fake(_REORDER)(lambda weight, batch_size=None: weight.clone())
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        exported = torch.export.export(module, arguments, dynamic_shapes=shapes, strict=False)
        try:
            package = torch._inductor.aoti_compile_and_package(
                exported,
                package_path=str(Path(folder) / "program.pt2"),
                inductor_configs={"freezing": True, "cpp.dynamic_threads": True},
            )
        except InductorError as error:
            reason = error.__context__
            if not isinstance(reason, CppCompileError | InvalidCxxCompiler):
                raise
            message = f"the model cannot be compiled: {str(reason).splitlines()[0]}"
            raise UserError(message, field="compile", expected=EXPECTED) from error
        return Program(torch._inductor.aoti_load_package(package))
