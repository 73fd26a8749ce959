"""The preparation as a step of a job: a task file in, files and a report out, and an exit code that tells the rest."""

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.dataset import PrepareOptions
from shared.dataset.files import prepare_file
from shared.dataset.step import ERROR, REJECTED, USABLE, main
from shared.runs.package import PARTS, dataset_package


def conversation(i: int) -> dict[str, Any]:
    question, answer = f"Where is house number {i}?", "Behind the secret door."
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


DATASET = "".join(f"{json.dumps(conversation(i))}\n" for i in range(40)).encode()


@dataclass
class Step:
    """One step in a folder, as Azure ML would lay it out."""

    folder: Path

    def run(self, data: bytes = DATASET, known: dict[str, Any] | None = None, **task: Any) -> int:
        (self.folder / "source").mkdir(exist_ok=True)
        (self.folder / "source" / "dataset").write_bytes(data)
        dataset = {"name": "datasets/bot/März 2026.jsonl", "size": len(data), "md5": None, **(known or {})}
        (self.folder / "task.json").write_text(json.dumps({"dataset": dataset, "options": {}, **task}))
        return main(self.arguments)

    @property
    def arguments(self) -> list[str]:
        results = [str(part) for name in ("train", "test") for part in (f"--{name}", self.folder / f"{name}.jsonl")]
        folder = str(self.folder)
        return [f"{folder}/task.json", "--source", f"{folder}/source", *results, "--findings", f"{folder}/findings"]

    def read(self, name: str) -> Any:
        return json.loads((self.folder / "findings" / name).read_bytes())

    @property
    def files(self) -> set[str]:
        written = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}
        return {name for name in written if name != "task.json" and not name.startswith("source/")}


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    (tmp_path / "wd").mkdir()
    monkeypatch.chdir(tmp_path / "wd")
    return Step(tmp_path)


def test_a_usable_dataset_becomes_rows_and_a_report(step: Step) -> None:
    assert step.run() == USABLE
    assert step.files == {"train.jsonl", "test.jsonl", "findings/report.json", "findings/report.html"}
    report = step.read("report.json")
    rows = {name: len((step.folder / f"{name}.jsonl").read_bytes().splitlines()) for name in ("train", "test")}
    assert (rows["train"], rows["test"]) == (report["rows_train"], report["rows_test"])
    assert rows["train"] + rows["test"] == 40
    assert report["dataset"] == "datasets/bot/März 2026.jsonl"


def test_the_results_are_those_of_the_command_line(step: Step, tmp_path: Path) -> None:
    options = {"sample_percent": 60, "test_fraction": 0.3, "seed": 11}
    assert step.run(options=options) == USABLE
    prepare_file(
        step.folder / "source" / "dataset",
        tmp_path / "direct",
        PrepareOptions(**options),  # type: ignore[arg-type]
        page=lambda _, __: b"",
    )
    for name in ("train.jsonl", "test.jsonl"):
        assert (step.folder / name).read_bytes() == (tmp_path / "direct" / name).read_bytes()
    assert step.read("report.json")["options"]["seed"] == 11


def test_a_rejected_dataset_leaves_its_report_and_nothing_else(step: Step, capsys: pytest.CaptureFixture[str]) -> None:
    assert step.run(b"{}\n[]\n") == REJECTED
    assert step.files == {"findings/report.json", "findings/report.html"}
    report = step.read("report.json")
    assert report["usable"] is False
    assert capsys.readouterr().err == f"{report['dataset']}: {report['reason']}\n"


