"""Memory of starting from a model: `python benchmarks/start_from.py`.

A model of 1 GiB with random weights is written into a temporary folder. A process then starts a
model from it, as a training does before its engine, another one only imports the same code, one
only what that cannot do without (torch, and the class of transformers that a model is a kind of),
and the highest resident memory of each is what the kernel says (`VmHWM`, mapped pages of files
included). Beside it transformers loads the same folder with `from_pretrained`. `--megabytes N`
takes a smaller model, for a look.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from record import machine, record

COMMAND = "python benchmarks/start_from.py"
SPEC = """
task: words
version: 1
about: Say it in another language.
data: {reader: csv, path: words.csv, splits: {train: all}, languages: [en]}
fields: {english: {kind: text, column: english}, german: {kind: text, column: german}}
example: {source: "{task} {english}", target: "{german}"}
score: [{metric: chrf, against: german, primary: true}]
"""
SIDES = {
    "libraries": "torch and transformers' PreTrainedModel alone",
    "nothing": "imports alone",
    "ours": "start_from",
    "theirs": "transformers' from_pretrained",
}


def write_model(folder: Path, megabytes: int) -> int:
    """A saved model of about so many MiB in float32; returns its weights' bytes."""
    from unified_vl.codecs.sequence import SequenceCodec
    from unified_vl.codecs.texts.training import train_text_tokenizer
    from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
    from unified_vl.inference.saved_models.model_directory import save_model
    from unified_vl.model.configuration import UnifiedVLConfig
    from unified_vl.model.unified import UnifiedVLForConditionalGeneration
    from unified_vl.specs.load import load_task

    text = train_text_tokenizer(["red rot", "green grün"] * 9, folder / "text.model", 300)
    vocabulary = Vocabulary(len(text), standard_tags(["en"], ["words"]))
    (folder / "words.yaml").write_text(SPEC)
    width = 512
    per_layer = 2 * (4 + 3 * 2) * width * width + 4 * width * width  # encoder and decoder block
    layers = max(1, round(megabytes * 2**20 / 4 / per_layer))
    config = UnifiedVLConfig(
        vocab_size=vocabulary.size,
        d_model=width,
        d_ff=2 * width,
        num_layers=layers,
        num_heads=8,
        image_token_id=vocabulary.tag_id("image"),
        location_token_ids=[vocabulary.locations.start, vocabulary.locations.stop],
    )
    model = UnifiedVLForConditionalGeneration(config)
    codec = SequenceCodec(
        vocabulary, text, image_tokens=config.image_tokens, image_size=config.image_size
    )
    save_model(folder / "model", model, codec, [load_task(folder / "words.yaml")])
    return (folder / "model" / "model.safetensors").stat().st_size


def highest_memory() -> int:
    """The highest resident memory of this process so far, in bytes.

    Not `ru_maxrss`, in which a process begins with the memory of the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) * 1024


def start(side: str, folder: Path) -> None:
    """What one process does; says its highest resident memory in bytes."""
    if side == "libraries":
        from transformers import PreTrainedModel  # noqa: F401  # what our model is a kind of

        print(highest_memory())
        return
    from unified_vl.codecs.row_names import row_names
    from unified_vl.codecs.sequence import load_tokenizer
    from unified_vl.model.pretrained.opening import open_pretrained
    from unified_vl.model.pretrained.starting import start_from
    from unified_vl.model.saved_configuration import load_configuration
    from unified_vl.model.unified import UnifiedVLForConditionalGeneration

    names = row_names(*load_tokenizer(folder / "model" / "tokenizer"))
    config = load_configuration(folder / "model" / "config.json")
    if side == "ours":
        pretrained = open_pretrained(folder / "model")
        model, _ = start_from(pretrained, config, names, 0)
        assert all(bool(weight.isfinite().all()) for weight in model.parameters())
    elif side == "theirs":
        model = UnifiedVLForConditionalGeneration.from_pretrained(folder / "model")
        assert all(bool(weight.isfinite().all()) for weight in model.parameters())
    print(highest_memory())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--side", choices=list(SIDES))
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.side:
        start(given.side, given.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_model(folder, given.megabytes)
        peaks = {}
        for side in SIDES:
            command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
            told = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks[side] = int(told.stdout.split()[-1])
    table, rows = "", []
    for side, what in SIDES.items():
        above = (peaks[side] - peaks["nothing"]) / size
        whole = peaks[side] / size
        table += f"| {what} | {peaks[side] / 2**20:,.0f} | {above:.2f} | {whole:.2f} |\n"
        rows.append({"command": COMMAND, "name": f"peak memory, {what}", "ratio": round(above, 3)})
    section = f"""# Memory of starting from a model

`{COMMAND}` on {machine()}: a saved model of {size / 2**20:,.0f} MiB (float32), one
process each. The last column counts Python and torch with it.

| what | highest resident memory, MiB | above imports, times the weights | all, times the weights |
| --- | --- | --- | --- |
{table}"""
    print(section)
    if given.megabytes == 1024:
        record(section, rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
