"""The rows of `systems.py`: what each idea of published systems changes of the plain model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CAPTION, REGION_CAPTION = "emoji_caption", "region_caption"
PLAIN = "plain"
PAIR = ("en", "de")
SIDE = 64  # pixels


@dataclass(frozen=True)
class Idea:
    """A row of the table.

    Attributes:
        systems: that have it.
        caption: keys of the captioning task in the mixture.
        beside: further tasks of the mixture, a batch each.
        model: keys of the model that differ from the plain one's.
        task: that captions, and is scored.
        own_tokenizer: trained on the texts of its tasks alone.
        languages: that the world has to have.
    """

    systems: str
    caption: Mapping[str, Any] = field(default_factory=dict)
    beside: Sequence[str] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    task: str = CAPTION
    own_tokenizer: bool = False
    languages: Sequence[str] = ()


STEM = {"kind": "stem", "image_size": [SIDE, SIDE], "patch_size": 16, "channels": [32, 64]}
FEATURES = 320  # numbers of EfficientNet-Lite0's last map
IDEAS = {
    PLAIN: Idea("OFA, GIT: captions are written, nothing else is learnt"),
    "contrast": Idea("FILIP, ALBEF: image-text contrast, token by token", {"contrast": 1.0}),
    "queue": Idea(
        "ALBEF, BriVL, MoCo: contrast with a momentum copy and a queue",
        {"contrast": 1.0, "contrast_queue": 1024},
    ),
    "within": Idea(
        "TCL: contrast within a modality, too", {"contrast": 1.0, "contrast_within": 1.0}
    ),
    "negatives": Idea(
        "ALBEF, VLMo: matching with negatives that the contrast draws",
        {"contrast": 1.0, "matching": 1.0},
    ),
    "distilled": Idea(
        "ALBEF: soft targets of a momentum copy, of captions and of the contrast",
        {"contrast": 1.0, "contrast_queue": 1024, "momentum_distillation": 0.4},
    ),
    "adversarial": Idea(
        "VILLA, FreeLB: embeddings changed against the model",
        {"adversarial": {"weight": 1.0, "epsilon": 0.05, "step_size": 0.05, "steps": 1}},
    ),
    "transport": Idea(
        "UNITER, ViLT: words moved to places at least cost", {"contrast": 1.0, "alignment": 0.1}
    ),
    "matching": Idea("ViLBERT, UNITER: image-text matching", beside=("emoji_match",)),
    "masked": Idea("UNITER, FLAVA: masked words beside an image", beside=("masked_caption",)),
    "prefix": Idea("SimVLM: prefix language modelling", beside=("prefix_caption",)),
    "grounding": Idea("VL-T5, OFA: places as tokens, learnt together", beside=("emoji_ground",)),
    "patches": Idea(
        "ViLT: patches without convolutions",
        model={"vision": {"kind": "patches", "image_size": [SIDE, SIDE], "patch_size": 16}},
    ),
    "grid": Idea(
        "Pixel-BERT: the grid of a residual network, from random weights",
        model={
            "vision": {
                "kind": "timm",
                "backbone": "resnet10t",
                "image_size": [SIDE, SIDE],
                "feature_level": -2,
            }
        },
    ),
    "resampler": Idea(
        "Flamingo: eight learnt queries read the image",
        model={"vision": STEM | {"pool": {"kind": "resampler", "tokens": 8, "layers": 1}}},
    ),
    "regions": Idea(
        "VisualBERT, UNITER: features of regions from a frozen network (Lite0, ImageNet)",
        model={"region_features": FEATURES},
        task=REGION_CAPTION,
        own_tokenizer=True,
    ),
    "streams": Idea(
        "ViLBERT, LXMERT: text and images apart, then joined",
        model={"encoder": {"kind": "two_streams"}},
    ),
    "detection": Idea(
        "Pix2Seq: all objects as a list of boxes and names",
        beside=("scene_objects",),
        own_tokenizer=True,
    ),
    "grounded": Idea(
        "Kosmos-2: captions with a box behind each phrase",
        beside=("scene_grounded_caption",),
        own_tokenizer=True,
    ),
    "dialogue": Idea(
        "Visual Dialog: questions that go on with what was said",
        beside=("scene_dialogue",),
        own_tokenizer=True,
    ),
    "ocr": Idea(
        "M4C: words that were read in the source (the names and two others)",
        task="read_caption",
        own_tokenizer=True,
    ),
    "shots": Idea(
        "Frozen, Flamingo: two pictures with their captions in the source",
        task="shots_caption",
        own_tokenizer=True,
    ),
    "switched": Idea(
        "M3P: captions with words of another language",
        beside=("switched_caption",),
        own_tokenizer=True,
        languages=PAIR,
    ),
    "translations": Idea(
        "UC2: masked words of a caption and of its translation",
        beside=("translated_caption",),
        own_tokenizer=True,
        languages=PAIR,
    ),
}
