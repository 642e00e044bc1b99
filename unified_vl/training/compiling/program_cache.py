"""Where the compiled programs of training are kept, so that the next start need not compile them.

    CACHE/programs/training/...    what torch keeps of `torch.compile`

They lie beside the programs of answering (`unified_vl.decoding.decoders.kept_programs`), in a
folder that belongs to the user and that nobody else may write to, for torch unpickles and runs what
it finds there. torch itself would take a folder of a name that anybody can guess in /tmp.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress

from unified_vl.data.images.code_cache import cache_directory
from unified_vl.decoding.decoders.kept_programs import is_own

FOLDER = "TORCHINDUCTOR_CACHE_DIR"


def keep_programs() -> None:
    """Let torch keep programs in the user's cache, unless its own variable says where.

    Where others may write to that, they are kept for this process alone.
    """
    if os.environ.get(FOLDER):
        return
    programs = cache_directory() / "programs"
    training = programs / "training"
    with suppress(OSError):
        programs.mkdir(mode=0o700, parents=True, exist_ok=True)
        training.mkdir(mode=0o700, exist_ok=True)
    if is_own(programs) and is_own(training):
        os.environ[FOLDER] = str(training)
        return
    os.environ[FOLDER] = folder = tempfile.mkdtemp(prefix="unified_vl-programs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
