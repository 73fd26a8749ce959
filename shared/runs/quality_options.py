"""Which values the options of `quality` may have."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from shared.evaluation import MOST_ROWS

if TYPE_CHECKING:
    from shared.runs.options import QualityOptions

HOLD, IGNORE = "hold", "ignore"
"""What to do when the live model cannot be compared on the same rows. `hold` unless something else is said."""


def faults(quality: QualityOptions) -> Iterable[str]:
    """Yield what is wrong, in the words of the options."""
    loss, rows, sets = quality.max_eval_loss, quality.min_rows, quality.different_test_sets
    if loss is not None and not (math.isfinite(loss) and loss > 0):
        yield f"quality.max_eval_loss is {loss:g}, expected a number above 0"
    if rows is not None and not 1 <= rows <= MOST_ROWS:
        yield f"quality.min_rows is {rows}, expected 1 to {MOST_ROWS}: no more rows are evaluated"
    if sets is not None and sets not in (HOLD, IGNORE):
        yield f"quality.different_test_sets is {sets!r}, expected {HOLD} or {IGNORE}"
