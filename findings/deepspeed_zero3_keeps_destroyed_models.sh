#!/usr/bin/env bash
# DeepSpeed 0.19.8, on CPUs: once a model has been trained, deleting model, optimiser and engine frees
# it at stage 0 alone. Hooks on its weights hold the engine where Python's collector does not look.
# `engine.destroy()` takes them away and frees the model at stages 1 and 2, but not at stage 3, where
# it stays in a list of running modules of `parameter_offload` and in a cache of
# `partitioned_param_coordinator`, whose keys are modules. So trainings in one process add up.
#   stage 0: deleted: gone; destroyed and deleted: gone
#   stage 1: deleted: kept; destroyed and deleted: gone
#   stage 2: deleted: kept; destroyed and deleted: gone
#   stage 3: deleted: kept; destroyed and deleted: kept
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 deepspeed==0.19.8 setuptools==80.9.0
cat > "$folder/keep.py" <<'PYTHON'
import gc
import weakref

import deepspeed
import torch

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # nothing is compiled
deepspeed.init_distributed(dist_backend="gloo", verbose=False)


def trained(stage, destroy):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=0.01),
        config={
            "train_batch_size": 1,
            "zero_allow_untested_optimizer": True,
            "zero_optimization": {"stage": stage},
        },
    )
    for _ in range(2):
        engine.backward(engine(torch.ones(1, 4)).sum())
        engine.step()
    if destroy:
        engine.destroy()
    return weakref.ref(model)


for stage in range(4):
    seen = []
    for destroy in (False, True):
        model = trained(stage, destroy)
        gc.collect()
        seen.append("gone" if model() is None else "kept")
    print(f"stage {stage}: deleted: {seen[0]}; destroyed and deleted: {seen[1]}")
PYTHON
export DS_ACCELERATOR=cpu RANK=0 WORLD_SIZE=1 LOCAL_RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=0
"$folder/venv/bin/python" "$folder/keep.py" 2>/dev/null | grep '^stage' | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
stage 0: deleted: gone; destroyed and deleted: gone
stage 1: deleted: kept; destroyed and deleted: gone
stage 2: deleted: kept; destroyed and deleted: gone
stage 3: deleted: kept; destroyed and deleted: kept
SEEN
