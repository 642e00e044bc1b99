"""Models of other families, small and drawn at random, in the layout that they are published in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = [
    "<pad>",
    "<s>",
    "</s>",
    "<image>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
TEXTS = ["yes no true false", "a red cat and a dog", "Answer in German. Give the answer alone."]
CHAT = (
    "{% for m in messages %}<s>{{ m.role }}: {% if m.content is string %}{{ m.content }}"
    "{% else %}{% for c in m.content %}{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}{% endif %}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:\n{% endif %}"
)
SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def tokenizer(**options: Any) -> Any:
    """A byte-level BPE of a few texts."""
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(TEXTS * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", bos_token="<s>", eos_token="</s>", **options
    )


def save_llava(folder: Path) -> None:
    """A causal model behind CLIP's encoder, with a chat template."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    text = tokenizer(extra_special_tokens={"image_token": "<image>"})
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**SMALL, image_size=32, patch_size=8).to_dict(),
        text_config=LlamaConfig(**SMALL, **IDS, vocab_size=len(text)).to_dict(),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        image_processor=images,
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "<image>"),
    ).save_pretrained(folder)


def save_qwen2_vl(folder: Path) -> None:
    """A causal model of images at their own ratio of sides."""
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    text = tokenizer()
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    vision = {"depth": 2, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 8}
    torch.manual_seed(0)
    config = Qwen2VLConfig(
        text_config=SMALL
        | IDS
        | {"num_key_value_heads": 2, "vocab_size": len(text), "rope_parameters": rope},
        vision_config=vision | {"mlp_ratio": 2},
        image_token_id=text.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=text.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=text.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=text.convert_tokens_to_ids("<|vision_end|>"),
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=8, size=size),
        tokenizer=text,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    ).save_pretrained(folder)


def save_t5(folder: Path) -> None:
    """An encoder and a decoder, of texts."""
    from transformers import T5Config, T5ForConditionalGeneration

    text = tokenizer()
    torch.manual_seed(0)
    config = T5Config(
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        vocab_size=len(text),
        pad_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    text.save_pretrained(folder)


def save_llama(folder: Path, *, chat: bool = True) -> None:
    """A causal model of texts."""
    from transformers import LlamaConfig, LlamaForCausalLM

    text = tokenizer()
    if chat:
        text.chat_template = CHAT
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SMALL, **IDS, vocab_size=len(text))).save_pretrained(folder)
    text.save_pretrained(folder)


def save_florence2(folder: Path) -> None:
    """An encoder and a decoder of images and texts, without a chat template."""
    from transformers import (
        BartConfig,
        CLIPImageProcessor,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
        Florence2VisionConfig,
    )

    text = tokenizer(extra_special_tokens={"image_token": "<image>"})
    heads = {"num_heads": (2, 2, 2, 2), "num_groups": (2, 2, 2, 2), "patch_size": (7, 3, 3, 3)}
    vision = Florence2VisionConfig(
        depths=(1, 1, 1, 1), embed_dim=(8, 8, 16, 16), projection_dim=16, **heads
    )
    layers = {"encoder_layers": 1, "decoder_layers": 1}
    layers |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    bart = BartConfig(
        d_model=16,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        vocab_size=len(text),
        decoder_start_token_id=2,
        forced_eos_token_id=None,
        **layers,
        **IDS,
    )
    torch.manual_seed(0)
    config = Florence2Config(
        vision_config=vision.to_dict(),
        text_config=bart.to_dict(),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    images.image_seq_length = 5
    processor = Florence2Processor(images, text, num_additional_image_tokens=0)
    processor.save_pretrained(folder)


def save_paligemma(folder: Path) -> None:
    """A causal model that reads all of its prompt in both directions, without a chat template."""
    from transformers import (
        GemmaConfig,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessor,
        SiglipVisionConfig,
    )

    text = tokenizer(extra_special_tokens={"image_token": "<image>"})
    vision = SiglipVisionConfig(**SMALL, image_size=32, patch_size=8, projection_dim=16)
    heads = {"num_key_value_heads": 2, "head_dim": 8}
    gemma = GemmaConfig(**SMALL, **IDS, **heads, vocab_size=len(text) + 2000)
    torch.manual_seed(0)
    config = PaliGemmaConfig(
        vision_config=vision.to_dict(),
        text_config=gemma.to_dict(),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        projection_dim=16,
        hidden_size=16,
    )
    PaliGemmaForConditionalGeneration(config).save_pretrained(folder)
    images = SiglipImageProcessor(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    PaliGemmaProcessor(images, text).save_pretrained(folder)
