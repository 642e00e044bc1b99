"""Ask the model of this directory: needs onnxruntime, numpy, Pillow and sentencepiece.

    python answer.py TASK LANGUAGE FIELD=VALUE ...
    python answer.py emoji_caption de image=cat.png

It answers by greedy decoding, without the rules (`generate`) of the model's own package; `Model`
is what a program of yours would use.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

HERE = Path(__file__).parent


class Model:
    """The graphs of a directory and what `export.json` says of them."""

    def __init__(self, directory: Path = HERE, threads: int = 0) -> None:
        self.about = json.loads((directory / "export.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.encoder, self.first, self.next = (
            onnxruntime.InferenceSession(
                str(directory / graph["file"]), options, providers=["CPUExecutionProvider"]
            )
            for graph in self.about["graphs"]
        )
        self.text = Text(self.about["text"], directory)

    def answer(self, task: str, language: str, **fields: Any) -> dict[str, Any]:
        """The ids of an answer, its text, and its shapes in pixels of the image.

        Args:
            task: one of `self.about["tasks"]`.
            language: one of its languages.
            fields: its fields; an image is a path or a `PIL.Image`.
        """
        about = self.about["tasks"][task]
        ids, images = self.source(about["source"][language], fields)
        written = self.write(ids, [prepare(i, self.about["image"]) for i in images], about)
        size = images[0].size if images else (1, 1)
        return {"ids": written, "text": self.decode(written), "shapes": self.shapes(written, size)}

    def source(
        self, parts: list[dict[str, Any]], fields: dict[str, Any]
    ) -> tuple[list[int], list[Image.Image]]:
        """Ids and images of a source; neighbouring texts are one, stripped at its ends."""
        ids: list[int] = []
        images: list[Image.Image] = []
        text = ""
        for part in [*parts, {"id": self.about["special_ids"]["end"]}]:
            if part.get("kind") == "text" or "text" in part:
                text += part["text"] if "text" in part else str(fields[part["field"]])
                continue
            ids += self.text.encode(text.strip()) if text.strip() else []
            text = ""
            if "id" in part:
                ids.append(part["id"])
            else:
                images.append(upright(fields[part["field"]]))
                ids += [self.about["image"]["id"]] * self.about["image"]["places"]
        limit = self.about["limits"]["source"]
        if len(ids) > limit:
            raise ValueError(f"the source has {len(ids)} ids; the model reads {limit}")
        return ids, images

    def write(self, ids: list[int], pixels: list[np.ndarray], about: dict[str, Any]) -> list[int]:
        """Greedy decoding; the end is not among the ids."""
        read = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), np.int64)}
        if self.about["image"]:  # a source without images sends one that is not looked at
            height, width = self.about["image"]["size"]
            blank = np.zeros((height, width, 3), np.uint8)
            read["pixel_values"] = np.stack(pixels or [blank]).transpose(0, 3, 1, 2)
        (hidden,) = self.encoder.run(None, read)
        special = self.about["special_ids"]
        step = {
            "input_ids": np.array([[special["start"]]]),
            "encoder_attention_mask": read["attention_mask"],
        }
        found = run(self.first, {**step, "encoder_hidden_states": hidden})
        cache: dict[str, np.ndarray] = {}
        written: list[int] = []
        while len(written) < about["max_tokens"]:
            token = int(found["logits"][0, -1].argmax())
            if token == special["end"]:
                break
            written.append(token)
            cache |= {
                name.replace("present", "past_key_values"): value
                for name, value in found.items()
                if name != "logits"
            }
            found = run(self.next, {**step, "input_ids": np.array([[token]]), **cache})
        return written

    def decode(self, ids: list[int]) -> str:
        """The text of an answer: what is a piece, and neither tag nor place."""
        tags = set(self.about["tags"].values())
        places, codes = (self._ids(name) for name in ("locations", "image_codes"))
        runs: list[list[int]] = [[]]
        for i in ids:
            if i in tags or i in places or i in codes or i >= self.about["text"]["count"]:
                runs.append([])
            elif i != self.about["special_ids"]["pad"]:
                runs[-1].append(i)
        texts = (self.text.decode(run).strip() for run in runs if run)
        return " ".join(text for text in texts if text)

    def shapes(self, ids: list[int], size: tuple[int, int]) -> list[list[float]]:
        """Runs of locations as x y x y ... in pixels of an image of (width, height)."""
        places = self._ids("locations")
        found: list[list[float]] = []
        inside = False
        for i in ids:
            if i in places:
                if not inside:
                    found.append([])
                axis = len(found[-1]) % 2
                fraction = (i - places.start + 0.5) / len(places)  # the middle of a bin
                found[-1].append(self._in_image(fraction, axis, size) * size[axis])
            inside = i in places
        return found

    def _in_image(self, fraction: float, axis: int, size: tuple[int, int]) -> float:
        """A place in what the network reads as one in the image, which padding surrounds."""
        image = self.about["image"]
        if not image or image["fit"] != "pad":
            return fraction
        left, top, across, down = content_box(size, image)
        height, width = image["size"]
        start, side, whole = ((left, across, width), (top, down, height))[axis]
        return min(max((fraction * whole - start) / side, 0.0), 1.0)

    def _ids(self, name: str) -> range:
        about = self.about[name] or {"first": 0, "count": 0}
        return range(about["first"], about["first"] + about["count"])


class Text:
    """Text to ids and back."""

    def __init__(self, about: dict[str, Any], directory: Path) -> None:
        self.about = about
        path = directory / about["file"]
        if about["kind"] == "sentencepiece":
            import sentencepiece

            self.processor: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))
        elif about["kind"] == "tokenizers":
            import tokenizers  # a further package, for byte-level BPE

            self.processor = tokenizers.Tokenizer.from_file(str(path))

    def encode(self, text: str) -> list[int]:
        if self.about["kind"] == "bytes":
            return [self.about["first_byte_id"] + byte for byte in text.encode()]
        if self.about["kind"] == "tokenizers":
            return list(self.processor.encode(text, add_special_tokens=False).ids)
        if self.about["normalize"]:
            text = unicodedata.normalize(self.about["normalize"], text)
        return list(self.processor.encode(text))

    def decode(self, ids: list[int]) -> str:
        if self.about["kind"] == "bytes":
            first = self.about["first_byte_id"]
            return bytes(i - first for i in ids if i >= first).decode(errors="replace")
        return str(self.processor.decode(ids))


def run(session: onnxruntime.InferenceSession, given: dict[str, np.ndarray]) -> dict[str, Any]:
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def upright(image: Any) -> Image.Image:
    """An image in RGB as a person sees it: turned as EXIF says, on white."""
    opened = image if isinstance(image, Image.Image) else Image.open(image)
    opened = ImageOps.exif_transpose(opened)
    if opened.has_transparency_data:
        layer = opened.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        opened = Image.alpha_composite(ground, layer)
    return opened.convert("RGB")


def prepare(image: Image.Image, about: dict[str, Any]) -> np.ndarray:
    """Pixels (height, width, 3) at the size that the network reads."""
    left, top, across, down = content_box(image.size, about)
    if image.size != (across, down):
        image = image.resize((across, down), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", tuple(about["size"][::-1]), tuple(about["padding"]))
    canvas.paste(image, (left, top))
    return np.asarray(canvas, dtype=np.uint8)


def content_box(size: tuple[int, int], about: dict[str, Any]) -> tuple[int, int, int, int]:
    """Left, top, width and height of an image of (width, height) in what the network reads."""
    height, width = about["size"]
    if about["fit"] != "pad":
        return 0, 0, width, height
    scale = min(width / size[0], height / size[1])
    across, down = (max(1, round(side * scale)) for side in size)
    across, down = min(across, width), min(down, height)
    return (width - across) // 2, (height - down) // 2, across, down


def main(words: list[str]) -> None:
    model = Model()
    if len(words) < 2 or words[0] not in model.about["tasks"]:
        for name, about in model.about["tasks"].items():
            needed = [p["field"] for p in next(iter(about["source"].values())) if "field" in p]
            print(f"{name} ({', '.join(about['source'])}): {', '.join(needed)}")
        sys.exit("usage: python answer.py TASK LANGUAGE FIELD=VALUE ...")
    task, language, *given = words
    fields = dict(word.split("=", 1) for word in given)
    print(json.dumps(model.answer(task, language, **fields), ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
