"""Statements about images that are true, false or neither: NLVR2, MaRVL, SNLI-VE and XVNLI.

NLVR2: Suhr et al., arXiv 1811.00491, github.com/lil-lab/nlvr. MaRVL: Liu et al.,
arXiv 2109.13238, marvl-challenge.github.io, and `datasets/marvl` of github.com/e-bug/iglue.
SNLI-VE: Xie et al., arXiv 1901.06706, github.com/necla-ml/SNLI-VE. XVNLI: Bugliarello et al.,
arXiv 2201.11732, the same keys in `datasets/XVNLI` of IGLUE.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.files import path_below
from unified_vl.json_text import json_objects
from unified_vl.readers.columns import ROW_ID, Column
from unified_vl.readers.json_files import member
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

RELATIONS = ("entailment", "neutral", "contradiction")


def _nlvr2(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for line, row in json_objects(path):
        key = member(row, "identifier", str, path, line=line)
        parts = key.split("-")  # split, set, pair, sentence
        if len(parts) != 4:
            raise UserError(
                f"found {key!r}",
                file=path,
                line=line,
                field="identifier",
                expected="SPLIT-SET-PAIR-SENTENCE",
            )
        label = member(row, "label", str, path, line=line)
        number = row.get("directory")  # the training images alone lie in numbered folders
        folder = "" if number is None else str(number)
        yield {
            "key": key,
            "images": [
                path_below(folder, f"{'-'.join(parts[:3])}-img{side}.png") for side in (0, 1)
            ],
            "statement": member(row, "sentence", str, path, line=line),
            "answer": _truth(
                label.lower() == "true", label.lower() in ("true", "false"), path, line
            ),
            "group": f"{parts[0]}-{parts[1]}-{parts[3]}",
        }


def _truth(is_true: bool, known: bool, path: Path, line: int) -> str:
    if not known:
        message = "is neither true nor false"
        raise UserError(message, file=path, line=line, field="label", expected="True or False")
    return "true" if is_true else "false"


def _marvl(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for line, row in json_objects(path):
        concept = member(row, "concept", str, path, line=line)
        statement = member(row, "caption", str, path, line=line)
        yield {
            "key": member(row, "id", str, path, line=line),
            "images": [
                _of_concept(concept, member(row, f"{side}_img", str, path, line=line))
                for side in ("left", "right")
            ],
            "statement": statement,
            "answer": _truth(member(row, "label", bool, path, line=line), True, path, line),
            "group": f"{concept}: {statement}",
            "concept": concept,
            "chapter": row.get("chapter"),
        }


def _of_concept(concept: str, name: str) -> str:
    """An image of a concept's folder; IGLUE's rows of few shots name the folder themselves."""
    return name if "/" in name else f"{concept}/{name}"


def _snli_ve(source: Source) -> Iterator[dict[str, Any]]:
    """Rows with a label; says how many have none, since no three people agreed (SNLI's `-`)."""
    kept: list[int] = []
    count = 0
    for line, row in json_objects(source.path):
        count += 1
        if "gold_label" not in row or row["gold_label"] not in ("-", "", None):
            kept.append(line - 1)
            yield _entailment(row, source.path, line)
    source.keep(kept, count, "have no label")


def _entailment(row: Any, path: Path, line: int) -> dict[str, Any]:
    relation = member(row, "gold_label", str, path, line=line)
    if relation not in RELATIONS:
        raise UserError(
            f"found {relation!r}",
            file=path,
            line=line,
            field="gold_label",
            expected=f"one of {', '.join(RELATIONS)}",
        )
    caption = member(row, "captionID", str, path, line=line)
    image, mark, _ = caption.partition("#")
    if not mark:
        message = f"found {caption!r}"
        raise UserError(
            message, file=path, line=line, field="captionID", expected="IMAGE.jpg#NUMBER"
        )
    return {
        "key": member(row, "pairID", str, path, line=line),
        "image": image,
        "premise": member(row, "sentence1", str, path, line=line),
        "statement": member(row, "sentence2", str, path, line=line),
        "answer": relation,
    }


TRUTH = {
    "key": ROW_ID,
    "images": Column("images", "both images, the left one first"),
    "statement": Column("text", "what is said of them"),
    "answer": Column("text", "true or false"),
    "group": Column("text", "the same for rows with the same statement"),
}
NLVR2 = Reader("nlvr2", "NLVR2: a row a statement about two images.", rows=_nlvr2, columns=TRUTH)
MARVL = Reader(
    "marvl",
    "MaRVL: a row a statement about two images, which lie in a folder for each concept.",
    rows=_marvl,
    columns={
        **TRUTH,
        "concept": Column("text", "what the images show: 80-Tükenmez_kalem"),
        "chapter": Column("text", "the field that the concept is of"),
    },
)
SNLI_VE = Reader(
    "snli_ve",
    "SNLI-VE and XVNLI: a row a statement about an image. Those without agreement (`-`) are "
    "left out.",
    rows=_snli_ve,
    columns={
        "key": ROW_ID,
        "image": Column("image", "Flickr30k's file name"),
        "premise": Column("text", "the caption that the statement was written for"),
        "statement": Column("text", "what is said of the image"),
        "answer": Column("text", "entailment, neutral or contradiction"),
    },
)
