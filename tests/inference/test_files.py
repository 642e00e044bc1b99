"""unified_vl/inference/files.py: rows in, answers out, in order, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.inference.files import predict_file
from unified_vl.inference.predictor import UnifiedVL


@pytest.fixture
def predictor(tiny) -> UnifiedVL:
    return UnifiedVL(tiny.saved)


def write_rows(path: Path, rows: list[object]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_answers_keep_the_order_and_the_keys(predictor, tiny, tmp_path: Path, picture) -> None:
    (tmp_path / "pictures").mkdir()
    rows = []
    for number in range(7):
        picture(number).save(tmp_path / f"pictures/{number}.png")
        phrase = "a dog " * (1 + number * 3 % 7)
        row = {"key": f"k{number}", "image": f"pictures/{number}.png", "phrase": phrase}
        rows.append(row | {"language": "fa"})
    source = write_rows(tmp_path / "rows.jsonl", rows)
    failed = predict_file(predictor, "tiny_ground", source, tmp_path / "out.jsonl", batch_size=2)
    found = read_rows(tmp_path / "out.jsonl")
    assert failed == 0
    assert [list(row) for row in found] == [["key", "prediction", "boxes", "score", "error"]] * 7
    assert [row["key"] for row in found] == [row["key"] for row in rows]
    for row, answer in zip(rows, found, strict=True):
        image = tmp_path / row["image"]
        alone = predictor.predict("tiny_ground", "fa", image=image, phrase=row["phrase"])
        assert answer["boxes"] == alone.boxes
        assert answer["score"] == pytest.approx(alone.score, abs=1e-5)
        assert answer["error"] is None


def test_a_bad_row_gets_a_message_and_the_others_an_answer(
    predictor, tmp_path: Path, picture
) -> None:
    outside = tmp_path / "secret.png"
    picture(1).save(outside)
    folder = tmp_path / "input"
    folder.mkdir()
    picture(1).save(folder / "good.png")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:50])
    good = {"image": "good.png", "language": "en"}
    rows = [
        good,
        "{not json",
        "[1, 2]",
        good | {"language": "eo"},
        {"key": 7, "image": "none.png", "language": "en"},
        good | {"image": "cut.png"},
        good | {"image": "../secret.png"},
        {"language": "en", "imgae": "good.png"},
        good | {"image": None},
        good | {"key": "last"},
    ]
    source = write_rows(folder / "rows.jsonl", rows)
    failed = predict_file(predictor, "tiny_caption", source, tmp_path / "out.jsonl")
    found = read_rows(tmp_path / "out.jsonl")
    assert failed == 8
    assert len(found) == len(rows)
    for number in range(1, 9):
        assert f"rows.jsonl:{number + 1}" in found[number]["error"]
        assert found[number]["prediction"] is None
        assert found[number]["boxes"] is None
    assert (found[4]["key"], found[9]["key"], found[0]["key"]) == ("7", "last", None)
    assert "not JSON" in found[1]["error"]
    assert "'eo'" in found[3]["error"]
    assert "did you mean 'imgae'?" in found[7]["error"]
    assert found[0]["prediction"] == found[9]["prediction"]
    assert found[0]["error"] is found[9]["error"] is None


def test_the_language_of_rows_that_name_none(predictor, tmp_path: Path, picture) -> None:
    picture(2).save(tmp_path / "a.png")
    source = write_rows(tmp_path / "rows.jsonl", [{"image": "a.png"}])
    assert predict_file(predictor, "tiny_caption", source, tmp_path / "none.jsonl") == 1
    out = tmp_path / "de.jsonl"
    assert predict_file(predictor, "tiny_caption", source, out, language="de") == 0
    alone = predictor.predict("tiny_caption", "de", image=tmp_path / "a.png")
    assert read_rows(out)[0]["prediction"] == alone.text


def test_bytes_that_are_not_text_fail_in_their_own_line(predictor, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_bytes(b'{"text": "yes"}\n{"text": "\xff"}\n\n{"text": "no"}\n')
    assert predict_file(predictor, "tiny_copy", source, tmp_path / "out.jsonl") == 1
    found = read_rows(tmp_path / "out.jsonl")
    assert [row["error"] is None for row in found] == [True, False, True]


def test_nothing_is_left_when_the_job_dies(predictor, tmp_path: Path, monkeypatch) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"text": "yes"}] * 3)
    out = tmp_path / "out.jsonl"
    out.write_text("the old one")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(predictor, "predict_examples", fail)
    with pytest.raises(KeyboardInterrupt):
        predict_file(predictor, "tiny_copy", source, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]
    assert out.read_text() == "the old one"


def test_files_that_cannot_be_used(predictor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: the input file is missing"):
        predict_file(predictor, "tiny_copy", tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    source = write_rows(tmp_path / "rows.jsonl", [{"text": "yes"}])
    with pytest.raises(UserError, match="would replace the input"):
        predict_file(predictor, "tiny_copy", source, source)
    with pytest.raises(UserError, match="did you mean 'tiny_copy'"):
        predict_file(predictor, "tiny_cop", source, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
