#!/usr/bin/env bash
# torch 2.13.0 (CPU): the gradient of a bf16 embedding is summed in bf16, one occurrence after the
# other. Ones stop adding up at 256, where the distance of two bf16 numbers is 2: a row that a
# batch looks up 100,000 times gets 256 instead of 100,000. A relative position bias has a
# handful of rows that are looked up queries x keys times. A product with one-hot rows, and the
# same lookup in float32, are right. Seen:
#   1000 lookups: embedding 256, one-hot product 1000, float32 embedding 1000
#   100000 lookups: embedding 256, one-hot product 99840, float32 embedding 100000
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import torch
from torch.nn import functional as F


def gradient(dtype, count, look_up):
    weight = torch.zeros(4, 1, dtype=dtype, requires_grad=True)
    ids = torch.ones(count, dtype=torch.long)
    look_up(ids, weight).backward(torch.ones(count, 1, dtype=dtype))
    return weight.grad[1].item()


def one_hot(ids, weight):
    return F.one_hot(ids, len(weight)).to(weight.dtype) @ weight


for count in (1000, 100_000):
    print(
        f"{count} lookups: embedding {gradient(torch.bfloat16, count, F.embedding):g}, "
        f"one-hot product {gradient(torch.bfloat16, count, one_hot):g}, "
        f"float32 embedding {gradient(torch.float32, count, F.embedding):g}"
    )
PYTHON
diff "$folder/seen" - <<'SEEN'
1000 lookups: embedding 256, one-hot product 1000, float32 embedding 1000
100000 lookups: embedding 256, one-hot product 99840, float32 embedding 100000
SEEN
