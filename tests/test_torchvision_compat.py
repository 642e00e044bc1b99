"""A CPU torch with the default torchvision still imports timm and transformers."""

import subprocess
import sys

PROGRAM = """
from unified_vl.torchvision_compat import define_missing_operators

define_missing_operators()
assert define_missing_operators() == []  # once is enough
import timm, torch, torchvision
from transformers import MT5ForConditionalGeneration
assert hasattr(torch.ops.torchvision, "nms")
"""


def test_torchvision_imports_after_the_missing_operators_are_defined() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=300)


def test_the_model_package_does_it_by_itself() -> None:
    program = "import unified_vl.model\nimport timm, torchvision"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
