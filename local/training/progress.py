"""Tell the emulator and the reader how the job goes: JOB_DIR/status.jsonl and JOB_DIR/logs/{step}.txt."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger("local.training")
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class Progress:
    """Appends to the status file; a job that is started again goes on in the same files."""

    def __init__(self, directory: Path) -> None:
        self._status = directory / "status.jsonl"
        self._logs = directory / "logs"
        self._handler: logging.Handler | None = None
        self._logs.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(level=logging.INFO, format=_FORMAT, stream=sys.stdout)
        logging.captureWarnings(True)

    def running(self, step: str) -> None:
        self._close_log()
        self._handler = logging.FileHandler(self._logs / f"{step}.txt", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter(_FORMAT))
        logging.getLogger().addHandler(self._handler)
        self._append(step, "Running", None)

    def completed(self, step: str) -> None:
        self._append(step, "Completed", None)

    def failed(self, step: str, code: str, message: str) -> None:
        log.error(message)
        self._append(step, "Failed", {"code": code, "message": message})

    def _append(self, step: str, status: str, error: dict[str, str] | None) -> None:
        line = {"time": datetime.now(UTC).isoformat(), "step": step, "status": status, "error": error}
        with self._status.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _close_log(self) -> None:
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
            self._handler.close()
