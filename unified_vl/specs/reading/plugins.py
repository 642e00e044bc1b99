"""What installed packages register, so that the command line knows it, too."""

from __future__ import annotations

import traceback
from importlib.metadata import entry_points
from pathlib import Path

from unified_vl.errors import UserError

GROUP = "unified_vl.plugins"


def load_plugins() -> None:
    """Import what the entry points of the group `unified_vl.plugins` name.

    Each is a module that registers encoders, objectives, schedules or optimisers when it is
    imported.

    Raises:
        UserError: naming the package, for one that cannot be imported or registers what is there.
    """
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            point.load()
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            raise UserError(
                f"the installed package {package!r} cannot be used: {_said(error)}",
                field=f"{GROUP}: {point.name}",
            ) from error


def _said(error: Exception) -> str:
    """What went wrong, and the file and line of it: the text of a KeyError is a bare name."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
