#!/usr/bin/env bash
# sacrebleu 2.6.0, tokenize="zh": its table of CJK ranges has entries for planes beyond the first
# written with four-digit escapes ("\u20000" is U+2000 and a "0"), so that characters of CJK
# Extension B (Cantonese words, names) are no CJK and stay together, while signs between U+2000
# and U+2A6D in other scripts' words (a dash, the euro, an arrow) are cut off as if they were. Seen:
#   U+4F60 U+597D: cut into 2
#   U+20089 U+2000B (Extension B): cut into 1
#   a-dash-b (U+2014): cut into 3
#   a-euro-b (U+20AC): cut into 3
#   a-arrow-b (U+2192): cut into 3
#   a-degree-b (U+00B0): cut into 1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sacrebleu==2.6.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

cut = TokenizerZh()
for name, text in (
    ("U+4F60 U+597D", "\u4f60\u597d"),
    ("U+20089 U+2000B (Extension B)", "\U00020089\U0002000b"),
    ("a-dash-b (U+2014)", "a\u2014b"),
    ("a-euro-b (U+20AC)", "a\u20acb"),
    ("a-arrow-b (U+2192)", "a\u2192b"),
    ("a-degree-b (U+00B0)", "a\u00b0b"),
):
    print(f"{name}: cut into {len(cut(text).split())}")
PYTHON
diff "$folder/seen" - <<'SEEN'
U+4F60 U+597D: cut into 2
U+20089 U+2000B (Extension B): cut into 1
a-dash-b (U+2014): cut into 3
a-euro-b (U+20AC): cut into 3
a-arrow-b (U+2192): cut into 3
a-degree-b (U+00B0): cut into 1
SEEN
