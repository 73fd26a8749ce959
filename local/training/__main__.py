"""Run one job: `python -m local.training JOB_DIR`. Exit 0: all steps completed, 1: one failed, 143: SIGTERM."""

import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from local.training.errors import RequestedFailureError, StepError
from local.training.job import Job, load_job
from local.training.parent import end_with_parent
from local.training.progress import Progress, log

_STOPPED = 128 + signal.SIGTERM


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m local.training JOB_DIR", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: _stop("cancelled: SIGTERM"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the emulator, which then stops its jobs
    end_with_parent(lambda: _stop("the emulator is gone"))
    _be_quiet_and_offline()
    directory = Path(sys.argv[1])
    return run_job(load_job(directory), Progress(directory))


def run_job(job: Job, progress: Progress) -> int:
    """Do the steps in order, up to the first that fails."""
    from local.training.steps import Pipeline

    for step, do in Pipeline(job).steps.items():
        progress.running(step)
        try:
            _fail_if_asked(job, step)
            do()
        except StepError as error:
            progress.failed(step, error.code, str(error))
            return 1
        except Exception as error:  # noqa: BLE001 - every failure must reach the run's history
            log.exception("step %s", step)
            progress.failed(step, StepError.code, f"{step} failed unexpectedly: {type(error).__name__}: {error}")
            return 1
        progress.completed(step)
    return 0


def _fail_if_asked(job: Job, step: str) -> None:
    if job.fail and job.fail["step"] == step:
        raise RequestedFailureError(job.fail["code"], job.fail["message"])


def _stop(why: str) -> Any:
    """End at once: nothing that a job has written is half valid, as its output appears by a rename."""
    log.warning(why)
    logging.shutdown()
    os._exit(_STOPPED)


def _be_quiet_and_offline() -> None:
    """Nothing is fetched in a job, and progress bars make a log unreadable."""
    warnings.filterwarnings("ignore", category=FutureWarning)  # of one library about another
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"})
    os.environ.update(
        {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
    )


if __name__ == "__main__":
    sys.exit(main())
