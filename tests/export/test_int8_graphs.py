"""unified_vl/export/onnx_int8.py: smaller graphs that say nearly the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.export.conftest import Exported
from unified_vl.errors import UserError
from unified_vl.export.onnx_files import WEIGHTS, for_export, graphs_of, share_weights
from unified_vl.export.onnx_int8 import quantize
from unified_vl.export.running import LIMIT, Agreement, compare, refuse_far


def test_int8_graphs_are_smaller_and_near(exported: Exported, tmp_path: Path) -> None:
    for path in exported.directory.iterdir():
        if path.suffix in (".onnx", ".data"):
            shutil.copy(path, tmp_path)
    model = for_export(exported.tiny.saved.model)
    graphs = graphs_of(model)
    made = quantize(graphs, tmp_path)
    (tmp_path / "shared").mkdir()
    share_weights(graphs, made, tmp_path / "shared")
    sizes = [(folder / WEIGHTS).stat().st_size for folder in (tmp_path, tmp_path / "shared")]
    assert sizes[1] < 0.4 * sizes[0]
    agreement = compare(model, tmp_path / "shared")
    assert agreement.cosine > 0.99
    refuse_far(agreement, LIMIT, int8=True)


def test_int8_graphs_that_say_something_else_are_refused() -> None:
    far = Agreement({"hidden states": 3.0, "logits": 9.0}, 0.9, 0.5)
    with pytest.raises(UserError, match=r"a mean cosine of 0\.9000 with the model's"):
        refuse_far(far, LIMIT, int8=True)
    nothing = Agreement({"hidden states": float("nan"), "logits": 0.0}, float("nan"), 0.0)
    for int8 in (False, True):
        with pytest.raises(UserError):
            refuse_far(nothing, LIMIT, int8=int8)
