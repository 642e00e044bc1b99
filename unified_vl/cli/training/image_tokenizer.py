"""`unified-vl image-tokenizer`: train one, report on it, or convert public weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.application import Application
from unified_vl.cli.options import Device

image_tokenizer_app = Application(help="Image tokenizers.")


@image_tokenizer_app.callback()
def _image_tokenizer() -> None:
    """Image tokenizers."""


@image_tokenizer_app.command("train")
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="What to train, and how.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Keys to set.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    device: Device = "auto",
) -> None:
    """Train an image tokenizer and report on the images that it has not seen."""
    from unified_vl.specs.load import load_image_tokenizer

    spec = load_image_tokenizer(config, overrides or ())

    from unified_vl.training.image_tokenizers.image_tokenizer_training import train_image_tokenizer

    directory = train_image_tokenizer(spec, resume=resume, device=device)
    _report(directory, spec.data, spec.held_out, spec.image_size, as_json=False)


@image_tokenizer_app.command("report")
def report(
    directory: Annotated[
        Path, typer.Argument(metavar="TOKENIZER", help="Of `image-tokenizer train`.")
    ],
    data: Annotated[Path, typer.Option(help="The data root.")],
    images: Annotated[list[str], typer.Option(help="Pattern of images below it.")],
    size: Annotated[
        tuple[int, int] | None, typer.Option(help="Height and width; else as it was trained.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Encode and decode images: PSNR, SSIM, codes in use, and both side by side."""
    _report(directory, data, tuple(images), size, as_json=as_json)


def _report(
    directory: Path,
    data: Path,
    images: tuple[str, ...],
    size: tuple[int, int] | None,
    *,
    as_json: bool,
) -> None:
    from unified_vl.training.image_tokenizers.reconstruction import reconstruct, write_report

    found = reconstruct(directory, data, images, size)
    page = write_report(directory, found)
    if as_json:
        print(json.dumps(found.numbers))
    else:
        told = ", ".join(f"{name} {value:g}" for name, value in found.numbers.items())
        print(f"{page}: {told}")


@image_tokenizer_app.command("convert")
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="VQMODEL", help="Folder of a `VQModel` of diffusers.")
    ],
    output: Annotated[Path, typer.Option(help="Directory to write.")],
) -> None:
    """Take over public VQGAN weights."""
    from unified_vl.image_tokenizer.convert_vqmodel import from_vqmodel

    tokenizer = from_vqmodel(source)
    tokenizer.save_pretrained(output, {"converted_from": source.name})
    print(f"{output}: {tokenizer.codes} codes, one for {tokenizer.downsampling} pixels a side")
