"""What every test needs before it imports anything."""

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from unified_vl.torchvision_compat import define_missing_operators

define_missing_operators()

import hypothesis

# no test depends on elapsed time: a busy machine is not a failure
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")
