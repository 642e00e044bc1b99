"""`unified-vl convert`: files of others to files that readers open, and models to theirs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.application import Application

TARGETS = ("t5", "ctranslate2", "int8")
convert_app = Application(help="Convert files and models from and to the formats of others.")


@convert_app.callback()
def convert() -> None:
    """Convert files and models from and to the formats of others."""


@convert_app.command("refcoco")
def refcoco(
    refs: Annotated[Path, typer.Argument(help="A pickle of REFER, such as 'refs(unc).p'.")],
    output: Annotated[Path, typer.Option(help="The JSON file to write.")],
) -> None:
    """Write the references of RefCOCO, RefCOCO+ or RefCOCOg as JSON.

    Nothing that the pickle names is imported or called: one that holds more than lists,
    mappings, texts and numbers is refused.
    """
    from unified_vl.errors import number_of
    from unified_vl.files import write_atomically
    from unified_vl.readers.benchmarks.refcoco import read_refs

    found = read_refs(refs)
    write_atomically(output, json.dumps(found, ensure_ascii=False) + "\n")
    print(f"wrote {number_of(len(found), 'reference')} to {output}", file=sys.stderr)


@convert_app.command("model")
def model(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A saved model.")],
    output: Annotated[Path, typer.Option(help="Directory to write; one that is there goes.")],
    to: Annotated[
        str,
        typer.Option(
            help="t5: the text part, as transformers loads it; ctranslate2: the same, as "
            "CTranslate2 does; int8: a saved model whose matrices are int8."
        ),
    ] = "t5",
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights in int8, with --to ctranslate2.")
    ] = False,
) -> None:
    """Write a saved model in a format of other libraries: weights, configuration, tokenizer."""
    from unified_vl.errors import UserError
    from unified_vl.export.ctranslate2_directory import write_ctranslate2
    from unified_vl.inference.saved_models.as_t5 import write_t5
    from unified_vl.inference.saved_models.int8_directory import write_int8
    from unified_vl.inference.saved_models.model_directory import load_model

    if to not in TARGETS:
        expected = f"one of {', '.join(TARGETS)}"
        raise UserError(f"found {to!r}", field="--to", expected=expected)
    if int8 and to == "t5":
        raise UserError("a T5 is not written in int8", field="--int8", expected="--to ctranslate2")
    saved = load_model(directory)
    if to == "int8":
        write_int8(saved, output)
        print(f"wrote {output}", file=sys.stderr)
        return
    written = write_t5(saved, output) if to == "t5" else write_ctranslate2(saved, output, int8=int8)
    print(f"wrote {output}", file=sys.stderr)
    for part in written.left_out:
        print(f"not in it: {part}", file=sys.stderr)
    for note in written.notes:
        print(f"note: {note}", file=sys.stderr)


@convert_app.command("boxes")
def boxes(
    path: Annotated[Path, typer.Argument(help="A file or folder of an annotation tool.")],
    source: Annotated[
        str, typer.Option("--from", help="Its format: coco, pascal_voc, yolo, cvat, labelme, ...")
    ],
    output: Annotated[Path, typer.Option(help="The file to write.")],
    to: Annotated[
        str,
        typer.Option(
            help="coco; jsonl: a line an image, in pixels; paligemma, florence or ofa: a line an "
            "image, in the tokens that these models write."
        ),
    ] = "coco",
    images: Annotated[
        Path | None, typer.Option(help="The folder of the images, for their sizes.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="One split, as the files call it.")] = None,
) -> None:
    """Write boxes of an annotation tool as COCO's JSON, as JSONL, or in tokens of other models."""
    from unified_vl.authoring.box_files import TARGETS, convert_boxes, formats
    from unified_vl.errors import UserError, nearest
    from unified_vl.files import write_atomically

    for option, given, known in (
        ("--from", source, formats()),
        ("--to", to, TARGETS),
    ):
        if given not in known:
            close = nearest(given, known)
            expected = f"one of {', '.join(known)}"
            raise UserError(f"found {given!r}", field=option, expected=expected, nearest=close)
    if not path.exists():
        raise UserError("does not exist", file=path)
    kind = next(each for each in TARGETS if each == to)
    found = convert_boxes(source, path, kind, images=images, split=split)
    write_atomically(output, found.text)
    print(
        f"wrote {found.boxes} boxes of {found.images} images ({found.without} without any) to "
        f"{output}",
        file=sys.stderr,
    )
    for what, count in found.lost.items():
        print(f"not in it, or changed: {count} {what}", file=sys.stderr)
