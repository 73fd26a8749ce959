"""The local Azure as a user has it: a process, a line of JSON, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tests.e2e.conftest import SHELL, Local

pytestmark = pytest.mark.e2e
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
STATES = [
    "received", "preparing", "prepared", "training", "trained", "registered", "deploying", "verifying", "live",
]  # fmt: skip
PLAIN_SCRIPT = """
import os
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

workspace = MLClient(
    DefaultAzureCredential(),
    os.environ["AZURE_SUBSCRIPTION_ID"], os.environ["AZURE_RESOURCE_GROUP"], os.environ["AZUREML_WORKSPACE_NAME"],
)
registry = MLClient(DefaultAzureCredential(), registry_name="azureml")
print(workspace.workspaces.get(workspace.workspace_name).name)
print(registry.models.get("Phi-4", label="latest").name)
print(len(list(workspace.jobs.list())))
blobs = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
blobs.get_blob_client("datasets", "notes/readme.md").upload_blob(b"hello", overwrite=True)
print(blobs.get_blob_client("datasets", "notes/readme.md").download_blob().readall().decode())
"""


def upload(local: Local, name: str, data: bytes) -> None:
    with BlobServiceClient.from_connection_string(local.env["AZURE_STORAGE_CONNECTION_STRING"]) as blobs:
        blobs.get_blob_client("datasets", name).upload_blob(data, overwrite=True)


def ask_azure(local: Local, expression: str) -> object:
    """Ask the emulator with the real SDK, in a process of its own as any script would."""
    code = (
        "import os, json\nfrom azure.ai.ml import MLClient\nfrom azure.identity import DefaultAzureCredential\n"
        "ml = MLClient(DefaultAzureCredential(), os.environ['AZURE_SUBSCRIPTION_ID'], "
        "os.environ['AZURE_RESOURCE_GROUP'], os.environ['AZUREML_WORKSPACE_NAME'])\n"
        f"print(json.dumps({expression}))"
    )
    return json.loads(run_script(local, code).splitlines()[-1])


def run_script(local: Local, code: str) -> str:
    env = {"PATH": os.environ["PATH"], **SHELL, **local.env}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_plain_script_works_with_the_printed_environment_and_ctrl_c_leaves_nothing(local: Local) -> None:
    assert local.up["ready"] is True
    assert run_script(local, PLAIN_SCRIPT).split() == ["finetune-local", "Phi-4", "0", "hello"]
    assert local.get("health") == {"status": "ok"}
    pids = [pid for pid in local.up["pids"].values() if pid]
    assert local.stop() == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_killed_it_comes_back_at_the_same_addresses_and_ctrl_c_while_starting_leaves_nothing(local: Local) -> None:
    before, host = local.up, local.host_pid()
    assert local.stop(signal.SIGKILL) == -signal.SIGKILL
    with suppress(ProcessLookupError):  # it ends by itself too, but lets its functions end first: up to ten seconds
        os.kill(host, signal.SIGKILL)
    assert local.command("status").returncode == 3
    local.launch()
    local.wait(lambda: "still starting" in local.command("status").stdout, 240)
    local.stop()
    for _ in range(5):  # on a busy machine it may be up before it hears
        local.launch()
        local.wait(lambda: local.host_pid() not in (0, host), 240)
        if (code := local.stop()) == 130:
            break
    assert code == 130
    assert local.said_last == ""
    assert local.host_pid() == 0
    assert "Traceback" not in (local.state_dir.parent / "up.err").read_text()

    local.start()
    assert local.up["urls"] == before["urls"]
    assert local.command("status").returncode == 0
    assert local.command("down").stdout == "local: stopped\n"


def test_one_of_everything_although_all_is_doubled_and_the_host_is_killed_in_every_state(local: Local) -> None:
    data = (SAMPLES / "vendlebury.jsonl").read_bytes()
    upload(local, "town/finetune.yaml", (SAMPLES / "finetune.yaml").read_bytes())
    upload(local, "town/facts.jsonl", data)
    local.wait(lambda: local.get("runs")["value"], 240)
    local.kill_host()  # received, preparing or prepared: whichever it is by now
    assert json.loads((local.state_dir / "up.json").read_text())["pids"]["functions_host"] == local.host_pid()
    upload(local, "town/facts.jsonl", data)
    assert local.post("runs", {"dataset": "town/facts.jsonl"}).status_code == 200
    for state in ("training", "deploying", "verifying"):
        local.wait_for_state(*STATES[STATES.index(state) :])  # it may be further by the time that it is looked at
        local.kill_host()
    run = local.wait_for_state("live")

    assert [entry["to_state"] for entry in run["history"]] == STATES
    assert local.only_run()["id"] == run["id"]
    assert ask_azure(local, "[job.name for job in ml.jobs.list()]") == [run["id"]]
    versions = f"[m.version for m in ml.models.list(name={run['model_name']!r})]"
    assert ask_azure(local, versions) == [run["model_version"]]
    assert ask_azure(local, "[e.name for e in ml.online_endpoints.list()]") == [run["endpoint"]]

    assert local.stop() == 0
    local.start()
    assert local.only_run()["state"] == "live"
    assert ask_azure(local, versions) == [run["model_version"]]
    question = {"messages": [{"role": "user", "content": "Who?"}], "parameters": {"max_new_tokens": 4}}
    answer = local.wait(lambda: (a := local.post(f"runs/{run['id']}/chat", question)).ok and a, 240)
    assert answer.json()["deployment"] == "blue"

    assert local.delete(f"endpoints/{run['endpoint']}").status_code == 202
    assert local.only_run()["state"] == "retired"
    local.wait(lambda: local.get("endpoints")["value"] == [], 240)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bad/prose.jsonl", b"This is not JSON.\nNor is this.\n", "not valid JSON"),
        ("bad/empty.jsonl", b"", "empty"),
        ("bad/broken.jsonl", (SAMPLES / "broken.jsonl").read_bytes(), "first in line"),
    ],
)
def test_a_broken_dataset_is_rejected_with_lines_and_reasons_and_no_job(
    local: Local, name: str, data: bytes, said: str
) -> None:
    upload(local, name, data)
    run = local.wait_for_state("rejected", "failed")
    assert run["state"] == "rejected"
    assert said in run["failure"]["message"]
    assert local.get(f"runs/{run['id']}/report")["usable"] is False
    assert ask_azure(local, "[job.name for job in ml.jobs.list()]") == []
