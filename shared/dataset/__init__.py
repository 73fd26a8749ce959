"""Chat datasets: bytes in, train and test rows and a report out. Streams, and imports nothing of Azure."""

from shared.dataset.errors import DatasetError, DatasetRejectedError, PrepareOptionsError
from shared.dataset.options import PrepareOptions
from shared.dataset.prepare import prepare
from shared.dataset.repair import repair
from shared.dataset.report import Histogram, Progress, Report, SystemPrompts, Tally
from shared.dataset.samples import Samples
from shared.dataset.split import Writer

__all__ = [
    "DatasetError",
    "DatasetRejectedError",
    "Histogram",
    "PrepareOptions",
    "PrepareOptionsError",
    "Progress",
    "Report",
    "Samples",
    "SystemPrompts",
    "Tally",
    "Writer",
    "prepare",
    "repair",
]
