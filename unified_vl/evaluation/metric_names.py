"""Names of metrics and dimensions as people write them."""

from __future__ import annotations

PERCENTAGES = frozenset(
    {"exact_match", "accuracy", "vqa_accuracy", "box_accuracy", "mean_iou", "mask_iou"}
    | {"coco_map", "nearest_reference"}
)
NAMES = {
    "vqa_accuracy": "VQA accuracy",
    "anls": "ANLS",
    "f1": "F1",
    "macro_f1": "macro F1",
    "binary_f1": "F1 of a class",
    "bleu": "BLEU",
    "chrf": "chrF",
    "ter": "TER",
    "cider": "CIDEr-D",
    "rouge_l": "ROUGE-L",
    **{f"coco_bleu_{order}": f"BLEU-{order}" for order in range(1, 5)},
    "mean_iou": "mean IoU",
    "mask_iou": "mask IoU",
    "psnr": "PSNR in dB",
    "ssim": "SSIM",
    "coco_map": "COCO mAP",
    "easy_vqa": "easy-VQA",
}


def pretty(name: str) -> str:
    """`box_accuracy` as people write it, `exact_match:emoji_caption@5` with what is behind it."""
    metric, field, number = parts_of(name)
    said = NAMES.get(metric, metric.replace("_", " "))
    said += f" ({field.replace('_', ' ')})" if field else ""
    return f"{said} @{number}" if number else said


def is_percentage(label: str) -> bool:
    """Whether a score is a share of a hundred, by its label."""
    return parts_of(label)[0] in PERCENTAGES


def parts_of(label: str) -> tuple[str, str, str]:
    """The metric of a score's label, and the field or task and the number where it has them."""
    label, _, number = label.partition("@")
    metric, _, field = label.partition(":")
    return metric, field, number
