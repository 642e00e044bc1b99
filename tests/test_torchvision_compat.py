"""A CPU torch with the default torchvision still imports timm and transformers."""

import subprocess
import sys

import pytest

PROGRAM = """
from unified_vl.torchvision_compat import define_missing_operators

define_missing_operators()
assert define_missing_operators() == []  # once is enough
import torch, torchvision
assert hasattr(torch.ops.torchvision, "nms")
"""


def test_torchvision_imports_after_the_missing_operators_are_defined() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=300)


IMPORTED = [
    "from transformers import T5ForConditionalGeneration",
    "import torchvision",
    "import timm",
    "import torch, torchvision.transforms.v2",
    "import importlib.util as u; assert u.find_spec('torchvision'); import torchvision",
    "import unified_vl.model, timm, torchvision",
]
EACH = """
import os, sys, traceback
for line in sys.argv[1:]:
    process = os.fork()
    if not process:
        try:
            exec(line)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0, line
"""


AFTER_TORCH = [
    "import torchvision, timm; from transformers import T5ForConditionalGeneration",
    "import unified_vl.model, torchvision",
]


@pytest.mark.parametrize(
    ("first", "then"), [("import unified_vl", IMPORTED), ("import torch, unified_vl", AFTER_TORCH)]
)
def test_importing_the_package_is_enough(first: str, then: list[str]) -> None:
    """It comes before or after torch, and loads nothing itself; whatever is imported then."""
    command = [sys.executable, "-c", first + EACH, *then]
    subprocess.run(command, check=True, timeout=600)


def test_the_import_loads_no_torch() -> None:
    program = (
        "import sys, importlib.util, unified_vl\n"
        "importlib.util.find_spec('torchvision')\n"
        "assert not {'torch', 'torchvision', 'transformers', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
