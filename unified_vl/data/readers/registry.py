"""Every reader by the name that a spec uses; `specs.readers` lists what each reads and gives."""

from __future__ import annotations

from unified_vl.data.readers import (
    arrow,
    coco,
    grit,
    hub,
    image_lists,
    imagefolder,
    moses,
    ofa,
    pairs,
    squad,
    tables,
    webdataset,
)
from unified_vl.data.readers.reader import Reader

FORMATS: dict[str, Reader] = {
    "parquet": tables.read_parquet,
    "jsonl": tables.read_jsonl,
    "csv": tables.read_csv,
    "tsv": tables.read_tsv,
    "ofa_tsv": ofa.read_ofa_tsv,
    "arrow": arrow.read_arrow,
    "hub": hub.read_hub,
    "webdataset": webdataset.read_webdataset,
    "imagefolder": imagefolder.read_imagefolder,
    "moses": moses.read_moses,
    "iwslt": moses.read_iwslt,
    "tmx": pairs.read_tmx,
    "tatoeba": pairs.read_tatoeba,
    "cc3m": image_lists.read_cc3m,
    "cc12m": image_lists.read_cc12m,
    "sbu": image_lists.read_sbu,
    "squad": squad.squad,
}
READERS: dict[str, Reader] = {
    **FORMATS,
    "coco_captions": coco.coco_captions,
    "grit": grit.grit,
}
