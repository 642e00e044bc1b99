from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError

FIELDS = {"text": "source", "from_language": "source_language", "answer": "target"}
TMX = "reader: tmx, path: a.tmx, language_column: language, splits: {train: all}"
TATOEBA = (
    "reader: tatoeba, files: {sentences: sentences.csv, links: links.csv}, "
    "language_column: language, key_column: key, splits: {train: all}"
)
HEAD = '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4">\n<header/>'
MEMORY = f"""{HEAD}
<body>
<tu><tuv xml:lang="en"><seg>A dog &amp; a <hi>cat</hi>.</seg></tuv>
 <tuv xml:lang="de-AT"><seg>Ein Hund
  und <bpt i="1">{{b</bpt>eine<ept i="1">}}<sub>x</sub></ept> Katze.</seg></tuv></tu>
<tu><tuv xml:lang="EN"><seg>One.</seg></tuv><tuv lang="fr"><seg>Un.</seg></tuv>
 <tuv xml:lang="de"><seg>Eins.</seg></tuv></tu>
</body></tmx>
"""


def said(data: object) -> list[tuple[str, ...]]:
    names = ("source_language", "source", "language", "target")
    return [tuple(row.columns[name] for name in names) for row in data]


def test_a_memory_is_read_in_both_directions(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "a.tmx").write_text(MEMORY)
    data = open_task(f"{TMX}, languages: [de, en]", **FIELDS)
    dog, hund = "A dog & a cat.", "Ein Hund und eine Katze."
    assert said(data) == [
        ("en", dog, "de", hund),
        ("de", hund, "en", dog),
        ("en", "One.", "de", "Eins."),
        ("de", "Eins.", "en", "One."),
    ]
    assert [row.language for row in data] == ["de", "en", "de", "en"]


def test_one_language_takes_all_that_is_translated_into_it(
    tmp_path: Path, open_task: Callable
) -> None:
    (tmp_path / "a.tmx").write_text(MEMORY, encoding="utf-16")
    path = tmp_path / "a.tmx"
    path.write_text(MEMORY.replace('version="1.0"', 'version="1.0" encoding="utf-16"'), "utf-16")
    data = open_task(f"{TMX}, languages: [de]", **FIELDS)
    assert [(row[0], row[2]) for row in said(data)] == [("en", "de"), ("en", "de"), ("fr", "de")]


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ("[nl, sv]", "train holds no row: 'a.tmx' is in 'EN', 'de-AT' and 'fr'; expected at least"),
        ("[fr-CA, nl]", "is in 'EN', 'de-AT' and 'fr'; expected at least one; did you mean 'fr'?"),
        ("[deu, nl]", "is in 'EN', 'de-AT' and 'fr'; expected at least one"),
        ("[nl]", "train holds no row: 'a.tmx' is in 'EN', 'de-AT' and 'fr'"),
    ],
)
def test_other_languages_than_the_spec_has_are_named(
    tmp_path: Path, open_task: Callable, languages: str, message: str
) -> None:
    (tmp_path / "a.tmx").write_text(MEMORY.replace('xml:lang="de"', 'xml:lang="de-AT"'))
    with pytest.raises(UserError) as caught:
        open_task(f"{TMX}, languages: {languages}", **FIELDS)
    assert message in str(caught.value)


@pytest.mark.parametrize("details", ["", "\tann\t\\N\t0000-00-00 00:00:00"])
def test_tatoeba_has_two_exports_of_its_sentences(
    tmp_path: Path, open_task: Callable, details: str
) -> None:
    lines = ['1\teng\tA "dog".', "2\tdeu\tEin Hund.", "3\tfra\tUn chien."]
    (tmp_path / "sentences.csv").write_text("".join(f"{line}{details}\n" for line in lines))
    (tmp_path / "links.csv").write_text("1\t2\n1\t3\n1\t4\n2\t1\n3\t1\n")
    data = open_task(f"{TATOEBA}, languages: [en, de]", **FIELDS)
    dog, hund = 'A "dog".', "Ein Hund."
    assert said(data) == [("eng", dog, "de", hund), ("deu", hund, "en", dog)]


def test_other_languages_than_those_of_tatoeba_are_named(
    tmp_path: Path, open_task: Callable
) -> None:
    (tmp_path / "sentences.csv").write_text("1\teng\tA dog.\n2\tdeu\tEin Hund.\n")
    (tmp_path / "links.csv").write_text("1\t2\n2\t1\n")
    with pytest.raises(UserError) as caught:
        open_task(f"{TATOEBA}, languages: [de-AT, nl]", **FIELDS)
    said = "'sentences.csv' is in 'eng' and 'deu'; expected at least one; did you mean 'deu'?"
    assert said in str(caught.value)


