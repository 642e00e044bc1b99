#!/usr/bin/env bash
# DeepSpeed 0.19.8: with dynamic loss scaling the scale of the next step is set before this step's
# gradients are divided by it. Whenever the scale doubles, that update is half as large as it
# should be at ZeRO 1 to 3. At stage 0 the loss is not multiplied by the scale at all, and the
# gradients are divided by it: the learning rate is that much smaller. The code is the same for all
# devices; here DeepSpeed is told that the CPU trains in fp16, so that no GPU is needed. The gradient
# is 1 at every step, the scale begins at 16 and doubles after 2 steps; seen are the updates of
# plain SGD in units of its learning rate:
#   stage 0: 0.0625 0.0625 0.03125 0.03125 0.015625 0.015625
#   stage 1: 1 1 0.5 1 0.5 1
#   stage 2: 1 1 0.5 1 0.5 1
#   stage 3: 1 1 0.5 1 0.5 1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 deepspeed==0.19.8 setuptools==80.9.0
cat > "$folder/steps.py" <<'PYTHON'
import deepspeed
import torch
from deepspeed.accelerator import get_accelerator
from deepspeed.utils import safe_get_full_fp32_param

type(get_accelerator()).is_fp16_supported = lambda self: True
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # nothing is compiled
deepspeed.init_distributed(dist_backend="gloo", verbose=False)
RATE = 2**-6
for stage in range(4):
    model = torch.nn.Linear(1, 1, bias=False)
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=RATE),
        config={
            "train_batch_size": 1,
            "gradient_clipping": 0.0,
            "zero_allow_untested_optimizer": True,
            "zero_optimization": {"stage": stage},
            "fp16": {"enabled": True, "initial_scale_power": 4, "loss_scale_window": 2},
        },
    )

    def master():
        if stage == 0:
            return engine.optimizer.fp32_groups[0][0].item()
        return safe_get_full_fp32_param(next(model.parameters())).item()

    seen = []
    for _ in range(6):
        before = master()
        engine.backward(engine(torch.ones(1, 1, dtype=torch.half)).sum())
        engine.step()
        seen.append((before - master()) / RATE)
    print(f"stage {stage}: " + " ".join(f"{round(update, 6):g}" for update in seen))
PYTHON
export DS_ACCELERATOR=cpu RANK=0 WORLD_SIZE=1 LOCAL_RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=0
"$folder/venv/bin/python" "$folder/steps.py" 2>/dev/null | grep '^stage' | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
stage 0: 0.0625 0.0625 0.03125 0.03125 0.015625 0.015625
stage 1: 1 1 0.5 1 0.5 1
stage 2: 1 1 0.5 1 0.5 1
stage 3: 1 1 0.5 1 0.5 1
SEEN
