"""Use every core for a batch: a part of the batch on each.

The usual way, all cores on every single operation, waits for the slowest core thousands of times a step: a step that
takes 0.9 s on a quiet machine was measured to take 1.5 to 11 s on a busy one. This way cores wait once a step.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Cores:
    def __init__(self) -> None:
        self.count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._threads_each = 0
        self._pool: ThreadPoolExecutor | None = None

    def map(self, compute: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Compute every item, several at a time; a single item gets all cores. Returns: results in the items' order."""
        if self.count == 1 or len(items) == 1:
            self._use(self.count)
            return [compute(item) for item in items]
        self._use(1)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="core")
        return list(self._pool.map(compute, items))

    def _use(self, threads: int) -> None:
        import torch

        if threads != self._threads_each:
            torch.set_num_threads(threads)
            self._threads_each = threads
