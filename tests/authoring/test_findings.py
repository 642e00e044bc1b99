from __future__ import annotations

from unified_vl.authoring.checking.findings import Findings
from unified_vl.errors import BadRow, UserError


def test_findings_that_differ_in_particulars_are_one() -> None:
    findings = Findings()
    for i in range(3):
        findings.add(BadRow(f"the image 'a{i}.png' is {i} x 9 pixels", file=f"a.jsonl:{i + 5}"))
    findings.add(BadRow("is empty", file="a.jsonl:9", field="text", expected="text"), "warning")
    findings.add(UserError("is missing", file="task.yaml", line=3, field="about"))
    assert [str(finding) for finding in findings.all()] == [
        "error: a.jsonl:5: the image 'a0.png' is 0 x 9 pixels (and 2 more like it); remedy: mend "
        "the row, or leave such rows out by data.on_bad_row: skip",
        "error: task.yaml:3: about: is missing",
        "warning: a.jsonl:9: text: is empty; expected text",
    ]
    first, second, _ = findings.all()
    assert (first.file, first.line, first.row, first.count) == ("a.jsonl", None, 5, 3)
    assert (second.file, second.line, second.row, second.count) == ("task.yaml", 3, None, 1)


def test_other_fields_files_and_severities_are_other_findings() -> None:
    findings = Findings()
    findings.add(BadRow("is empty", file="a.jsonl:1", field="text"))
    findings.add(BadRow("is empty", file="a.jsonl:1", field="answer"))
    findings.add(BadRow("is empty", file="b.jsonl:1", field="text"))
    findings.add(BadRow("is empty", file="b.jsonl:1", field="text"), "warning")
    assert len(findings.all()) == 4
