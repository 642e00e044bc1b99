"""Every reader by the name that a spec uses; `specs.readers` lists what each reads and gives."""

from __future__ import annotations

from unified_vl.data.readers import (
    arrow,
    coco,
    flickr30k_entities,
    hub,
    image_lists,
    imagefolder,
    karpathy,
    moses,
    ofa,
    pairs,
    refcoco,
    squad,
    tables,
    text_vqa,
    visual_genome,
    vqa,
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
BENCHMARKS: dict[str, Reader] = {
    "coco_captions": coco.coco_captions,
    "coco_instances": coco.coco_instances,
    "coco_objects": coco.coco_objects,
    "coco_keypoints": coco.coco_keypoints,
    "karpathy": karpathy.karpathy,
    "vqa_v2": vqa.vqa_v2,
    "gqa": vqa.gqa,
    "aokvqa": vqa.aokvqa,
    "aokvqa_direct": vqa.aokvqa_direct,
    "textvqa": text_vqa.textvqa,
    "textcaps": text_vqa.textcaps,
    "st_vqa": text_vqa.st_vqa,
    "docvqa": text_vqa.docvqa,
    "vg_regions": visual_genome.vg_regions,
    "vg_questions": visual_genome.vg_questions,
    "refcoco": refcoco.refcoco,
    "flickr30k_phrases": flickr30k_entities.flickr30k_phrases,
    "flickr30k_sentences": flickr30k_entities.flickr30k_sentences,
}
READERS: dict[str, Reader] = {**FORMATS, **BENCHMARKS}
