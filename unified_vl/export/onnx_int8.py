"""Graphs whose matrices are int8, by onnxruntime's dynamic quantization.

Each output of a matrix has a scale of its own; what is multiplied with it is made uint8 when it is
known. Embeddings are looked up in int8, too, with a scale for each row.

Matrices use 7 of the 8 bits (`reduce_range`). On a CPU without VNNI onnxruntime adds two products
of uint8 and int8 in 16 bits, which full ranges overflow: nobody knows where a graph will run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unified_vl.export.onnx_files import Graph

LEAST_ROWS = 128  # of a table; position biases are smaller, and stay


def quantize(graphs: Sequence[Graph], source: Path) -> Path:
    """Write the graphs of a folder with int8 matrices, into a folder in it, which is given back."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = source / "int8"
    target.mkdir()
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)  # it advises to do what the exporter has done
    try:
        for graph in graphs:
            model = onnx.load(str(source / graph.file))
            _quantize_tables(model.graph)
            quantize_dynamic(
                model,
                str(target / graph.file),
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=True,
            )
    finally:
        logger.setLevel(before)
    return target


def _quantize_tables(graph: Any) -> None:
    """Let rows of large tables be looked up in int8."""
    from onnx import helper, numpy_helper

    tables = {each.name: each for each in graph.initializer}
    scaled: dict[str, tuple[str, str]] = {}
    nodes = []
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < LEAST_ROWS:
            nodes.append(node)
            continue
        weight_VM = numpy_helper.to_array(table)
        if weight_VM.dtype != np.float32:
            nodes.append(node)
            continue
        if table.name not in scaled:
            names = (f"{table.name}_int8", f"{table.name}_scale")
            greatest_V1 = np.abs(weight_VM).max(1, keepdims=True)
            scale_V1 = np.where(greatest_V1 > 0, greatest_V1 / 127, 1).astype(np.float32)
            whole_VM = np.rint(weight_VM / scale_V1).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(whole_VM, names[0]))
            graph.initializer.append(numpy_helper.from_array(scale_V1, names[1]))
            scaled[table.name] = names
        (found,), ids = node.output, node.input[1]
        parts = []
        for name, what in zip(scaled[table.name], ("rows", "scales"), strict=True):
            parts.append(f"{found}_{what}")
            nodes.append(helper.make_node("Gather", [name, ids], [parts[-1]]))
        nodes.append(helper.make_node("Cast", parts[:1], [f"{found}_float"], to=1))
        nodes.append(helper.make_node("Mul", [f"{found}_float", parts[1]], [found]))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    for name in scaled:
        if name not in used:
            graph.initializer.remove(tables[name])
