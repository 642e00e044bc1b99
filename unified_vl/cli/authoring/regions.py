"""`unified-vl regions`: files of region features."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.application import Application

regions_app = Application(help="Make files of region features.")


@regions_app.callback()
def regions() -> None:
    """Make files of region features."""


@regions_app.command("make")
def make(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="A folder of images.")],
    output: Annotated[
        Path, typer.Option(help="What to write: .tsv, .h5, .parquet, or a folder of .npz files.")
    ],
    backbone: Annotated[str, typer.Option(help="A backbone of timm.")] = "resnet50",
    weights: Annotated[
        str, typer.Option(help="pretrained, random, or a safetensors file.")
    ] = "pretrained",
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="A JSONL file: image, boxes in pixels and, if known, classes, scores, attributes."
        ),
    ] = None,
    grid: Annotated[
        str | None, typer.Option(metavar="RxC", help="Boxes side by side: rows x columns.")
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Pixels of a side that the backbone reads.")
    ] = 224,
    level: Annotated[int, typer.Option(help="Which feature map of it; -1 is the last.")] = -1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over what is there under that name.")
    ] = False,
) -> None:
    """Write features of regions, on given boxes or those of a grid, by a backbone of timm."""
    from unified_vl.authoring.region_features import make_regions, read_boxes, region_backbone
    from unified_vl.data.regions.writing import write_regions
    from unified_vl.errors import UserError, number_of
    from unified_vl.inference.saved_models.model_directory import find_device

    if (boxes is None) == (grid is None):
        found = "--boxes and --grid" if grid is not None else "neither"
        raise UserError(
            f"found {found}", file="command line", expected="--boxes FILE or --grid RxC"
        )
    if not images.is_dir():
        raise UserError("is no folder", file=images, expected="a folder of images")
    if not overwrite and output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError("is there already", file=output, expected="a new one, or --overwrite")
    where = _grid(grid) if grid is not None else read_boxes(boxes or Path())
    model = region_backbone(backbone, weights, image_size, level)
    made = make_regions(model, images, where, find_device(device))
    count = write_regions(output, made)
    print(f"wrote the regions of {number_of(count, 'image')} to {output}", file=sys.stderr)


def _grid(text: str) -> tuple[int, int]:
    from unified_vl.errors import UserError
    from unified_vl.kinds.detected.regions import MOST_REGIONS

    sides = text.lower().split("x")
    if len(sides) == 2 and all(side.isdecimal() and int(side) for side in sides):
        rows, columns = map(int, sides)
        if rows * columns <= MOST_REGIONS:
            return rows, columns
    expected = f"rows x columns, such as 6x6, at most {MOST_REGIONS} in all"
    raise UserError(f"found {text!r}", field="--grid", expected=expected)
