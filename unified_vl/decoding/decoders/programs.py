"""The encoder's blocks and a step of decoding as programs.

A step of decoding is some hundred small operations, which cost as much to call as to
compute. AOTInductor (torch.export, then C++) makes one program of them: what lies between two
matrix products becomes one loop, and Python is left once a step. A program is made for one
model's present weights, with any number of rows, source lengths and positions, when it is first
needed; that takes ten seconds or so and a C++ compiler. The next process finds it in the user's
cache (`kept_programs.py`). On one thread plain decoding takes longer
by these factors, for demo size (11.5 M): greedy, one source 1.96 (1.92), 32 sources 1.41 (1.34); a
beam of 4 2.47 (2.17) and 1.39 (1.39).

Legend: B sources still running, K hypotheses of a source, H heads, M width (d_model),
S source length.
"""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from unified_vl.decoding.beams import Beams
from unified_vl.decoding.decoders.kept_programs import KeptPrograms
from unified_vl.decoding.decoders.steps import BeamStep, Step, StepInputs
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.model.compiler import refuse_missing_compiler, telling_compiler_faults
from unified_vl.model.encoder import Encoder
from unified_vl.model.layers.blocks import own_biases
from unified_vl.model.layers.linear import packing_weights
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

ROWS = Dim("rows", min=1, max=1 << 16)
SOURCE = Dim("source", min=1, max=1 << 16)
POSITIONS = Dim("positions", min=1, max=1 << 20)
LIMIT = Dim("limit", min=1, max=1 << 20)
ROOM = Dim("room", min=1, max=1 << 20)
INDUCTOR = {
    "freezing": True,  # weights are packed when the program is made
    "cpp.dynamic_threads": True,
    "assert_indirect_indexing": False,  # no index comes from outside, and checks are not vectors
}
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
        refuse_missing_compiler()
        self._model = model
        self._kept = KeptPrograms(model, INDUCTOR)
        self._heads = int(model.config.num_heads)
        self._steps: dict[tuple[type[Step], int], Program] = {}

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

    def step(self, kind: type[Step], width: int) -> Program:
        """A step for so many hypotheses a source."""
        if (kind, width) not in self._steps:
            self._steps[kind, width] = self._compiled_step(kind, width)
        return self._steps[kind, width]

    @cached_property
    @torch.inference_mode(False)
    def _encoder(self) -> Program:
        encoder, rows, length = self._model.encoder, 2, 24
        biases = own_biases(encoder.blocks)
        x_BSM = self._zeros(rows, length, self._model.config.d_model)
        positions = [self._zeros(1, self._heads, length, length) for _ in biases]
        shapes: Any = ({0: ROWS, 1: SOURCE}, [{2: SOURCE, 3: SOURCE} for _ in biases])
        mask_B11S = self._zeros(rows, 1, 1, length)
        program = EncoderProgram(encoder)
        arguments, shapes = (x_BSM, positions, mask_B11S), (*shapes, {0: ROWS, 3: SOURCE})
        return self._program("encoder", program, arguments, shapes)

    @torch.inference_mode(False)
    def _compiled_step(self, kind: type[Step], width: int) -> Program:
        config, rows, length, positions, room = self._model.config, 2, 24, 8, 16
        layers = range(2 * config.num_decoder_layers)
        biases = own_biases(self._model.decoder.blocks)
        inputs = StepInputs(
            self._zeros(rows, width, config.d_model),
            torch.arange(width, device=self._model.device),
            torch.zeros((rows, width, room), dtype=torch.long, device=self._model.device),
            [self._zeros(1, positions, 1, self._heads) for _ in biases],
            self._zeros(rows, 1, 1, length),
            [self._zeros(rows, self._heads, room * width, config.d_kv) for _ in layers],
            [self._zeros(rows, self._heads, length, config.d_kv) for _ in layers],
        )
        shapes: list[Any] = [  # in the order of `StepInputs`
            {0: ROWS},
            {},
            {0: ROWS, 2: LIMIT},
            [{1: POSITIONS} for _ in biases],
            {0: ROWS, 3: SOURCE},
            [{0: ROWS, 2: ROOM} for _ in layers],
            [{0: ROWS, 2: SOURCE} for _ in layers],
        ]
        name = f"{kind.__name__} {width}"
        if kind is not BeamStep:
            return self._program(name, kind(self._model), ([*inputs],), (shapes,))
        beams = Beams.start(rows, width, room, SpecialIds.of(config), self._model.device).tensors()
        limits = [{0: ROWS, 2: LIMIT} if part.dim() == 3 else {0: ROWS} for part in beams]
        step = torch.tensor(1, device=self._model.device)
        arguments = ([*inputs], step, beams)
        return self._program(name, kind(self._model), arguments, (shapes, {}, limits))

    def _program(
        self, name: str, module: nn.Module, arguments: tuple[Any, ...], shapes: tuple[Any, ...]
    ) -> Program:
        """A program of a module for any sizes of the dimensions that `shapes` names; one that
        was compiled before is loaded."""
        found = self._kept.find(name)
        if found is not None:
            return Program(found)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "program.pt2"
            _compile(module, arguments, shapes, path)
            self._kept.keep(name, path)
            return Program(path)

    def _zeros(self, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=self._model.dtype, device=self._model.device)


class Program:
    """What was compiled: it takes the tensors of a module's arguments one after the other.

    Args:
        path: its file, which is not needed afterwards.
    """

    def __init__(self, path: Path) -> None:
        # what torch wraps around it takes seconds to import, and reads a signature at every call
        loader: Any = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
        self._run = loader.boxed_run

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


def _compile(
    module: nn.Module, arguments: tuple[Any, ...], shapes: tuple[Any, ...], path: Path
) -> None:
    """Write the program of a module for any sizes of the dimensions that `shapes` names."""
    if not torch._C._dispatch_has_kernel_for_dispatch_key(_REORDER, "Meta"):
        torch.library.register_fake(_REORDER)(lambda weight, batch_size=None: weight.clone())
    with torch.no_grad():
        with packing_weights():
            exported = torch.export.export(module, arguments, dynamic_shapes=shapes, strict=False)
        with telling_compiler_faults():
            torch._inductor.aoti_compile_and_package(
                exported, package_path=str(path), inductor_configs=INDUCTOR
            )
