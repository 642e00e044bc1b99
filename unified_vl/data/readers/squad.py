"""SQuAD's JSON (Rajpurkar et al., arXiv 1606.05250), which other sets of questions share.

One file of TyDi QA's gold passages (Clark et al., arXiv 2003.05002) has all languages: an id
there is `arabic-2387335860751143628-1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.data.readers.annotations import member, read_json, reader_of
from unified_vl.data.readers.reader import Source


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


squad = reader_of("squad", _questions)
