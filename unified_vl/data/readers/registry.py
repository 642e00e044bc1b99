"""Every reader by the name that a spec uses; `specs.readers` lists what each reads and gives."""

from __future__ import annotations

from unified_vl.data.readers import coco, tables
from unified_vl.data.readers.reader import Reader

READERS: dict[str, Reader] = {
    "parquet": tables.read_parquet,
    "csv": tables.read_csv,
    "jsonl": tables.read_jsonl,
    "coco_captions": coco.coco_captions,
}
