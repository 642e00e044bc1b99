"""The text part of a saved model as CTranslate2 has it, by its own converter from a T5.

model.bin, config.json, shared_vocabulary.json    what ctranslate2.Translator opens
tokenizer/                                        the text tokenizer and vocabulary.json
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from unified_vl.errors import UserError
from unified_vl.extras import require
from unified_vl.files import new_directory
from unified_vl.inference.saved_models.as_t5 import WrittenT5, write_t5
from unified_vl.inference.saved_models.model_directory import SavedModel

TOKENIZER = "tokenizer"
VOCABULARY = "shared_vocabulary.json"


def write_ctranslate2(saved: SavedModel, directory: Path, *, int8: bool = False) -> WrittenT5:
    """Write a directory that `ctranslate2.Translator` opens; a token is a piece of
    `shared_vocabulary.json`, whose place in it is its id.

    Args:
        saved: of `load_model`.
        directory: to write, whole or not at all; one that is there is replaced.
        int8: weights in int8.

    Raises:
        UserError: for a model that is none of T5's kin, a tokenizer that the converter does not
            read, or without the package.
    """
    require("ctranslate2")
    from ctranslate2.converters import TransformersConverter

    with tempfile.TemporaryDirectory() as folder, new_directory(directory) as partial:
        t5 = Path(folder) / "t5"
        written = write_t5(saved, t5)
        converter = TransformersConverter(str(t5))
        try:
            # its own folder, which it replaces
            converter.convert(str(partial), quantization="int8" if int8 else None, force=True)
        except (ValueError, RuntimeError, KeyError) as error:
            said = str(error).strip().splitlines()[0]
            raise UserError(f"CTranslate2 does not take the model: {said}", field="--to") from error
        pieces = json.loads((partial / VOCABULARY).read_text(encoding="utf-8"))
        if len(set(pieces)) != saved.codec.vocabulary.size:
            raise UserError(
                f"{len(set(pieces))} tokens of CTranslate2 are not the "
                f"{saved.codec.vocabulary.size} ids of the model",
                field="--to",
            )
        saved.codec.save(partial / TOKENIZER, images=False)
    notes = ["CTranslate2 adds no end: write the end's piece behind a source"]
    return WrittenT5(written.left_out, notes)