def test_a_long_memory_is_not_held_as_a_tree(tmp_path: Path, open_task: Callable) -> None:
    unit = (
        '<tu><prop type="note">' + "x" * 2000 + '</prop><tuv xml:lang="en"><seg>a</seg></tuv>'
        '<tuv xml:lang="de"><seg>b</seg></tuv></tu>\n'
    )
    (tmp_path / "a.tmx").write_text(f"{HEAD}<body>{unit * 5000}</body></tmx>")
    open_task(f"{TMX}, languages: [de]", **FIELDS)
    tracemalloc.start()
    assert len(open_task(f"{TMX}, languages: [de]", **FIELDS)) == 5000
    assert tracemalloc.get_traced_memory()[1] < 5_000_000  # of 10 MB
    tracemalloc.stop()


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
UNIT = '<tu><tuv xml:lang="en"><seg>{}</seg></tuv></tu>'
BODY = '<tmx version="1.4"><header/><body>{}</body></tmx>'
HOSTILE = [
    (
        f'<!DOCTYPE tmx [<!ENTITY l0 "lol">{LAUGHS}]>{BODY.format(UNIT.format("&l9;"))}',
        "a.tmx:1: defines the entity 'l0', and such are not followed; expected a TMX file",
    ),
    (
        f'<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]>{BODY.format(UNIT.format("&x;"))}',
        "a.tmx:1: defines the entity 'x', and such are not followed",
    ),
    (
        f'<!DOCTYPE tmx [<!ENTITY % x SYSTEM "http://localhost/a.dtd"> %x;]>{BODY.format("")}',
        "a.tmx:1: defines the entity 'x', and such are not followed",
    ),
    (BODY.format(UNIT.format("&who;")), "a.tmx:1: is not XML: undefined entity"),
    (BODY.format("<tu><tuv>"), "a.tmx:1: a <tuv> has no xml:lang; expected a TMX file"),
    (BODY.format("\n<tu>")[:-20], "a.tmx:1: is not XML: unclosed token"),
    ("", "a.tmx:1: is not XML: no element found"),
    ("<html></html>", "a.tmx: has no <body>; expected a TMX file"),
    ('<?xml version="1.0" encoding="nonsense"?><tmx/>', "a.tmx:1: "),
    (BODY.format(UNIT.format("<seg><seg>a</seg></seg>")), "train holds no row"),
    (BODY.format("</seg>"), "a.tmx:1: is not XML: mismatched tag"),
    (BODY.format(UNIT.format("x" * 1_100_000)), "a <seg> has more than 1048576 characters"),
    (
        BODY.format("<tu>" + '<tuv xml:lang="en"><seg>a</seg></tuv>' * 1001 + "</tu>"),
        "a <tu> has more than 1000 translations",
    ),
]


@pytest.mark.parametrize(("text", "says"), HOSTILE)
def test_a_hostile_memory(tmp_path: Path, open_task: Callable, text: str, says: str) -> None:
    (tmp_path / "a.tmx").write_text(text)
    with pytest.raises(UserError) as error:
        open_task(f"{TMX}, languages: [de, en]", **FIELDS)
    assert says in str(error.value)


def write(folder: Path, links: str = "1\t2\n2\t1\n1\t3\n3\t1\n2\t4\n4\t2\n9\t1\n") -> None:
    sentences = '1\teng\tA "dog.\n2\tdeu\tEin Hund.\n3\tfra\tUn chien.\n4\tdeu\tHund.\n5\t\\N\t?\n'
    (folder / "sentences.csv").write_text(sentences)
    (folder / "links.csv").write_text(links)


NAMES = "language_names: {en: eng, de: deu, fr: fra}"


def test_links_are_joined_with_their_sentences(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path)
    data = open_task(f"{TATOEBA}, languages: [en, de, fr], {NAMES}", **FIELDS)
    assert [(row.columns["key"], row.language, row.columns["target"]) for row in data] == [
        ("1-2", "de", "Ein Hund."),
        ("1-3", "fr", "Un chien."),
        ("2-1", "en", 'A "dog.'),
        ("3-1", "en", 'A "dog.'),
    ]
    names = "language_names: {de: deu}"
    data = open_task(f"{TATOEBA}, languages: [de], {names}", **FIELDS)
    assert [row.columns["source_language"] for row in data] == ["eng"]


@pytest.mark.parametrize(
    ("links", "says"),
    [
        ("1\n", "links.csv: is no table of Tatoeba: .*expected source_id, target_id between tabs"),
        ("a\tb\n", "links.csv: is no table of Tatoeba: .*invalid value 'a'"),
        ("", "links.csv: is no table of Tatoeba: Empty CSV file"),
        ("1\t5\n", "data.files: train holds no row"),
    ],
)
def test_bad_links(tmp_path: Path, open_task: Callable, links: str, says: str) -> None:
    write(tmp_path, links)
    with pytest.raises(UserError, match=says):
        open_task(f"{TATOEBA}, languages: [en, de, fr], {NAMES}", **FIELDS)


def test_languages_are_found_in_any_spelling(tmp_path: Path, open_task: Callable) -> None:
    memory = MEMORY.replace('"de-AT"', '"pt_br"').replace('"de"', '"pt-BR"')
    (tmp_path / "a.tmx").write_text(memory)
    data = open_task(f"{TMX}, languages: [pt_BR, eng]", **FIELDS)
    assert [(row[0], row[2]) for row in said(data)] == [("eng", "pt_BR"), ("pt_BR", "eng")] * 2
    assert [row.language for row in data] == ["pt_BR", "eng"] * 2
    (tmp_path / "sentences.csv").write_text("1\tcmn\t家\n2\tdeu\tHaus\n3\tfra\tmaison\n")
    (tmp_path / "links.csv").write_text("1\t2\n2\t1\n1\t3\n3\t1\n")
    data = open_task(f"{TATOEBA}, languages: [zh, de]", **FIELDS)
    assert [(row.language, row.columns["target"]) for row in data] == [("de", "Haus"), ("zh", "家")]
