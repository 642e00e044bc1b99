"""What every test needs before it imports anything."""

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from unified_vl.torchvision_compat import define_missing_operators

define_missing_operators()
