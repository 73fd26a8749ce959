"""Days that pass in seconds: the clock of the local Azure, its services and the app."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from azure.storage.blob import BlobServiceClient

from tests.e2e.conftest import Local

pytestmark = pytest.mark.e2e
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
MINUTE = timedelta(minutes=1)
QUESTION = {"messages": [{"role": "user", "content": "Who?"}], "parameters": {"max_new_tokens": 4}}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    running = Local(tmp_path / "state")
    running.start(SWEEP_SCHEDULE="0 */15 * * * *")
    yield running
    if running._process.poll() is None:
        running.stop()
    running.ended()


def advance(local: Local, by: str) -> datetime:
    done = local.command("clock", "advance", by)
    assert done.returncode == 0, done.stdout + done.stderr
    return told(done.stdout)


def told(line: str) -> datetime:
    """Read what `clock` prints."""
    return datetime.strptime(line.partition(" UTC")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def last_sweep(local: Local) -> datetime | None:
    """Return when the sweep's timer fired last, as the host keeps it."""
    with BlobServiceClient.from_connection_string(local.env["AZURE_STORAGE_CONNECTION_STRING"]) as blobs:
        container = blobs.get_container_client("azure-webjobs-hosts")
        (name,) = [one for one in container.list_blob_names() if one.endswith(".sweep_idle_endpoints/status")] or [None]
        kept = json.loads(container.get_blob_client(name).download_blob().readall()) if name else {}
    last = kept.get("Last", "0001")
    return None if last.startswith("0001") else datetime.fromisoformat(last)


def requests_counted(local: Local, endpoint: str, now: datetime) -> float:
    """Ask the emulator's Azure Monitor for the requests of the minutes around a moment."""
    env = local.env
    identity = {"X-IDENTITY-HEADER": env["IDENTITY_HEADER"]}
    base, asked = local.up["urls"]["azureml"], {"resource": local.up["urls"]["azureml"]}
    with requests.Session() as session:
        session.trust_env, session.verify = False, env["REQUESTS_CA_BUNDLE"]
        token = session.get(env["IDENTITY_ENDPOINT"], params=asked, headers=identity, timeout=60).json()["access_token"]
        resource = (
            f"{base}/subscriptions/{env['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{env['AZURE_RESOURCE_GROUP']}/providers"
            f"/Microsoft.MachineLearningServices/workspaces/{env['AZUREML_WORKSPACE_NAME']}/onlineEndpoints/{endpoint}"
        )
        answer = session.get(
            f"{resource}/providers/Microsoft.Insights/metrics",
            params={
                "api-version": "2024-02-01",
                "metricnames": "RequestsPerMinute",
                "aggregation": "Total",
                "interval": "PT1M",
                "timespan": f"{now - 2 * MINUTE:%Y-%m-%dT%H:%M:00Z}/{now + 3 * MINUTE:%Y-%m-%dT%H:%M:00Z}",
            },
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
    assert answer.ok, answer.text
    (metric,) = answer.json()["value"]
    return sum(point.get("total", 0) for series in metric["timeseries"] for point in series["data"])


def test_an_advance_reaches_timers_app_and_metrics_and_a_run_still_works_and_is_retired_when_idle(local: Local) -> None:
    assert "as this machine's clock" in local.command("clock").stdout
    started = datetime.now(UTC)
    now = advance(local, "9h")
    assert timedelta(hours=9) - MINUTE < now - started < timedelta(hours=9) + MINUTE
    local.wait(lambda: (last_sweep(local) or started) > now - MINUTE, 240)

    with BlobServiceClient.from_connection_string(local.env["AZURE_STORAGE_CONNECTION_STRING"]) as blobs:
        blobs.get_blob_client("datasets", "town/facts.jsonl").upload_blob((SAMPLES / "vendlebury.jsonl").read_bytes())
    run = local.wait_for_state("live")
    times = [datetime.fromisoformat(entry["at"]) for entry in run["history"]]
    assert now - MINUTE < times[0] < times[-1] < now + 10 * MINUTE
    assert local.post(f"runs/{run['id']}/chat", QUESTION).ok
    assert requests_counted(local, run["endpoint"], told(local.command("clock").stdout)) >= 1

    assert local.stop() == 0
    local.start(SWEEP_SCHEDULE="0 */15 * * * *")
    assert "9h ahead of this machine" in local.command("clock").stdout
    local.wait(lambda: local.post(f"runs/{run['id']}/chat", QUESTION).ok, 240)
    assert local.only_run()["state"] == "live"

    for days in (2, 2):  # the first may only warn
        now = advance(local, f"{days}d")
        local.wait(lambda now=now: (last_sweep(local) or started) > now - MINUTE, 240)
    local.wait(lambda: local.only_run()["state"] == "retired", 240)
    local.wait(lambda: local.get("endpoints")["value"] == [], 240)
