"""Jobs that end otherwise than well."""

import json
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from .conftest import STEPS, MakeJob, conversation


def test_faulty_hyperparameters_are_reported_together(make_job: MakeJob) -> None:
    job = make_job({"learning_rate": "-1", "max_steps": "many", "optim": "sgd"}).start().wait()
    assert job.exit_code == 1
    assert job.failure["step"] == "ft_nlp_common_validation"
    assert job.failure["error"] == {
        "code": "UserError",
        "message": "The hyperparameters cannot be used: max_steps is 'many', expected a whole number; "
        "optim is 'sgd', expected adamw_torch or adafactor; learning_rate is '-1', expected above 0.",
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{not json", "not a JSON object"),
        ('{"prompt": "a"}', 'no "messages"'),
        ('{"messages": [{"role": "bot", "content": "a"}]}', "role 'bot' is not one of"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "no message of the assistant"),
    ],
)
def test_faulty_row_fails_the_validation_with_its_line(make_job: MakeJob, line: str, reason: str) -> None:
    job = make_job()
    with (job.directory / "inputs" / "train.jsonl").open("a") as file:
        file.write(line + "\n")
    job.start().wait()
    assert job.exit_code == 1
    assert "train_file_path, train.jsonl line 41: " in job.failure["error"]["message"]
    assert reason in job.failure["error"]["message"]


def test_missing_training_file_is_named(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job({"train_file_path": str(tmp_path / "gone.jsonl")}).start().wait()
    assert job.failure["error"]["message"] == "train_file_path: there is no file gone.jsonl."


def test_missing_base_model_says_how_to_make_it(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(base_model_dir=str(tmp_path / "nothing")).start().wait()
    assert (job.exit_code, job.failure["step"]) == (1, "chat_completion_model_import")
    assert "python -m local.training.base_model --engine fast" in job.failure["error"]["message"]


def test_requested_failure_fails_its_step_alone(make_job: MakeJob) -> None:
    asked = {"step": "chat_completion_datapreprocess", "code": "UserError", "message": "The disk is full."}
    job = make_job(fail=asked).start().wait()
    assert job.exit_code == 1
    assert job.status[-1]["error"] == {"code": "UserError", "message": "The disk is full."}
    assert [line["step"] for line in job.status if line["status"] == "Completed"] == STEPS[:2]


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used so far (Linux)."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def ended_cpu_s() -> float:
    """Return the CPU time that all ended children of this process have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_sigterm_stops_a_training_within_two_seconds_of_work(make_job: MakeJob) -> None:
    others = ended_cpu_s()
    job = make_job({"max_steps": "1000000", "eval_steps": "1000000"}).start()
    assert job.process is not None
    finetune = job.directory / "logs" / "chat_completion_finetune.txt"
    deadline = time.monotonic() + 240
    while not (finetune.is_file() and "step 5 of" in finetune.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    until_asked = cpu_s(job.process.pid)
    job.process.send_signal(signal.SIGTERM)
    job.wait()
    assert ended_cpu_s() - others - until_asked < 2  # of the CPU: how long it waits for that is not its own doing
    assert job.exit_code == 143
    assert not job.model.exists()


def test_second_start_of_a_killed_job_completes_it_without_mlflow_or_validation_file(make_job: MakeJob) -> None:
    dead = {"tracking_uri": "http://127.0.0.1:9", "token": "t", "ca_bundle": None, "experiment_id": "0"}
    job = make_job({"validation_file_path": None, "max_steps": "8", "logging_steps": "8"}, mlflow=dead).start()
    assert job.process is not None
    while not job.status:
        time.sleep(0.05)
    job.process.kill()
    job.wait()
    job.start().wait()
    assert job.exit_code == 0, job.output
    assert job.status[-1]["status"] == "Completed"
    assert "4 of 40 training rows are kept for validation" in job.log("chat_completion_datapreprocess")
    assert "could not be sent to MLflow" in job.log("chat_completion_finetune")


def test_rows_without_room_for_an_answer_leave_nothing_to_learn(make_job: MakeJob) -> None:
    job = make_job({"max_seq_length": "8"})
    rows = json.dumps(conversation("A question that is longer than that", "answer"))
    (job.directory / "inputs" / "train.jsonl").write_text(rows + "\n")
    job.start().wait()
    assert job.failure["step"] == "chat_completion_datapreprocess"
    assert "within 8 tokens: there is nothing to learn" in job.failure["error"]["message"]