@pytest.mark.parametrize(
    ("known", "said"),
    [({"size": 3}, "bytes, expected 3"), ({"md5": "0" * 32}, f"expected {'0' * 32}")],
    ids=["size", "md5"],
)
def test_another_version_of_the_dataset_is_noticed_before_anything_is_written(
    step: Step, known: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert step.run(known=known) == ERROR
    assert step.files == {"findings/failure.json"}
    trouble = step.read("failure.json")
    assert trouble["reason"] == "dataset_gone"
    assert trouble["message"].startswith("datasets/bot/März 2026.jsonl was replaced before it was prepared: it")
    assert said in trouble["message"]
    assert capsys.readouterr().err == f"{trouble['message']}\n"


def test_the_very_version_is_accepted_by_its_md5(step: Step) -> None:
    assert step.run(known={"md5": hashlib.md5(DATASET).hexdigest().upper()}) == USABLE


@pytest.mark.parametrize(
    ("options", "said"),
    [({"sample_percent": 0}, "sample_percent is 0"), ({"colour": "red"}, "colour")],
    ids=["out-of-range", "unknown"],
)
def test_options_that_cannot_be_carried_out_are_said(step: Step, options: dict[str, Any], said: str) -> None:
    assert step.run(options=options) == ERROR
    trouble = step.read("failure.json")
    assert (trouble["reason"], said in trouble["message"]) == ("options", True)
    assert "train.jsonl" not in step.files


def test_a_dataset_that_is_not_there_is_said(step: Step) -> None:
    step.run()
    (step.folder / "source" / "dataset").unlink()
    assert main(step.arguments) == ERROR
    assert "source/dataset: No such file" in step.read("failure.json")["message"]


def test_a_wrong_command_line_is_not_taken_for_a_rejection(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["task.json"])
    assert ended.value.code == ERROR
    assert "--source" in capsys.readouterr().err


def test_nothing_is_left_in_the_working_directory(step: Step) -> None:
    for data in (DATASET, b"[]"):
        step.run(data)
        assert list(Path.cwd().iterdir()) == []


def test_no_conversation_gets_into_logs_or_findings(step: Step, capsys: pytest.CaptureFixture[str]) -> None:
    step.run(DATASET + b'{"messages": [{"role": "secret door"}]}\n')
    said = capsys.readouterr()
    assert "secret door" not in said.out + said.err + (step.folder / "findings" / "report.json").read_text()


def test_the_package_that_travels_is_enough_to_run_the_step(step: Step) -> None:
    """In an empty directory, without this app on the path: as in a job."""
    step.run()
    (step.folder / "findings" / "report.json").unlink()
    name, archive = dataset_package()
    (step.folder / name).write_bytes(archive)
    with zipfile.ZipFile(step.folder / name) as package:
        package.extractall(step.folder / "unpacked")
    command = [sys.executable, "-m", "shared.dataset.step", *step.arguments]
    done = subprocess.run(command, cwd=step.folder / "unpacked", env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, step.read("report.json")["usable"]) == (USABLE, True), done.stderr


def test_the_package_is_named_by_its_content() -> None:
    name, archive = dataset_package()
    dataset_package.cache_clear()
    assert dataset_package() == (name, archive)
    assert "shared/dataset" in PARTS


def test_a_test_file_of_the_users_own_is_what_is_held_out(step: Step) -> None:
    own = "".join(f"{json.dumps(conversation(i))}\n" for i in range(100, 105)).encode()
    step.run()
    (step.folder / "source" / "test").write_bytes(own)
    assert step.run(test={"name": "datasets/bot/test.jsonl", "size": len(own)}) == USABLE
    report = step.read("report.json")
    assert (report["rows_train"], report["rows_test"]) == (40, 5)
    assert report["test_file"]["dataset"] == "datasets/bot/test.jsonl"


def test_another_version_of_the_test_file_is_noticed(step: Step) -> None:
    step.run()
    (step.folder / "source" / "test").write_bytes(b"{}")
    assert step.run(test={"name": "datasets/bot/test.jsonl", "size": 99}) == ERROR
    assert step.read("failure.json")["message"].startswith("datasets/bot/test.jsonl was replaced")


def test_a_tokenizer_that_is_none_is_said_and_named_as_its_owner_does(step: Step) -> None:
    step.run()
    (step.folder / "source" / "tokenizer.json").write_text("no tokenizer")
    assert step.run(tokenizer="phi.json") == ERROR
    trouble = step.read("failure.json")
    assert trouble["reason"] == "options"
    assert "is not a tokenizer.json that can be read" in trouble["message"]


def test_what_could_be_mended_is_put_beside_the_report(step: Step) -> None:
    blank = [{"role": "user", "content": "More?"}, {"role": "assistant", "content": " "}]
    rows = [conversation(i) for i in range(4)]
    broken = {"messages": [*conversation(9)["messages"], *blank]}
    assert step.run("".join(f"{json.dumps(row)}\n" for row in [*rows, broken]).encode()) == USABLE
    assert "findings/repaired.jsonl" in step.files
    assert step.read("report.json")["rows_mendable"] == 1


def test_the_page_says_what_the_training_takes_when_the_task_knows_of_it(step: Step) -> None:
    step.run()
    without = (step.folder / "findings" / "report.html").read_text()
    step.run(training={"foundation_model": "Phi-4", "instance_type": "Standard_NC24ads_A100_v4"})
    page = (step.folder / "findings" / "report.html").read_text()
    assert "Standard_NC24ads_A100_v4" in page
    assert "Standard_NC24ads_A100_v4" not in without
    assert "März 2026.jsonl" in page
