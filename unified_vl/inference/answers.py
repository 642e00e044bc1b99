"""Files of answers. All gather as JSON lines, which survive an interruption; when the last row
is answered they become what the output's ending asks for."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.inference.prediction import FLAGS, Prediction
from unified_vl.inference.rows import Values
from unified_vl.json_text import json_objects
from unified_vl.kinds.registry import KINDS

BATCH = 1000  # rows of Parquet that are written at once
TEXTS = ("key", "language", "prediction", "error")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class AnswerFormat:
    """A kind of output file.

    Attributes:
        write: makes it of the gathered answers (source, target); None where they are it.
        carried: columns of the input, whole numbers, that every row must have and that go
            with its answer.
        errors: whether it has room for the messages of rows without an answer.
    """

    write: Callable[[Path, Path], None] | None = None
    carried: tuple[str, ...] = ()
    errors: bool = True


def answer_format(output: Path, *, raw: bool = False) -> AnswerFormat:
    """The format that a file's ending asks for; `raw` leaves what looks like a formula.

    Raises:
        UserError: with the endings that are known.
    """
    ending = output.suffix.lower()
    if ending not in FORMATS:
        raise UserError(
            "no answers are written into such a file",
            file=output,
            expected=f"a file ending in {', '.join(FORMATS)}",
            nearest=nearest(ending, FORMATS),
        )
    found = FORMATS[ending]
    if raw and found.write is _write_csv:
        return replace(found, write=partial(_write_csv, raw=True))
    return found


def carried_values(row: Values, names: tuple[str, ...]) -> dict[str, int]:
    """What of an input row goes with its answer.

    Raises:
        UserError: when one is missing or no whole number.
    """
    found = {}
    for name in names:
        try:
            found[name] = int(str(row[name]))
        except (KeyError, ValueError) as error:
            what = "is missing" if name not in row else f"found {row[name]!r}"
            raise UserError(what, field=name, expected="a whole number") from error
    return found


def write_errors(gathered: Path, target: Path) -> None:
    """The rows without an answer, as JSON lines."""
    with target.open("w", encoding="utf-8") as file:
        for row in _answers(gathered):
            if row["error"] is not None:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _answers(gathered: Path) -> Iterator[dict[str, Any]]:
    for _, row in json_objects(gathered):
        for name in TEXTS:
            if row.get(name) is not None:  # half of a surrogate pair is no UTF-8
                row[name] = row[name].encode("utf-8", "backslashreplace").decode()
        yield row


def _columns(gathered: Path) -> list[str]:
    """Every key of any answer, in the order of their first use."""
    found = dict.fromkeys(name for row in _answers(gathered) for name in row)
    return list(found or Prediction(None, None, None).as_row())


def _write_csv(gathered: Path, target: Path, *, raw: bool = False) -> None:
    """A line a row; shapes, flags and alternatives are JSON within their cells."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(gathered))
        writer.writeheader()
        for row in _answers(gathered):
            cells = {name: _cell(value) for name, value in row.items()}
            writer.writerow(cells if raw else {n: no_formula(cell) for n, cell in cells.items()})


def _cell(value: Any) -> Any:
    if isinstance(value, list | bool | dict):
        return json.dumps(value, ensure_ascii=False)
    return value


def no_formula(cell: Any) -> Any:
    """A cell that no spreadsheet computes: an apostrophe before a text that begins like a formula
    (OWASP, CSV Injection); numbers stay.

    >>> no_formula("=1+1"), no_formula("-3.5"), no_formula("- a dog"), no_formula("a = b")
    ("'=1+1", '-3.5', "'- a dog", 'a = b')
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULA_STARTS):
        return cell
    return cell if NUMBER.fullmatch(cell) else f"'{cell}"


def without_apostrophe(cell: str) -> str:
    """A cell as it was before `no_formula`.

    >>> without_apostrophe("'=1+1"), without_apostrophe("'s"), without_apostrophe("-3.5")
    ('=1+1', "'s", '-3.5')
    """
    return cell[1:] if cell.startswith("'") and no_formula(cell[1:]) == cell else cell


def _write_parquet(gathered: Path, target: Path) -> None:
    """A column a key; a box is four numbers, a point two, others more."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.float64()
    texts = pa.list_(text)
    lists = {"numbers": pa.list_(pa.list_(number)), "labels": texts, "texts": texts}
    kinds = dict.fromkeys(TEXTS, text) | {"score": number, "images": texts}
    for kind in KINDS.values():
        kinds |= {key: lists[values] for key, values in kind.row_types().items()}
    kinds |= dict.fromkeys(FLAGS, pa.bool_())
    kinds["generate"] = text
    columns = _columns(gathered)
    of_rows = ("key", "language", "error", "source_cut", "generate", "alternatives")
    each = [name for name in columns if name not in of_rows]
    kinds["alternatives"] = pa.list_(pa.struct([(name, kinds[name]) for name in each]))
    schema = pa.schema([(name, kinds[name]) for name in columns])
    with pq.ParquetWriter(target, schema) as writer:
        rows: list[dict[str, Any]] = []
        for row in _answers(gathered):
            if "generate" in row:
                row["generate"] = json.dumps(row["generate"], ensure_ascii=False)
            rows.append(row)
            if len(rows) == BATCH:
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
                rows.clear()
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))


def _write_coco(gathered: Path, target: Path) -> None:
    """COCO's results format (cocodataset.org, Results Format, 1): an object a box.

    Its score is the geometric mean of the tokens' probabilities, 0 to 1. A row without an
    answer has no box here.
    """
    with target.open("w", encoding="utf-8") as file:
        separator = "["
        for row in _answers(gathered):
            for x1, y1, x2, y2 in row["boxes"] or ():
                result = {
                    "image_id": row["image_id"],
                    "category_id": row["category_id"],
                    "bbox": [round(v, 3) for v in (x1, y1, x2 - x1, y2 - y1)],
                    "score": math.exp(row["score"]),
                }
                file.write(f"{separator}\n{json.dumps(result)}")
                separator = ","
        file.write("[]\n" if separator == "[" else "\n]\n")


FORMATS = {
    ".jsonl": AnswerFormat(),
    ".parquet": AnswerFormat(_write_parquet),
    ".csv": AnswerFormat(_write_csv),
    ".json": AnswerFormat(_write_coco, ("image_id", "category_id"), errors=False),
}
