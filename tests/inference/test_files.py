"""unified_vl/inference/files.py: rows in, answers out, in order, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.inference.files import predict_file
from unified_vl.inference.prediction import FLAGS
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.task_answers import TaskAnswers
from unified_vl.locks import only_writer


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
    assert [list(row) for row in found] == [
        ["key", "prediction", "boxes", "score", "error", *FLAGS]
    ] * 7
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


class Dies(Exception):
    """Stands for a kill."""


ROWS = [
    {"key": f"k{i}", "text": text}
    for i, text in enumerate(["yes", "a red cat", "", "no", "a dog and a cat", "cat", "a"] * 6)
]


def die_after(predictor: UnifiedVL, monkeypatch: pytest.MonkeyPatch, batches: int) -> list[int]:
    """Let the predictor fail behind so many batches; how many rows each had is kept."""
    real = TaskAnswers.answer
    sizes: list[int] = []

    def counting(self: TaskAnswers, rows: list, n: int) -> list:
        if len(sizes) == batches:
            raise Dies
        sizes.append(len(rows))
        return real(self, rows, n)

    monkeypatch.setattr(TaskAnswers, "answer", counting)
    return sizes


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_an_interrupted_job_goes_on_where_it_was(
    predictor, tmp_path: Path, monkeypatch, cut: int
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", ROWS)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    failed = predict_file(predictor, "tiny_copy", source, whole, batch_size=2)
    out.write_text("the old one")
    with monkeypatch.context() as patch:
        die_after(predictor, patch, 10)
        with pytest.raises(Dies):
            predict_file(predictor, "tiny_copy", source, out, batch_size=2)
    assert out.read_text() == "the old one"
    partial = tmp_path / "out.jsonl.partial"
    kept = partial.read_bytes()
    partial.write_bytes(kept[: len(kept) - cut])  # what a kill in the middle of a write leaves
    first = partial.read_bytes().count(b"\n")
    assert 0 < first < len(ROWS)
    sizes = die_after(predictor, monkeypatch, 10**9)
    seen: list[tuple[int, int]] = []
    again = predict_file(
        predictor, "tiny_copy", source, out, batch_size=2, progress=lambda *a: seen.append(a)
    )
    assert seen[0] == (first, len(ROWS))
    assert seen[-1] == (len(ROWS), len(ROWS))
    assert sum(sizes) == sum(bool(row["text"]) for row in ROWS[first:])  # none is done again
    assert again == failed == 6
    assert [row["key"] for row in read_rows(out)] == [row["key"] for row in ROWS]
    for mine, theirs in zip(read_rows(out), read_rows(whole), strict=True):
        assert mine | {"score": 0} == theirs | {"score": 0}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl", "whole.jsonl"]


def test_the_answers_of_another_job_are_not_taken(predictor, tmp_path: Path, monkeypatch) -> None:
    source, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl"
    with monkeypatch.context() as patch:
        die_after(predictor, patch, 10)
        with pytest.raises(Dies):
            predict_file(predictor, "tiny_copy", source, out, batch_size=2)
    write_rows(source, [row | {"text": "no"} for row in ROWS])
    sizes = die_after(predictor, monkeypatch, 10**9)
    assert predict_file(predictor, "tiny_copy", source, out) == 0
    assert sum(sizes) == len(ROWS) == len(read_rows(out))


def test_an_output_that_another_job_writes_is_refused(predictor, tmp_path: Path) -> None:
    source, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl"
    with only_writer(out), pytest.raises(UserError, match=r"process \d+ on .* writes it"):
        predict_file(predictor, "tiny_copy", source, out)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_rows_of_several_tasks_and_languages_come_back_in_their_order(
    predictor, tmp_path: Path, picture, monkeypatch
) -> None:
    picture(3).save(tmp_path / "a.png")
    rows: list[dict] = []
    for number in range(24):
        language = ("en", "de", "fa")[number % 3]
        row = {"key": str(number), "image": "a.png", "language": language}
        if number % 4 == 0:
            row = {"key": str(number), "task": "tiny_copy", "text": "a dog " * (1 + number % 5)}
        elif number % 4 == 1:
            row |= {"task": "tiny_ground", "phrase": "a cat" * (1 + number % 3)}
        elif number % 4 == 2:
            row |= {"task": "tiny_caption"}
        else:
            row |= {"task": "tiny_captoin"}
        rows.append(row)
    source, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    sizes = die_after(predictor, monkeypatch, 10**9)
    assert predict_file(predictor, None, source, out, batch_size=4) == 6
    assert sorted(sizes) == [2, 2, 2, 4, 4, 4]  # regrouped by task
    found = read_rows(out)
    assert [row["key"] for row in found] == [row["key"] for row in rows]
    for row, answer in zip(rows, found, strict=True):
        if row["task"] == "tiny_captoin":
            assert "did you mean 'tiny_caption'" in answer["error"]
            continue
        fields = {k: v for k, v in row.items() if k in ("phrase", "text")}
        if "image" in row:
            fields["image"] = tmp_path / row["image"]
        alone = predictor.predict(row["task"], row.get("language"), **fields)
        assert (answer["prediction"], answer["boxes"]) == (alone.text, alone.boxes)


def test_a_row_may_not_name_a_file_as_its_task(predictor, tiny, tmp_path: Path) -> None:
    spec = tmp_path / "mine.yaml"
    spec.write_text(tiny.specs["tiny_copy"].text)
    source = write_rows(
        tmp_path / "rows.jsonl", [{"task": str(spec), "text": "yes"}, {"text": "a"}]
    )
    assert predict_file(predictor, None, source, tmp_path / "out.jsonl") == 2
    found = read_rows(tmp_path / "out.jsonl")
    assert "the model has no task" in found[0]["error"]
    assert "the row names no task; expected one of tiny_caption" in found[1]["error"]


def test_alternatives_are_given_where_they_are_asked_for(predictor, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"text": "yes"}, {"text": ""}])
    predict_file(predictor, "tiny_copy", source, tmp_path / "out.jsonl", n=3)
    first, bad = read_rows(tmp_path / "out.jsonl")
    assert list(first) == ["key", "prediction", "boxes", "score", "error", *FLAGS, "alternatives"]
    each = ["prediction", "boxes", "score", "cut", "other_script"]
    assert [list(a) for a in first["alternatives"]] == [each] * 3
    assert first["alternatives"][0] == {k: first[k] for k in each}
    assert list(bad) == ["key", "prediction", "boxes", "score", "error", *FLAGS]


def test_files_that_cannot_be_used(predictor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: the input file is missing"):
        predict_file(predictor, "tiny_copy", tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    source = write_rows(tmp_path / "rows.jsonl", [{"text": "yes"}])
    with pytest.raises(UserError, match="would replace the input"):
        predict_file(predictor, "tiny_copy", source, source)
    with pytest.raises(UserError, match="did you mean 'tiny_copy'"):
        predict_file(predictor, "tiny_cop", source, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
