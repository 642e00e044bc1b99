"""What every test needs before it imports anything."""

import os

import hypothesis

from unified_vl.torchvision_compat import define_missing_operators

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

define_missing_operators()

# no test depends on elapsed time: a busy machine is not a failure
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")
