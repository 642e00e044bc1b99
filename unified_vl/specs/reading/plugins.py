"""What installed packages register, so that the command line knows it, too."""

from __future__ import annotations

from importlib.metadata import entry_points

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
                f"the installed package {package!r} cannot be used: {error}",
                field=f"{GROUP}: {point.name}",
            ) from error
