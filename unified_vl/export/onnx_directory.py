"""A directory with a model's ONNX graphs and all that is needed to run them elsewhere.

encoder_model.onnx             a source to hidden states
decoder_model.onnx             these and the first ids of a target to logits and a cache
decoder_with_past_model.onnx   the next ids and the cache to logits and a longer cache
weights.data                   the weights of all three
export.json                    inputs, outputs, ids, preprocessing, the tasks' sources
tokenizer/                     the text tokenizer, and its pieces as JSON
answer.py                      asks it with onnxruntime, numpy, Pillow and sentencepiece
index.html, answer.js          ask it in a browser with onnxruntime-web
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.errors import UserError
from unified_vl.export.description import (
    DESCRIPTION,
    PIECES,
    TOKENIZER,
    describe,
    pieces_of,
)
from unified_vl.export.onnx_files import (
    Graph,
    for_export,
    graphs_of,
    share_weights,
    write_graph,
)
from unified_vl.export.running import LIMIT, Agreement, compare, refuse_far
from unified_vl.extras import require
from unified_vl.files import new_directory, write_atomically
from unified_vl.inference.saved_models.model_directory import SavedModel
from unified_vl.model.int8 import refuse_int8
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

EXAMPLES = Path(__file__).parent / "example"


@dataclass(frozen=True)
class WrittenOnnx:
    """What was written.

    Attributes:
        agreement: with the model.
        size: of graphs and weights, in bytes.
        left_out: tasks whose sources `export.json` does not say, and why.
    """

    agreement: Agreement
    size: int
    left_out: dict[str, str]


def refuse_existing(directory: Path) -> None:
    """Raise where something is in the way of a new directory.

    Raises:
        UserError: then.
    """
    if directory.exists():
        raise UserError("is there already", file=directory, expected="a new directory")


def write_onnx(
    saved: SavedModel,
    directory: Path,
    *,
    int8: bool = False,
    limit: float = LIMIT,
    say: Callable[[str], None] = lambda text: None,
) -> WrittenOnnx:
    """Write a model as ONNX, whole or not at all, once it was found to give the model's numbers.

    Args:
        saved: of `load_model`.
        directory: a new one.
        int8: matrices in int8, a scale for each of their outputs.
        limit: the greatest difference of hidden states and logits, in float32.
        say: is told what is being done.

    Raises:
        UserError: for a model of another architecture, a part that has no form in ONNX, a
            directory that is there, graphs that differ from the model by more than the limit,
            or packages that are missing.
    """
    require("onnx", "onnxscript", "onnxruntime")
    refuse_existing(directory)
    model = own_model(saved.model)
    exported = for_export(model)
    graphs = graphs_of(exported)
    with new_directory(directory) as partial, tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for graph in graphs:
            say(f"exporting {graph.file}")
            write_graph(graph, made)
        if int8:
            from unified_vl.export.onnx_int8 import quantize

            say("making matrices int8")
            made = quantize(graphs, made)
        share_weights(graphs, made, partial)
        say("comparing with the model")
        agreement = compare(exported, partial)
        refuse_far(agreement, limit, int8=int8)
        size = sum(path.stat().st_size for path in partial.iterdir())
        values = describe(saved, [_graph(g) for g in graphs], _checked(agreement, int8))
        text = json.dumps(values, ensure_ascii=False, indent=1)
        write_atomically(partial / DESCRIPTION, text)
        _write_tokenizer(saved, partial / TOKENIZER)
        for path in sorted(EXAMPLES.iterdir()):
            if path.is_file():
                write_atomically(partial / path.name, path.read_bytes())
    return WrittenOnnx(agreement, size, values["tasks_left_out"])


def own_model(model: Any) -> UnifiedVLForConditionalGeneration:
    """The model, where it is one of this project's architecture.

    Raises:
        UserError: where it is not.
    """
    if not isinstance(model, UnifiedVLForConditionalGeneration):
        raise UserError(
            f"a {model.config.model_type} model, which transformers computes, cannot be exported",
            field="--onnx",
            expected="a model of this project's own architecture",
        )
    refuse_int8(model, "exported")
    model.config.refuse_two_streams("--onnx", "exported")
    return model


def _graph(graph: Graph) -> dict[str, Any]:
    def named(values: Any) -> dict[str, Any]:
        return {
            name: {str(place): what for place, what in dimensions.items()}
            for name, dimensions in values.items()
        }

    return {"file": graph.file, "inputs": named(graph.inputs), "outputs": named(graph.outputs)}


def _checked(found: Agreement, int8: bool) -> dict[str, Any]:
    return {
        "precision": "int8" if int8 else "float32",
        "greatest_difference": dict(found.greatest),
        "mean_cosine_of_logits": found.cosine,
        "same_likeliest_ids": found.same_ids,
    }


def _write_tokenizer(saved: SavedModel, folder: Path) -> None:
    saved.codec.save(folder, images=False)
    text = saved.codec.text
    if isinstance(text, SentencePieceText):
        content = json.dumps(pieces_of(text), ensure_ascii=False)
        write_atomically(folder / PIECES, content)
