"""What `tests.processes` has imported before a process begins."""

import contextlib
import sys

import unified_vl.cli.main
import unified_vl.training.trainer  # noqa: F401

with contextlib.redirect_stdout(sys.stderr):  # where its log shall go, as the engine has it
    import deepspeed  # noqa: F401
