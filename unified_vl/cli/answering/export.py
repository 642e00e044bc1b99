"""`unified-vl export`: a saved model as files that run without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    onnx: Annotated[
        Path | None,
        typer.Option(help="A new directory for graphs of ONNX, tokenizer and examples."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Matrices in int8: a third of the size.")
    ] = False,
    limit: Annotated[
        float,
        typer.Option(min=0, help="The greatest difference from the model, in float32."),
    ] = 1e-3,
) -> None:
    """Write a model as ONNX, compared with the model before anything is left behind."""
    from unified_vl.errors import UserError
    from unified_vl.export.onnx_directory import refuse_existing, write_onnx
    from unified_vl.extras import require
    from unified_vl.inference.saved_models.model_directory import load_model

    if onnx is None:
        raise UserError("--onnx is missing", file="command line", expected="--onnx DIR")
    require("onnx", "onnxscript", "onnxruntime")
    refuse_existing(onnx)

    def say(text: str) -> None:
        typer.echo(text, err=True)

    written = write_onnx(load_model(model), onnx, int8=int8, limit=limit, say=say)
    found = written.agreement
    far = ", ".join(f"{name} {value:.1e}" for name, value in found.greatest.items())
    say(f"greatest difference from the model: {far}")
    if int8:
        say(
            f"mean cosine of logits: {found.cosine:.4f}; the likeliest id is the same at "
            f"{100 * found.same_ids:.0f} % of positions"
        )
    for task, reason in written.left_out.items():
        say(f"note: the task {task!r} is not in export.json: {reason}")
    say(f"wrote {onnx} ({written.size / 1e6:.1f} MB)")
