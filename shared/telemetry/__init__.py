"""What the app tells of itself through OpenTelemetry: spans, log lines and metrics, each with the ids of its run.

Never in any of them: the text of a conversation, a key, a connection string, the message of a foreign exception.
"""

from shared.telemetry.exporting import set_up
from shared.telemetry.ids import about, carried, ids
from shared.telemetry.metrics import run_moved, run_received, sweep_done
from shared.telemetry.spans import of_call, of_run, span

__all__ = [
    "about",
    "carried",
    "ids",
    "of_call",
    "of_run",
    "run_moved",
    "run_received",
    "set_up",
    "span",
    "sweep_done",
]
