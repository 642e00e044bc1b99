"""Questions about images with what people answered: VQA, OK-VQA, A-OKVQA and GQA.

VQA v2: Goyal et al., arXiv 1612.00837, visualqa.org/download.html. OK-VQA: Marino et al.,
arXiv 1906.00067, in the same format. A-OKVQA: Schwenk et al., arXiv 2206.01718. GQA: Hudson
and Manning, arXiv 1902.09506, cs.stanford.edu/people/dorarad/gqa.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import IMAGE, QUESTION, QUESTION_ID, Column
from unified_vl.readers.json_files import member, read_items, read_json, texts
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source


def _vqa(source: Source) -> Iterator[dict[str, Any]]:
    path = source.files["questions"]
    content = read_json(path)
    folder = member(content, "data_subtype", str, path)  # train2014
    answered = _annotations(source.files["annotations"])
    for number, question in enumerate(member(content, "questions", list, path)):
        where = f"questions.{number}"
        key = member(question, "question_id", int, path, where)
        image = member(question, "image_id", int, path, where)
        if key not in answered:
            message = f"the annotations have no question {key}"
            raise UserError(message, file=path, field=f"{where}.question_id")
        yield {
            "key": str(key),
            "image": f"COCO_{folder}_{image:012d}.jpg",
            "question": member(question, "question", str, path, where),
            **answered[key],
        }


def _annotations(path: Path) -> dict[int, dict[str, Any]]:
    """What people answered, by the question's id."""
    found: dict[int, dict[str, Any]] = {}
    content = read_json(path)
    kinds = content.get("question_types") if isinstance(content, dict) else None
    kinds = kinds if isinstance(kinds, dict) else {}  # OK-VQA's: what `four` stands for
    for number, annotation in enumerate(member(content, "annotations", list, path)):
        where = f"annotations.{number}"
        given = member(annotation, "answers", list, path, where)
        kind = annotation.get("question_type")
        found[member(annotation, "question_id", int, path, where)] = {
            "answers": [member(each, "answer", str, path, f"{where}.answers") for each in given],
            "answer": annotation.get("multiple_choice_answer"),  # OK-VQA has none
            "answer_type": annotation.get("answer_type"),
            "question_type": kinds.get(kind, kind),
        }
    return found


def _gqa(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for key, question in read_items(path, dict):
        kinds = member(question, "types", dict, path, key)
        groups = member(question, "groups", dict, path, key) if "groups" in question else {}
        yield {
            "key": key,
            "image": member(question, "imageId", str, path, key) + ".jpg",
            "question": member(question, "question", str, path, key),
            "answer": member(question, "answer", str, path, key),
            "full_answer": question.get("fullAnswer"),
            "structural": kinds.get("structural"),
            "semantic": kinds.get("semantic"),
            "detailed": kinds.get("detailed"),
            "group": groups.get("global"),
            "entailed": _entailed(question, path, key),
        }


def _entailed(question: Any, path: Path, key: str) -> list[str]:
    """The published files name a question among those that follow from it."""
    found = texts(question, "entailed", path, key) if "entailed" in question else []
    return [each for each in found if each != key]


def _aokvqa(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError("is no list of questions", file=path)
    for number, question in enumerate(content):
        where = str(number)
        options = texts(question, "choices", path, where)
        correct = member(question, "correct_choice_idx", int, path, where)
        if not 0 <= correct < len(options):
            raise UserError(
                f"found {correct}",
                file=path,
                field=f"{where}.correct_choice_idx",
                expected=f"0 to {len(options) - 1}, one of the choices",
            )
        yield {
            "key": member(question, "question_id", str, path, where),
            "image": f"{member(question, 'image_id', int, path, where):012d}.jpg",
            "question": member(question, "question", str, path, where),
            "options": options,
            "correct": correct,
            "answers": texts(question, "direct_answers", path, where),
            "rationales": texts(question, "rationales", path, where),
            "difficult": member(question, "difficult_direct_answer", bool, path, where),
        }


def _aokvqa_direct(source: Source) -> Iterator[dict[str, Any]]:
    """As the published evaluation: not the questions that need their options."""
    return (row for row in _aokvqa(source) if not row["difficult"])


VQA_V2 = Reader(
    "vqa_v2",
    "The questions and answers of VQA v1 and v2 and of OK-VQA: a row a question.",
    rows=_vqa,
    files=("questions", "annotations"),
    columns={
        "key": QUESTION_ID,
        "image": Column("image", "COCO's file name: COCO_train2014_000000000009.jpg"),
        "question": QUESTION,
        "answers": Column("texts", "what each of ten people answered"),
        "answer": Column("text", "the answer that most gave"),
        "answer_type": Column("text", "yes/no, number or other"),
        "question_type": Column(
            "text", "its first words, or OK-VQA's kind of knowledge, by its name"
        ),
    },
)
GQA = Reader(
    "gqa",
    "GQA's questions: a row a question.",
    rows=_gqa,
    columns={
        "key": QUESTION_ID,
        "image": IMAGE,
        "question": QUESTION,
        "answer": Column("text", "the answer: a word or two"),
        "full_answer": Column("text", "the answer: a sentence"),
        "structural": Column("text", "verify, query, choose, logical or compare"),
        "semantic": Column("text", "object, attribute, category, relation or global"),
        "detailed": Column("text", "one of about a hundred types"),
        "group": Column("text", "its group of like questions, such as `color`"),
        "entailed": Column("texts", "ids of questions whose answers follow from this one's"),
    },
)
AOKVQA = Reader(
    "aokvqa",
    "A-OKVQA's questions with options: a row a question.",
    rows=_aokvqa,
    columns={
        "key": QUESTION_ID,
        "image": Column("image", "COCO's file name: 000000000009.jpg"),
        "question": QUESTION,
        "options": Column("texts", "the four options"),
        "correct": Column("whole", "the number of the right option, from 0"),
        "answers": Column("texts", "what each of ten people answered without options"),
        "rationales": Column("texts", "why the answer is right, three times"),
    },
)
AOKVQA_DIRECT = Reader(
    "aokvqa_direct",
    "A-OKVQA's questions without those marked as difficult to answer without options.",
    rows=_aokvqa_direct,
    columns=AOKVQA.columns,
)
