"""Small charts as SVG that takes its colours and its font from the page around it."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

from markupsafe import escape

from unified_vl.extras import require

# Stand-ins that no palette holds; they are replaced by the page's own colours.
_COLOURS = {
    "#010203": "var(--ink)",
    "#020304": "var(--soft)",
    "#030405": "var(--line)",
    "#040506": "var(--accent)",
    "#050607": "var(--warm)",
}
INK, SOFT, LINE, ACCENT, WARM = _COLOURS


@contextlib.contextmanager
def small_chart(name: str, steps: int) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes from 0 to `steps`, as those of the page are, while inside.

    Args:
        name: seeds the ids within the SVG.
        steps: the end of the axis.
    """
    require("matplotlib")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.edgecolor": LINE,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "text.color": INK,
    }
    with rc_context(style):
        figure = Figure(figsize=(3.4, 2.0))
        axes = figure.add_axes((0.1, 0.14, 0.84, 0.8))
        axes.set_xlim(0, max(steps, 1))
        axes.grid(axis="y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, pad=3)
        axes.locator_params(axis="x", nbins=4, integer=True)
        axes.locator_params(axis="y", nbins=4)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        yield figure, axes


def inline(figure: Any, label: str) -> str:
    """The SVG element alone, named for screen readers, in the page's colours and font."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the ids would repeat on the page
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    opening = f'<svg viewBox="{_view_box(svg)}" role="img" aria-label="{escape(label)}">'
    svg = opening + svg[svg.index(">") + 1 :]
    for stand_in, colour in _COLOURS.items():
        svg = svg.replace(stand_in, colour)
    return svg


def _view_box(svg: str) -> str:
    found = re.search(r'viewBox="([^"]*)"', svg)
    return found[1] if found else "0 0 245 144"
