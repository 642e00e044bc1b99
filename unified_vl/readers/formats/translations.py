"""Pairs of sentences in several languages: Tatoeba's tables and translation memories (TMX 1.4).

Both give a row for each two translations of each other, in each direction, whose languages
the spec lists; where it lists one, all that is translated into it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from unified_vl.errors import UserError
from unified_vl.languages.tags import canonical, nearest_tag, subtags
from unified_vl.parts import one_of
from unified_vl.readers.columns import PAIRS, Column
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source, first_line
from unified_vl.readers.table import ArrowTable, Table
from unified_vl.readers.xml_elements import parsed

if TYPE_CHECKING:
    import pyarrow as pa

_READ_AT_ONCE = 1 << 24  # and of a table, in which no line is longer
_LONGEST = 1 << 20  # characters of a sentence
MOST_NAMED = 12  # languages, in a message
DETAILS = "user", "added", "modified"  # behind the text in `sentences_detailed.csv`
_MOST = 1000  # translations in a unit: each is paired with each


def _is_asked(source: str, target: str, languages: Collection[str]) -> bool:
    listed = source in languages or len(languages) == 1
    return source != target and target in languages and listed


def _tmx_rows(source: Source) -> Iterator[dict[str, Any]]:
    @cache
    def tag_of(language: str) -> str:
        """That of the spec for `de`, `DE` and `de-AT` alike."""
        known = source.tag_of(language) or source.tag_of(subtags(language).language)
        return known or canonical(language)

    there: dict[str, str] = {}  # what the file calls a language, by its tag
    given = False
    for number, unit in enumerate(units(source.path), 1):
        said = [(tag_of(language), text) for language, text in unit]
        there.update((tag_of(language), language) for language, _ in unit)
        for one, sentence in said:
            for other, translation in said:
                if _is_asked(one, other, source.languages):
                    given = True
                    yield {
                        "key": str(number),
                        "source": sentence,
                        "target": translation,
                        "source_language": source.language_name(one),
                        "language": source.language_name(other),
                    }
    if not given and there:
        _say_what_is_there(source, there)


def _say_what_is_there(source: Source, there: Mapping[str, str]) -> None:
    """Of a file that has no two of the languages which a spec lists."""
    lacking = [tag for tag in source.languages if tag not in there]
    if not lacking:
        return
    several = list(there.values())
    more = f" and {len(several) - MOST_NAMED} more" if len(several) > MOST_NAMED else ""
    named = ", ".join(map(repr, several[:MOST_NAMED])) if more else one_of(several, "and")
    source.kept.instead = f"{source.name(source.path)!r} is in {named}{more}"
    close = (nearest_tag(tag, there) for tag in lacking)
    found = next((there[tag] for tag in close if tag is not None), None)
    source.kept.nearest = found


def units(path: Path) -> Iterator[list[tuple[str, str]]]:
    """The units of a translation memory, each as (language, text) pairs."""
    reading = _Units()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    # a document type is usual and nothing of it is fetched, but an entity of its own could
    # stand for gigabytes
    parser.EntityDeclHandler = reading.refuse
    yield from parsed(path, parser, reading.taken, "a TMX file")
    if not reading.has_body:
        raise UserError("has no <body>", file=path, expected="a TMX file")


class _Units:
    """Gathers units from the events of a parser. What is in <bpt>, <ph> and such is markup."""

    def __init__(self) -> None:
        self.has_body = False
        self._units: list[list[tuple[str, str]]] = []
        self._unit: list[tuple[str, str]] = []
        self._language = ""
        self._pieces: list[str] | None = None
        self._length = 0
        self._markup = 0  # how deep in it

    def taken(self) -> list[list[tuple[str, str]]]:
        """The units that are complete, once."""
        units, self._units = self._units, []
        return units

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._pieces is not None:
            self._markup += name != "hi"  # which is the text's own
        elif name == "body":
            self.has_body = True
        elif name == "tu":
            self._unit = []
        elif name == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
            if not self._language:
                raise ValueError("a <tuv> has no xml:lang")
        elif name == "seg":
            self._pieces, self._length = [], 0

    def text(self, text: str) -> None:
        if self._pieces is not None and not self._markup:
            self._length += len(text)
            if self._length > _LONGEST:
                raise ValueError(f"a <seg> has more than {_LONGEST} characters")
            self._pieces.append(text)

    def end(self, name: str) -> None:
        if self._pieces is None:
            if name == "tu":
                self._units.append(self._unit)
        elif self._markup:
            self._markup -= name != "hi"
        elif name == "seg":
            self._unit.append((self._language, " ".join("".join(self._pieces).split())))
            self._pieces = None
            if len(self._unit) > _MOST:
                raise ValueError(f"a <tu> has more than {_MOST} translations")

    def refuse(self, name: str, *rest: object) -> None:
        raise ValueError(f"defines the entity {name!r}, and such are not followed")


def read_tatoeba(source: Source) -> Table:
    """The links, joined with the sentences of both their ends.

    Tatoeba lists each link in both directions, so a link is one row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    sentences = _columns(source.files["sentences"], ("id", "language", "text"), DETAILS)
    said = pc.unique(sentences["language"]).to_pylist()
    names = [name for name in said if name is not None and source.tag_of(name) is not None]
    links = _columns(source.files["links"], ("source_id", "target_id"))
    wanted = pc.is_in(sentences["language"], value_set=pa.array(names, pa.string()))
    targets = sentences.filter(wanted)
    sources = targets if len(source.languages) > 1 else sentences
    found = links.join(
        targets.rename_columns(["target_id", "language", "target"]), "target_id", join_type="inner"
    ).join(
        sources.rename_columns(["source_id", "source_language", "source"]),
        "source_id",
        join_type="inner",
    )
    found = found.filter(pc.not_equal(found["language"], found["source_language"]))
    # a join keeps no order
    found = found.sort_by([("source_id", "ascending"), ("target_id", "ascending")])
    ids = [found[name].cast(pa.string()) for name in ("source_id", "target_id")]
    if not len(found):
        said = [str(name) for name in pc.unique(sentences["language"]).to_pylist()]
        _say_what_is_there(source, {source.tag_of(name) or name: name for name in said})
    found = found.append_column("key", pc.binary_join_element_wise(*ids, "-"))
    source.require(found.column_names)
    return ArrowTable(found.select(list(source.needed)))


