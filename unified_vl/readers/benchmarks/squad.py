"""SQuAD's JSON (Rajpurkar et al., arXiv 1606.05250), which other sets of questions share.

One file of TyDi QA's gold passages (Clark et al., arXiv 2003.05002) has all languages: an id
there is `arabic-2387335860751143628-1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source


def _questions(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for a, article in enumerate(member(read_json(path), "data", list, path)):
        where = f"data.{a}"
        for p, paragraph in enumerate(member(article, "paragraphs", list, path, where)):
            place = f"{where}.paragraphs.{p}"
            context = member(paragraph, "context", str, path, place)
            for q, question in enumerate(member(paragraph, "qas", list, path, place)):
                at = f"{place}.qas.{q}"
                answers = [
                    member(each, "text", str, path, f"{at}.answers.{n}")
                    for n, each in enumerate(member(question, "answers", list, path, at))
                ]
                key = member(question, "id", str, path, at)
                yield {
                    "key": key,
                    "title": article.get("title"),
                    "context": context,
                    "question": member(question, "question", str, path, at),
                    "answers": list(dict.fromkeys(answers)),
                    "language": key.partition("-")[0],
                }


SQUAD = Reader(
    "squad",
    "SQuAD's JSON, which TyDi QA's gold passages, XQuAD and MLQA share: a row a question.",
    rows=_questions,
    columns={
        "key": Column("text", "the question's id"),
        "title": Column("text", "the title of the article; empty where it has none"),
        "context": Column("text", "the passage"),
        "question": Column("text", "the question"),
        "answers": Column("texts", "the answers that people gave, each once; none, an empty list"),
        "language": Column(
            "text", "what the id begins with, up to the first `-`: the language, in TyDi QA's"
        ),
    },
)
