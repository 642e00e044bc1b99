"""The features of images, of videos and of texts, each alone, that a retrieval compares.

Legend: N images or texts, A videos, F frames of the longest, P places of an image, T tokens,
M width, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from unified_vl.codecs.images import LoadedImage
from unified_vl.data.batching import pad
from unified_vl.decoding.protocol import encode, refuse_no_numbers
from unified_vl.errors import UserError
from unified_vl.inference.inputs import chunks
from unified_vl.inference.retrieval.late_interaction import Features
from unified_vl.kinds.hooks.fits import Pack

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL

BATCH = 128  # images, texts or pairs
CLIPS = 16  # videos

Frames = tuple[LoadedImage, ...]
"""Of a video, in their order."""


@torch.inference_mode()
def image_features(predictor: UnifiedVL, images: Iterable[LoadedImage]) -> Features:
    """What the image branch sees at each place of each image, before the encoder's blocks.

    Args:
        predictor: the model.
        images: at least one.

    Raises:
        UserError: when the model reads no images.
    """
    model = predictor.model
    parts = []
    for batch in chunks(images, BATCH):
        pixels_NHWC = np.stack([predictor.codec.pixels(image) for image in batch])
        pixels_NCHW = torch.from_numpy(np.ascontiguousarray(pixels_NHWC.transpose(0, 3, 1, 2)))
        feature_NPM = model.image_features(pixels_NCHW.to(model.device))
        refuse_no_numbers(feature_NPM)
        features = Features.of(feature_NPM.cpu())  # zero where a packed image has no place
        grids = [predictor.codec.grid(image) for image in batch]
        parts.append(replace(features, grid_A2=None if None in grids else torch.tensor(grids)))
    return Features.joined(parts)


def clip_features(predictor: UnifiedVL, clips: Iterable[Frames]) -> Features:
    """What the image branch sees at each place of each frame: a video is a bag of them all.

    Args:
        predictor: the model.
        clips: at least one, each of at least one frame.

    Raises:
        UserError: when the model packs its images, whose frames differ in places.
    """
    if isinstance(predictor.codec.fit, Pack):
        raise UserError("videos are not searched by a model whose images are packed")
    parts = []
    for batch in chunks(clips, CLIPS):
        of_frames = image_features(predictor, [frame for clip in batch for frame in clip])
        counts = [len(clip) for clip in batch]
        unit_AFPM, norm_AFP = (
            pad_sequence(list(each.split(counts)), batch_first=True)
            for each in (of_frames.unit_ATM, of_frames.norm_AT)
        )
        parts.append(Features(unit_AFPM.flatten(1, 2), norm_AFP.flatten(1, 2)))
    return Features.joined(parts)


@torch.inference_mode()
def text_features(predictor: UnifiedVL, texts: Sequence[str]) -> Features:
    """What the encoder makes of each token of each text alone, in any language.

    No tag of task or language is read and the end token does not count, as in the
    contrastive loss.

    Args:
        predictor: the model.
        texts: at least one; what of a text is beyond the longest source is not read.
    """
    model, codec = predictor.model, predictor.codec
    pad_id, eos_id, most = codec.vocabulary.pad_id, codec.vocabulary.eos_id, codec.max_source
    ids = [[*codec.text.encode_start(text, most)[: most - 1], eos_id] for text in texts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    parts = []
    for batch in chunks(order, BATCH):
        ids_NT, mask_NT = (torch.from_numpy(x) for x in pad([ids[i] for i in batch], pad_id, 1))
        ids_NT = ids_NT.to(model.device)
        hidden_NTM = encode(model, ids_NT, mask_NT.long().to(model.device)).hidden_ASM
        # without the last column, which is the longest text's end token
        words_NT = ((ids_NT != pad_id) & (ids_NT != eos_id))[:, :-1].cpu()
        parts.append(Features.of(hidden_NTM[:, :-1].cpu(), words_NT))
    return Features.joined(parts)[torch.tensor(order).argsort()]
