"""A model whose weights are a formula of their names, so that no seed of an initialiser counts.

Its answers mean nothing, but they depend on every part: the weights are large enough for the
source to matter, and the end is likely enough for answers to end.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from unified_vl.codecs.image_codes import CodeImages
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import EOS_ID, IMAGE_TAG, Vocabulary, standard_tags
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.inference.saved_models.model_directory import SavedModel
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.image_tokenizer import ConvolutionSpec, QuantizerSpec
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.example import IMAGE_MASK_TAG

LANGUAGES = ("en", "de", "fa", "zh")
SIDE, GRID = 8, (2, 2)  # pixels and codes of a picture
SENTENCES = (
    "a red cat and a dog",
    "eine rote Katze und ein Hund",
    "گربه قرمز و سگ",
    "红猫和狗",
    "yes no 0 1 2 3 4 5 6 7 8 9 . -",
)


def small_model(specs: Sequence[TaskSpec], folder: Path) -> SavedModel:
    """A model of the tasks; its tokenizer is trained in `folder`."""
    text = train_text_tokenizer(SENTENCES * 4, folder / "text.model", 350)
    of_noise = [tag for spec in specs for tag in spec.example.tags]
    tags = standard_tags(LANGUAGES, [s.task for s in specs], (), [*of_noise, IMAGE_MASK_TAG])
    shape = ConvolutionSpec(channels=(8, 16), patch=2, blocks=1, groups=4, latent=4)
    images = ImageTokenizer(shape, QuantizerSpec(kind="fsq", levels=(4, 3, 3, 3))).eval()
    _fill(images)
    vocabulary = Vocabulary(len(text), tags, 50, images.codes, images.fingerprint)
    config = UnifiedVLConfig(
        vocab_size=vocabulary.size,
        d_model=48,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=6,
        image_token_id=vocabulary.tag_id(IMAGE_TAG),
        code_token_ids=[vocabulary.image_codes.start, vocabulary.image_codes.stop],
        code_mask_id=vocabulary.tag_id(IMAGE_MASK_TAG),
        code_downsampling=images.downsampling,
        code_image_size=[SIDE, SIDE],
        vision={"kind": "patches", "image_size": [16, 16], "patch_size": 8},
    )
    model = UnifiedVLForConditionalGeneration(config).eval()
    _fill(model)
    with torch.no_grad():
        head = model.get_output_embeddings().weight
        head[EOS_ID] *= 2.0
        head[list(text.byte_ids)] *= 0.4  # or most answers were bytes that are no text
    codec = SequenceCodec(
        vocabulary,
        text,
        image_tokens=config.image_tokens,
        image_size=config.image_size,
        max_source=48,
        max_target=24,
        code_images=CodeImages(images, GRID),
    )
    return SavedModel(model, codec, {spec.task: spec for spec in specs}, {"steps": 0})


@torch.no_grad()
def _fill(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        random = np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode())))
        drawn = torch.from_numpy(random.standard_normal(tuple(parameter.shape), dtype=np.float32))
        if parameter.ndim < 2:  # of norms, and biases of convolutions
            parameter.copy_(0.1 * drawn + (0.0 if name.endswith("bias") else 1.0))
            continue
        is_table = name.endswith(("embedding.weight", "bias.weight", "shared.weight"))
        size = 1.0 if is_table else 1.5 * float(np.prod(parameter.shape[1:])) ** -0.5
        parameter.copy_(drawn * size)
