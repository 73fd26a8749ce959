"""A dataset with every mechanical mend applied, for a person to look at and to upload again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from shared.dataset.errors import DatasetRejectedError
from shared.dataset.options import PrepareOptions
from shared.dataset.prepare import prepare
from shared.dataset.report import Progress
from shared.dataset.split import Writer


def repair(
    source: Iterable[bytes],
    output: Writer,
    options: PrepareOptions,
    name: str,
    on_progress: Callable[[Progress], None] | None = None,
) -> bool:
    """Write the rows of a dataset, mended, in their order and in this package's own layout; no sample, no split.

    Rows that cannot be mended mechanically are left out, and so are duplicates and what `drop` names.
    Returns: whether there is any row. Worth the second reading if the first one's `report.is_mendable`.
    """
    whole = msgspec.structs.replace(
        options, repair=True, test_fraction=0.0, sample_percent=100.0, min_rows=1, tokenizer=None, context_window=None
    )
    try:
        prepare(source, train=output, test=output, options=whole, name=name, on_progress=on_progress)
    except DatasetRejectedError:
        return False
    return True
