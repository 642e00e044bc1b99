"""A model's graphs as ONNX files whose weights lie in one file, each weight once.

Legend: B sources, S source length, T target length, P positions so far, N images.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from unified_vl.errors import UserError
from unified_vl.export.graphs import EncoderGraph, FirstGraph, NextGraph
from unified_vl.model.layers.positions import RelativePositionBias
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

ENCODER, FIRST, NEXT = "encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx"
WEIGHTS = "weights.data"
OPSET = 20
SMALL = 1024  # bytes: such tensors stay in the graph
ALIGNED = 64  # bytes
BATCH, SOURCE, TARGET, PAST, ALL = "batch", "source", "target", "past", "past + target"


@dataclass(frozen=True)
class Graph:
    """A part of a model, and what goes in and comes out.

    Attributes:
        file: its name.
        module: computes it.
        arguments: examples of what the module takes; lists of tensors count as these.
        inputs: names, and the names of the dimensions that vary by their place.
        outputs: the same.
    """

    file: str
    module: nn.Module
    arguments: tuple[Any, ...]
    inputs: Mapping[str, Mapping[int, str]]
    outputs: Mapping[str, Mapping[int, str]]
    fixed: Mapping[str, Sequence[int]] = field(default_factory=dict)


def for_export(model: UnifiedVLForConditionalGeneration) -> UnifiedVLForConditionalGeneration:
    """A copy in float32 on the CPU whose lengths need not be known."""
    found = copy.deepcopy(model).eval().requires_grad_(False)
    found.to(device="cpu", dtype=torch.float32)
    found.programs, found.encoder.compiled_blocks = None, None
    for module in found.modules():
        if isinstance(module, RelativePositionBias):
            module.tabulate()
    return found


def graphs_of(model: UnifiedVLForConditionalGeneration) -> list[Graph]:
    """The three graphs of a model of `for_export`."""
    config = model.config
    rows, length, past, new = 2, 12 + 2 * int(config.image_token_id is not None), 5, 3
    layers = range(config.num_decoder_layers)
    ids_BS = torch.full((rows, length), 3)
    mask_BS = torch.ones_like(ids_BS)
    ids_BT = torch.full((rows, new), 3)
    hidden_BSM = torch.zeros(rows, length, config.d_model)
    own = {
        f"{layer}.decoder.{part}": torch.zeros(rows, config.num_heads, past, config.d_kv)
        for layer in layers
        for part in ("key", "value")
    }
    cross = {
        name.replace("decoder", "encoder"): torch.zeros(rows, config.num_heads, length, config.d_kv)
        for name in own
    }
    read = {"input_ids": {0: BATCH, 1: SOURCE}, "attention_mask": {0: BATCH, 1: SOURCE}}
    images: tuple[torch.Tensor, ...] = ()
    if model.encoder.vision is not None:
        read |= {"pixel_values": {0: "images"}}
        images = (torch.zeros(rows, 3, *config.image_size, dtype=torch.uint8),)
    step = {"input_ids": {0: BATCH, 1: TARGET}, "encoder_attention_mask": {0: BATCH, 1: SOURCE}}
    logits = {"logits": {0: BATCH, 1: TARGET}}
    grown = {f"present.{name}": {0: BATCH, 2: ALL} for name in own}
    first = {f"present.{name}": {0: BATCH, 2: TARGET} for name in own}
    of_source = {f"present.{name}": {0: BATCH, 2: SOURCE} for name in cross}
    given = {f"past_key_values.{name}": {0: BATCH, 2: PAST} for name in own}
    given |= {f"past_key_values.{name}": {0: BATCH, 2: SOURCE} for name in cross}
    hidden = {0: BATCH, 1: SOURCE}
    return [
        Graph(
            ENCODER,
            EncoderGraph(model),
            (ids_BS, mask_BS, *images),
            read,
            {"last_hidden_state": hidden},
        ),
        Graph(
            FIRST,
            FirstGraph(model),
            (ids_BT, mask_BS, hidden_BSM),
            {**step, "encoder_hidden_states": hidden},
            {**logits, **first, **of_source},
        ),
        Graph(
            NEXT,
            NextGraph(model),
            (ids_BT, mask_BS, [*own.values()], [*cross.values()]),
            {**step, **given},
            {**logits, **grown},
        ),
    ]


def write_graph(graph: Graph, folder: Path) -> None:
    """Write a graph, its weights beside it.

    Raises:
        UserError: when a part of the model has no form in ONNX.
    """
    names = iter(graph.inputs.values())

    def vary(argument: Any) -> Any:
        if isinstance(argument, list):
            return [vary(each) for each in argument]
        return dict.fromkeys(next(names), Dim.DYNAMIC)

    shapes = tuple(vary(argument) for argument in graph.arguments)
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                graph.module,
                graph.arguments,
                str(folder / graph.file),
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=shapes,
                dynamo=True,
                opset_version=OPSET,
                external_data=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        said = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(
            f"{graph.file} cannot be exported: {said}",
            field="--onnx",
            expected="parts that torch.onnx knows",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporting says much that nobody asked."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def share_weights(graphs: Sequence[Graph], source: Path, target: Path) -> None:
    """Write graphs anew with one file of weights, in which each lies once.

    Args:
        graphs: what `source` has.
        source: a folder of graphs with weights of their own.
        target: the folder to write.
    """
    import onnx
    from onnx.external_data_helper import set_external_data

    places: dict[bytes, tuple[int, int]] = {}
    with (target / WEIGHTS).open("wb") as file:
        for graph in graphs:
            model = onnx.load(str(source / graph.file))
            for tensor in model.graph.initializer:
                content = tensor.raw_data
                if len(content) < SMALL:
                    continue
                digest = hashlib.sha256(content).digest()
                if digest not in places:
                    file.write(b"\0" * (-file.tell() % ALIGNED))
                    places[digest] = file.tell(), len(content)
                    file.write(content)
                start, size = places[digest]
                set_external_data(tensor, WEIGHTS, start, size)
                tensor.ClearField("raw_data")
            _name_dimensions(model.graph, graph)
            _forget_origin(model)
            (target / graph.file).write_bytes(model.SerializeToString(deterministic=True))


def _name_dimensions(found: Any, graph: Graph) -> None:
    """Call what varies by its name."""
    for values, names in ((found.input, graph.inputs), (found.output, graph.outputs)):
        for value in values:
            dimensions = value.type.tensor_type.shape.dim
            for place, name in names[value.name].items():
                dimensions[place].dim_param = name
    del found.value_info[:]


def _forget_origin(model: Any) -> None:
    """Leave out which lines of which files nodes came from, paths of this machine among them."""
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for function in model.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""
