import json
from pathlib import Path

from local.azureml.jobs.process import JobProcess


def test_complete_lines_are_read_once(tmp_path: Path) -> None:
    file = tmp_path / "status.jsonl"
    file.write_text('{"step": "a", "status": "Running"}\nnot json\n{"step": "a", "sta')
    process = JobProcess.of_old(tmp_path)
    assert [line["step"] for line in process.new_reports()] == ["a"]
    with file.open("a") as more:
        more.write('tus": "Completed"}\n')
    assert [line["status"] for line in process.new_reports()] == ["Completed"]
    assert list(process.new_reports()) == []


def test_folder_without_a_process_has_none(tmp_path: Path) -> None:
    assert JobProcess.find(tmp_path) is None
    process = JobProcess.of_old(tmp_path)
    assert not process.alive()
    assert (process.exit_code, process.last_words(), list(process.new_reports())) == (None, "", [])


def test_recorded_id_of_a_dead_process_gets_no_signal(tmp_path: Path) -> None:
    (tmp_path / "process.lock").touch()
    (tmp_path / "process.json").write_text(json.dumps({"pid": 1}))
    JobProcess.of_old(tmp_path).terminate()


def test_last_words_are_the_last_line_with_text(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "process.txt").write_text("Traceback\nValueError: no rows\n\n")
    assert JobProcess.of_old(tmp_path).last_words() == "ValueError: no rows"
