from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.errors import UserError
from unified_vl.readers.json_files import read_items

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(values) | st.dictionaries(st.text(), values), st.sampled_from([None, 1]))
def test_the_items_one_by_one_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, content: Any, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("items") / "file.json"
    path.write_text(json.dumps(content, indent=indent), encoding="utf-8")
    found = list(read_items(path, type(content)))
    if isinstance(content, dict):
        assert dict(found) == content
    else:
        assert found == [(str(number), item) for number, item in enumerate(content)]


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("", list, r"is not JSON: Expecting '\[': line 1 column 1"),
        ("{}", list, r"starts with '\{\}'; expected a list"),
        ("[1]", dict, r"starts with '\[1\]'; expected an object"),
        ("[1, 2", list, "is not JSON: Expecting ',': line 1 column 6"),
        ("[1 2]", list, "is not JSON: Expecting ',': line 1 column 4"),
        ("[1,]", list, "is not JSON: Expecting value: line 1 column 4"),
        ("[1]]", list, "is not JSON: Extra data: line 1 column 4"),
        ('{"a": 1,\n 2: 3}', dict, "Expecting a name in double quotes: line 2 column 2"),
        ('{"a" 1}', dict, "is not JSON: Expecting ':': line 1 column 6"),
        ('{"a": "b', dict, "is not JSON: Unterminated string"),
        ("[" * 100_000, list, "is not JSON"),
    ],
)
def test_what_is_not_json_is_refused(tmp_path: Path, text: str, kind: type, says: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        list(read_items(path, kind))
