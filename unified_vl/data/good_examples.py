"""The examples of rows as evaluation meets them, without what breaks the spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unified_vl.data.batching import naming
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.rows.row import Row
from unified_vl.errors import BadRow


def good_examples(
    builder: ExampleBuilder, rows: Iterable[Row], *, stops: bool = True
) -> Iterator[tuple[Row, Example | None]]:
    """Rows with their examples, nothing drawn at random; None for a bad row that is skipped.

    A row whose source does not fit is bad, too, where the builder has a codec.

    Args:
        builder: of the task.
        rows: its rows.
        stops: whether a bad row may stop the work, as its spec says; else it never does.

    Raises:
        BadRow: for a bad row where `on_bad_row` is `stop`.
    """
    for row in rows:
        example = None
        try:
            built = builder.build(row, seed=None)
            if builder.codec is not None:
                with naming(built):
                    for source in (built.source, built.without):
                        builder.codec.check_source(source)
            example = built
        except BadRow as error:
            if stops:
                builder.spec.data.stop_or_skip(error)
        yield row, example
