"""docs/notebook.ipynb runs from top to bottom, and its answers are right."""

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent.parent


def test_the_notebook_runs(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    notebook = nbformat.read(ROOT / "docs/notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # nobody's machine is in it
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=resources).execute()
    shown = [
        output.data
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "execute_result"
    ]
    picture, task, model, answer, boxes, many, scores, same = shown
    assert "image/png" in picture
    assert "TaskSpec name: image -&gt; colour (en, de)" in task["text/html"]
    assert "UnifiedVL: " in model["text/html"]
    assert "<td>text</td>" in answer["text/html"]
    assert len(eval(boxes["text/plain"])) == 1
    assert "no answer" in many["text/plain"] and "none.png" in many["text/plain"]
    found = eval(scores["text/plain"])
    assert found["name"]["exact_match"] > 50.0  # a guess is right in one of four
    assert same["text/plain"] == "True"
