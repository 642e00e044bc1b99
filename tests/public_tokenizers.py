"""Tokenizers in the layout that public checkpoints have, learnt from texts in 14 languages."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

TEXTS = {
    "en": "A photo of two dogs that play in the snow, and one isn't black.",
    "de": "Ein Foto von zwei Hunden, die im Schnee spielen; größer als 3,5 m.",
    "fr": "Une photo de deux chiens qui jouent dans la neige près d’une forêt.",
    "es": "¿Dónde están los dos perros que juegan en la nieve?",
    "pt": "Não há cães a brincar na neve, mas há um coração.",
    "tr": "Karda oynayan iki köpeğin fotoğrafı; İstanbul'da çekildi.",
    "ru": "Фотография двух собак, которые играют в снегу; подъезд.",
    "ar": "صورة لكلبين يلعبان في الثلج مع طفلٍ صغير.",
    "fa": "عکسی از دو سگ که در برف بازی می‌کنند.",
    "hi": "बर्फ़ में खेलते हुए दो कुत्तों की तस्वीर।",
    "th": "ภาพถ่ายสุนัขสองตัวเล่นอยู่บนหิมะ",
    "zh": "一张两只狗在雪地里玩耍的照片。",
    "ja": "雪の中で遊ぶ二匹の犬の写真です。カタカナも。",
    "ko": "눈 속에서 놀고 있는 개 두 마리의 사진.",
}
NUMBERS = ["0 1 2 3 4 5 6 7 8 9", "12 34.5 -7 0.25", "3.14 - 1999"]
EXTRA_IDS = 100


def sentence_piece(
    *, byte_fallback: bool = False, normalization: str = "nmt_nfkc", size: int = 900, **options: Any
) -> bytes:
    """A model as T5's: its own normalisation, pad 0, eos 1, unk 2."""
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter([*TEXTS.values(), *NUMBERS] * 4),
        model_writer=buffer,
        vocab_size=size,
        hard_vocab_limit=False,
        model_type=options.pop("model_type", "unigram"),
        byte_fallback=byte_fallback,
        character_coverage=1.0,
        normalization_rule_name=normalization,
        num_threads=1,
        minloglevel=2,
        **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, **options},
    )
    return buffer.getvalue()


def byte_level_bpe(size: int = 700, more: tuple[str, ...] = ()) -> bytes:
    """A `tokenizer.json` as BART's: bos 0, pad 1, eos 2, unk 3, mask last; `more` are added."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*TEXTS.values(), *NUMBERS] * 4, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in more])
    return tokenizer.to_str().encode()


def spaced_pieces(kind: str, size: int = 900) -> bytes:
    """A `tokenizer.json` with spaces as U+2581: `unigram` as XLM-R's, `gemma` as Gemma's BPE."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    texts = [*TEXTS.values(), *NUMBERS] * 4
    if kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return tokenizer.to_str().encode()
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    spoken = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(spoken)
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    learning = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*special, *names], show_progress=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    tokenizer.train_from_iterator(texts, learning)
    tokenizer.pre_tokenizer = None
    values = json.loads(tokenizer.to_str())
    values["added_tokens"] = [t for t in values["added_tokens"] if t["content"] not in names]
    return json.dumps(values, ensure_ascii=False).encode()


def t5_tokenizer(directory: Path, extra_ids: int = EXTRA_IDS, **options: Any) -> bytes:
    """`spiece.model` and its configuration as T5 and mT5 have them; returns the model."""
    content = sentence_piece(**options)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "spiece.model").write_bytes(content)
    _configure(directory, "T5Tokenizer", "<pad>", extra_ids=extra_ids)
    return content


def bart_tokenizer(directory: Path, more: tuple[str, ...] = ()) -> bytes:
    content = byte_level_bpe(more=more)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_bytes(content)
    _configure(directory, "BartTokenizer", "<pad>", bos_token="<s>", mask_token="<mask>")
    return content


def tokenizers_file(directory: Path, content: bytes) -> None:
    """A `tokenizer.json` and nothing else, as `transformers` 5 saves a tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_bytes(content)
    _configure(directory, "XLMRobertaTokenizer", "<pad>")


def byt5_tokenizer(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    _configure(directory, "ByT5Tokenizer", "<pad>", extra_ids=125)


def _configure(directory: Path, kind: str, pad: str, **more: Any) -> None:
    values = {"tokenizer_class": kind, "pad_token": pad, "eos_token": "</s>", "unk_token": "<unk>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(values | more))