def _columns(path: Path, names: tuple[str, ...], more: tuple[str, ...] = ()) -> pa.Table:
    """The columns `names` of a table of Tatoeba's, which may have `more` behind them.

    It has no line of names, and `\\N` for nothing.
    """
    import pyarrow as pa
    from pyarrow import csv

    types = {name: pa.int64() if name.endswith("id") else pa.string() for name in names}
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            detailed = lines.readline(_LONGEST).count("\t") == len(names) + len(more) - 1
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(
                use_threads=False,
                column_names=names + more if detailed else names,
                block_size=_READ_AT_ONCE,
            ),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(column_types=types, include_columns=names),
        )
    except (pa.ArrowException, OSError) as error:
        expected = f"{', '.join(names)} between tabs"
        raise UserError(
            f"is no table of Tatoeba: {first_line(error)}", file=path, expected=expected
        ) from error


DIRECTED = {
    "key": Column("text", "the number of the unit, or the ids of both sentences"),
    **PAIRS,
    "source_language": Column("text", "the language of the sentence"),
    "language": Column("text", "the language of its translation"),
}
TMX = Reader(
    "tmx",
    "A translation memory (TMX 1.4): a row for each two languages of a unit, in each "
    "direction, among those that the spec lists; where it lists one language, all that is "
    "translated into it. Documents that define entities are refused.",
    rows=_tmx_rows,
    columns=DIRECTED,
)
TATOEBA = Reader(
    "tatoeba",
    "Tatoeba's `sentences.csv` (or `sentences_detailed.csv`) and `links.csv`: a row for each "
    "link, in each direction, among the languages that the spec lists; where it lists one "
    "language, all that is translated into it. Tatoeba's codes of languages (`deu`) need no "
    "`data.language_names`.",
    read=read_tatoeba,
    files=("sentences", "links"),
    columns=DIRECTED,
)
