"""A process that trains shortened runs of the demo, one after the other.

Arguments: the folder of the world, and the names of runs (of `RUNS`). It leaves what a run told in
FOLDER/NAME/events.jsonl. With ranks in its environment it is one of the processes of a job.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.specs.load import load_run
from unified_vl.training.distributed.process import stop_process
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

REPOSITORY = Path(__file__).parents[2]
UPDATES = 50
WORLD = EmojiWorldOptions(
    concepts=28, train_scenes=40, validation_scenes=10, test_scenes=20, seed=5
)
RUNS = {  # the run file, and what differs from it
    "demo": ("emoji_demo", []),
    "pictures": ("emoji_pictures", []),
    "two_ranks": ("emoji_demo", [f"engine={REPOSITORY}/deepspeed_configs/zero2.json"]),
}
SHORT = [
    f"steps={UPDATES}",
    "batch_size=8",
    "log_every=1",
    f"validate_every={UPDATES}",
    "validation_rows=4",
    f"checkpoint_every={UPDATES}",
    "keep_best=false",
]


def main(folder: Path, names: list[str]) -> None:
    first = os.environ.get("RANK", "0") == "0" and not (folder / "data").exists()
    if first:
        write_emoji_world(folder / "data", WORLD)
    for name in names:
        file, own = RUNS[name]
        places = [f"data={folder}/data", f"tokenizer={folder}/{file}", f"output={folder}/{name}"]
        run = load_run(REPOSITORY / f"task_specs/runs/{file}.yaml", [*places, *SHORT, *own])
        specs = run.loaded_mixture.specs
        if not run.tokenizer.exists():
            in_codes = any(field.in_codes for spec in specs for field in spec.fields.values())
            images = REPOSITORY / "tokenizers/image/emoji_world"
            codec = ImageTokenizer.from_pretrained(images) if in_codes else None
            train_tokenizer(texts_of_specs(specs, run.data), specs, run.tokenizer, 1000, codec)
        train(run, progress=False)
        stop_process()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
