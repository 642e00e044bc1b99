#!/usr/bin/env bash
# sentencepiece 0.2.3: a training sentence that holds U+2585 (LOWER FIVE EIGHTHS BLOCK, as in bar
# charts of text) anywhere is left out whole, without an error; a line at log level INFO says so,
# which minloglevel=1 hides. U+2581, which stands for a space, does no harm. The trainer keeps
# U+2585 for its unknown piece. Seen:
#   plain text: x is learnt
#   with U+2581: x is learnt
#   with U+2585: x is not learnt
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sentencepiece==0.2.3
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import io

import sentencepiece

for name, mark in (("plain text", ""), ("with U+2581", "\u2581"), ("with U+2585", "\u2585")):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(["ab ba aab"] * 20 + [f"xyx xx {mark}"] * 20),
        model_writer=model, vocab_size=400, hard_vocab_limit=False, model_type="unigram",
        byte_fallback=True, character_coverage=1.0, minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    learnt = processor.PieceToId("x") != processor.unk_id()
    print(f"{name}: x is {'learnt' if learnt else 'not learnt'}")
PYTHON
diff "$folder/seen" - <<'SEEN'
plain text: x is learnt
with U+2581: x is learnt
with U+2585: x is not learnt
SEEN
