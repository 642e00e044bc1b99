"""What rows of `systems.py` read: a small Emoji World, specs and tokenizers of their tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from efficientnet_lite0 import BACKBONE, write_weights
from pyarrow import Table, array, compute, parquet
from ruamel.yaml import YAML
from systems_ideas import CAPTION, IDEAS, PAIR, REGION_CAPTION, Idea

from unified_vl.authoring.region_features import make_regions, region_backbone
from unified_vl.data.regions.writing import write_regions
from unified_vl.files import write_atomically
from unified_vl.specs.load import load_task
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.worlds.emoji import EmojiWorldOptions, choose_world, draw_scenes, write_emoji_world
from unified_vl.worlds.emoji_names import join_names
from unified_vl.worlds.emoji_scenes import Split
from unified_vl.worlds.emoji_tasks import SEEN, Concept

ROOT = Path(__file__).parents[1]
TASKS = (CAPTION, "emoji_match", "emoji_ground")
CONCEPTS = 28
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
GRID = (4, 4)  # regions of a picture
READ_CAPTION = {"source": "{task} {language} {image} {caption}"}
DERIVED: dict[str, dict[str, Any]] = {  # of the captions, with the tokenizer of all
    "masked_caption": READ_CAPTION | {"noise": {"caption": {"kind": "masking", "rate": 0.5}}},
    "prefix_caption": READ_CAPTION | {"noise": {"caption": {"kind": "prefix_lm"}}},
}
DICTIONARY = "names.tsv"
IMAGE = {"kind": "image", "column": "image"}
BOXES = {"kind": "box", "column": "boxes", "many": True, "layout": "xyxy", "units": "pixels"}
SPANS = {"kind": "span_corruption", "rate": 0.3, "mean_span": 1.5}


def _text(column: str, *, many: bool = False) -> dict[str, Any]:
    return {"kind": "text", "column": column} | ({"many": True} if many else {})


SCENE_TASKS: dict[str, dict[str, Any]] = {  # of the rows of `scene_rows`
    "scene_objects": {
        "fields": {
            "image": IMAGE,
            "names": _text("names", many=True),
            "objects": BOXES | {"labels": "names"},
        },
        "example": {"source": "{task} {language} {image}", "target": "{objects}"},
        "generate": {"method": "greedy", "allow": "labelled_boxes", "max_tokens": 48},
        "score": [{"metric": "mean_iou", "against": "objects", "primary": True}],
    },
    "scene_grounded_caption": {
        "fields": {"image": IMAGE, "pieces": _text("pieces", many=True), "boxes": BOXES},
        "example": {
            "source": "{task} {language} {image}",
            "target": "{grounded}",
            "join": {"grounded": {"each": "{pieces} {boxes}"}},
        },
        "generate": {"method": "greedy", "allow": "mixed", "max_tokens": 48},
        "score": [{"metric": "mean_iou", "against": "boxes", "primary": True}],
    },
    "scene_dialogue": {
        "fields": {
            "image": IMAGE,
            "before": _text("before", many=True),
            "questions": _text("questions", many=True),
            "answer": _text("answer"),
        },
        "example": {
            "source": "{task} {language} {image} {dialogue}",
            "target": "{answer}",
            "join": {"dialogue": {"each": "{before}\nQ: {questions}\nA:", "between": " "}},
        },
        "score": [{"metric": "exact_match", "against": "answer", "primary": True}],
    },
    "read_caption": {
        "fields": {"image": IMAGE, "read": _text("read"), "caption": _text("caption")},
        "example": {"source": "{task} {language} {image} {read}", "target": "{caption}"},
    },
    "shots_caption": {
        "fields": {"image": IMAGE, "caption": _text("caption")},
        "example": {
            "source": "{task} {language} {shots} {image}",
            "target": "{caption}",
            "shots": {"count": 2, "each": "{image} {caption}", "between": "\n"},
        },
    },
    "switched_caption": {
        "fields": {"image": IMAGE, "caption": _text("caption")},
        "example": READ_CAPTION
        | {
            "target": "{caption}",
            "noise": {
                "caption": {
                    "kind": "code_switch",
                    "rate": 0.5,
                    "dictionary": {"file": DICTIONARY},
                }
            },
        },
    },
    "translated_caption": {
        "fields": {
            "image": IMAGE,
            "caption": _text("caption"),
            "translation": _text("translation"),
        },
        "example": {
            "source": "{task} {image} {language} {caption} {translation}",
            "target": "{caption} {translation}",
            "noise": {"caption": SPANS, "translation": SPANS},
        },
    },
}


def prepare(
    output: Path, names: Sequence[str], options: EmojiWorldOptions, tags: Sequence[str]
) -> None:
    """What the rows read, unless it is there.

    Args:
        output: folder of data, specs and tokenizers.
        names: of the rows.
        options: of the world.
        tags: its languages.
    """
    data, pieces = output / "data", 280 + 120 * len(tags)
    specs = write_specs(output / "specs")
    if not (output / "tokenizer" / "vocabulary.json").exists():
        write_emoji_world(data, options)
        keep_languages(data, tags)
        write_scene_rows(data, options, tags)
        shared = [load_task(specs[task]) for task in (*TASKS, *DERIVED)]
        train_tokenizer(texts_of_specs(shared, data), shared, output / "tokenizer", pieces)
    for name in names:
        folder = tokenizer_of(name, output)
        if (folder / "vocabulary.json").exists():
            continue
        if IDEAS[name].task == REGION_CAPTION:
            write_region_rows(data, output / "weights")
        own = [load_task(specs[task]) for task in tasks_of(IDEAS[name])]
        train_tokenizer(texts_of_specs(own, data), own, folder, pieces)


def tokenizer_of(name: str, output: Path) -> Path:
    """Where the tokenizer of a row is."""
    return output / "tokenizers" / name if IDEAS[name].own_tokenizer else output / "tokenizer"


def tasks_of(idea: Idea) -> tuple[str, ...]:
    """All tasks of a row, first the one that is scored."""
    return (idea.task, *idea.beside)


def keep_languages(data: Path, tags: Sequence[str]) -> None:
    """Leave out the rows in all other languages."""
    for path in (file for task in TASKS for file in (data / task).glob("*.parquet")):
        table = parquet.read_table(path)
        kept = compute.is_in(table["language"], value_set=array(list(tags)))
        parquet.write_table(table.filter(kept), path)


def write_scene_rows(data: Path, options: EmojiWorldOptions, tags: Sequence[str]) -> None:
    """The rows of the tasks that are told more of a scene than its caption."""
    concepts, arts = choose_world(options)
    for split in SPLITS:
        scenes = list(draw_scenes(options, split, arts))
        captions = parquet.read_table(data / CAPTION / f"{split}.parquet").to_pylist()
        told = []
        for row in captions:
            scene = scenes[int(Path(row["image"]).stem)]
            chosen = [concepts[at] for at in scene.concepts]
            told.append(row | scene_columns(row, chosen, concepts, scene.boxes, tags))
        rows: dict[str, list[dict[str, Any]]] = dict.fromkeys(SCENE_TASKS, told)
        rows["scene_dialogue"] = [turn for row in told for turn in turns(row)]
        rows["translated_caption"] = [row for row in told if row["translation"]]
        for task, of_task in rows.items():
            (data / task).mkdir(exist_ok=True)
            parquet.write_table(Table.from_pylist(of_task), data / task / f"{split}.parquet")


def scene_columns(
    row: dict[str, Any],
    chosen: Sequence[Concept],
    concepts: Sequence[Concept],
    boxes: Sequence[Sequence[int]],
    tags: Sequence[str],
) -> dict[str, Any]:
    """What is told of a scene beside its caption, in the caption's language.

    Args:
        row: of the caption.
        chosen: the emoji of the scene, left to right.
        concepts: all of them.
        boxes: of the chosen ones.
        tags: the world's languages; a translation is into the next one that may name the scene.
    """
    language, caption, random = row["language"], row["caption"], Random(row["key"])
    names = [one.names[language] for one in chosen]
    ends: list[int] = []
    for name in names:
        ends.append(caption.index(name, ends[-1] if ends else 0) + len(name))
    others = [one for one in concepts if one not in chosen and one.cell(language) == SEEN]
    read = [*names, *(one.names[language] for one in random.sample(others, 2))]
    random.shuffle(read)
    into = [tag for tag in tags if tag != language and all(one.cell(tag) == SEEN for one in chosen)]
    translation = join_names([one.names[into[0]] for one in chosen], into[0]) if into else ""
    return {
        "names": names,
        "boxes": [list(box) for box in boxes],
        "pieces": [caption[a:b].strip() for a, b in zip([0, *ends[:-1]], ends, strict=True)],
        "read": " ".join(read),
        "translation": translation,
    }


def turns(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each question of a dialogue about a scene; what comes "next" is told by the turns
    before."""
    answers = [str(len(row["names"])), *row["names"]]
    questions = ["How many?", "What is first?", *["What is next?"] * (len(row["names"]) - 1)]
    for number, answer in enumerate(answers):
        yield {name: row[name] for name in ("image", "language", "cell")} | {
            "key": f"{row['key']}-{number}",
            "before": ["Emoji from left to right.", *answers[:number]],
            "questions": questions[: number + 1],
            "answer": answer,
        }


