"""Run a job's command node: `python -m local.azureml.jobs.command FOLDER`. Exit 0: it completed, 1: it failed.

FOLDER/command.json says what to run. The files that the node reads are downloaded first, and what it wrote is uploaded
afterwards, as Azure's data runtime would; the command itself runs in a shell, in an empty directory, with the Python
that stands in for its environment.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError as StorageError
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from local.azureml.jobs.command_plan import PLACEHOLDER
from local.training.parent import end_with_parent

_LAST_LINES = 5
# What a container of Azure's would have; the emulator's own environment is none of the command's business.
_KEPT = ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


class FailedError(Exception):
    """The node failed; the message is the reason that the run history shows."""

    def __init__(self, message: str, code: str = "UserError") -> None:
        super().__init__(message)
        self.code = code


class CommandNode:
    """One node in its folder: `inputs`, `outputs`, and the working directory `wd`."""

    def __init__(self, folder: Path, document: dict[str, Any], storage: BlobServiceClient) -> None:
        self._folder, self._document, self._storage = folder, document, storage
        self._log = Path(document["log"])

    def run(self) -> None:
        """Raises: FailedError: an input is missing, the command failed, or a result is not there."""
        if self._document["fail"]:
            raise FailedError(self._document["fail"]["message"], self._document["fail"]["code"])
        for name in ("inputs", "outputs", "wd"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
            (self._folder / name).mkdir(parents=True)
        values = {
            "inputs": {name: self._input(name, sent) for name, sent in self._document["inputs"].items()},
            "outputs": {name: str(self._output(name, sent)) for name, sent in self._document["outputs"].items()},
        }
        code = self._execute(values)
        # What is mounted is kept as soon as it is written; what is uploaded, only after success.
        for name, sent in self._document["outputs"].items():
            if code == 0 or sent["mode"] != "Upload":
                self._keep(name, sent, is_needed=code == 0)
        if code != 0:
            raise FailedError(
                f"Execution failed. User process 'bash' exited with status code {code}. Please check log file "
                f"'user_logs/std_log.txt' for error details. Error: {self._last_lines()}"
            )

    def _input(self, name: str, sent: dict[str, str]) -> str:
        if "uri" not in sent:
            return sent["value"]
        folder = self._folder / "inputs" / name
        folder.mkdir()
        try:
            if sent["type"] == "uri_folder":
                return self._input_folder(folder, sent)
            target = folder / Path(sent["blob"]).name
            self._download(sent["container"], sent["blob"], target)
        except ResourceNotFoundError as fault:
            raise FailedError(f"Input {name}: {sent['uri']} was not found.") from fault
        except StorageError as fault:
            raise FailedError(f"Input {name}: {sent['uri']} could not be read: {fault.message}") from fault
        return str(target)

    def _input_folder(self, folder: Path, sent: dict[str, str]) -> str:
        prefix = f"{sent['blob'].rstrip('/')}/"
        blobs = self._storage.get_container_client(sent["container"]).list_blob_names(name_starts_with=prefix)
        for blob in blobs:
            target = folder / blob.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._download(sent["container"], blob, target)
        return str(folder)

    def _download(self, container: str, blob: str, target: Path) -> None:
        with target.open("wb") as out:
            self._storage.get_blob_client(container, blob).download_blob().readinto(out)

    def _output(self, name: str, sent: dict[str, str]) -> Path:
        """Answer the place of an output: a folder that is there, or a file that is not there yet."""
        folder = self._folder / "outputs" / name
        folder.mkdir()
        return folder if sent["type"] == "uri_folder" else folder / Path(sent["blob"]).name

    def _execute(self, values: dict[str, dict[str, str]]) -> int:
        command = PLACEHOLDER.sub(lambda match: values[match[1]][match[2]], self._document["command"])
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {f"AZURE_ML_INPUT_{name}": value for name, value in values["inputs"].items()}
        environment |= {f"AZURE_ML_OUTPUT_{name}": value for name, value in values["outputs"].items()}
        mlflow = self._document["mlflow"]
        environment |= {
            "PATH": f"{self._python()}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AZUREML_RUN_ID": self._document["run_id"],
            "AZUREML_ROOT_RUN_ID": self._document["job"],
            "MLFLOW_TRACKING_URI": mlflow["tracking_uri"],
            "MLFLOW_TRACKING_TOKEN": mlflow["token"],
            "MLFLOW_EXPERIMENT_ID": mlflow["experiment_id"],
            "MLFLOW_RUN_ID": self._document["run_id"],
            "REQUESTS_CA_BUNDLE": mlflow["ca_bundle"],
        }
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            return subprocess.run(
                ["bash", "-c", command],
                cwd=self._folder / "wd",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode

    def _python(self) -> Path:
        """Make a folder in which `python` is the one to use, whatever its own file is called."""
        folder = self._folder / "bin"
        folder.mkdir(exist_ok=True)
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(self._document["python"])} "$@"\n')
        python.chmod(0o755)
        return folder

    def _keep(self, name: str, sent: dict[str, str], *, is_needed: bool) -> None:
        place = self._folder / "outputs" / name
        files = sorted(path for path in place.rglob("*") if path.is_file())
        if sent["type"] != "uri_folder" and is_needed and not files:
            raise FailedError(f"Output {name}: the command did not write it.")
        for file in files:
            blob = sent["blob"]
            if sent["type"] == "uri_folder":
                blob = "/".join(part for part in (blob.rstrip("/"), file.relative_to(place).as_posix()) if part)
            with file.open("rb") as content:
                client = self._storage.get_blob_client(sent["container"], blob)
                client.upload_blob(content, overwrite=True)

    def _last_lines(self) -> str:
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return " ".join(lines[-_LAST_LINES:])


def report(folder: Path, step: str, status: str, error: dict[str, str] | None = None) -> None:
    line = {"time": datetime.now(UTC).isoformat(), "step": step, "status": status, "error": error}
    with (folder / "status.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps(line, ensure_ascii=False) + "\n")


def main(folder: Path) -> int:
    # The shell too: they share the process group that the emulator made for them.
    end_with_parent(lambda: os.killpg(0, signal.SIGKILL))
    document = json.loads((folder / "command.json").read_text("utf-8"))
    report(folder, document["node"], "Running")
    try:
        with BlobServiceClient.from_connection_string(document["storage"]) as storage:
            CommandNode(folder, document, storage).run()
    except FailedError as failed:
        report(folder, document["node"], "Failed", {"code": failed.code, "message": str(failed)})
        return 1
    report(folder, document["node"], "Completed")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