def write_region_rows(data: Path, weights: Path) -> None:
    """Features of a grid of regions of each picture, and rows that name them."""
    file = write_weights(weights) / "model.safetensors"
    backbone = region_backbone(BACKBONE, str(file), 224, -1)
    for split in SPLITS:
        regions = make_regions(backbone, data / "scenes" / split, GRID, torch.device("cpu"))
        write_regions(data / REGION_CAPTION / split, regions)
        rows = parquet.read_table(data / CAPTION / f"{split}.parquet")
        names = [f"{REGION_CAPTION}/{split}/{Path(p).stem}.npz" for p in rows["image"].to_pylist()]
        rows = rows.append_column("regions", array(names))
        parquet.write_table(rows, data / REGION_CAPTION / f"{split}.parquet")


def write_specs(folder: Path) -> dict[str, Path]:
    """The specs of all rows' tasks, by task."""
    found = {task: ROOT / f"task_specs/emoji/{task}.yaml" for task in TASKS}
    captions = found[CAPTION]
    for task, example in DERIVED.items():
        included = os.path.relpath(captions, folder)
        found[task] = folder / f"{task}.yaml"
        write_yaml(found[task], {"include": included, "task": task, "example": example})
    most = GRID[0] * GRID[1]
    regions = {"image": {"kind": "regions", "column": "regions", "most": most}}
    plain = YAML().load(captions.read_text(encoding="utf-8"))
    del plain["example"]["forbid_augment"]
    others = {REGION_CAPTION: {"fields": plain["fields"] | regions}, **SCENE_TASKS}
    for task, keys in others.items():
        data = plain["data"] | {"path": f"{task}/{{split}}.parquet"}
        found[task] = folder / f"{task}.yaml"
        write_yaml(found[task], plain | {"task": task, "data": data} | keys)
    write_dictionary(folder / DICTIONARY)
    return found


def write_dictionary(path: Path) -> None:
    """The names that are one word in both languages of the pair, and not the same one."""
    concepts, _ = choose_world(EmojiWorldOptions(concepts=CONCEPTS))
    names = [[one.names[tag] for tag in PAIR] for one in concepts]
    lines = [PAIR, *((a, b) for a, b in names if a != b and " " not in a + b)]
    write_atomically(path, "".join("\t".join(line) + "\n" for line in lines))


def write_yaml(path: Path, values: Any) -> None:
    """Write it, and the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        YAML().dump(values, stream)
