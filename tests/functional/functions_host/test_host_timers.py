"""Timers over real status and lock blobs."""

import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from local.clock import advance
from tests.functional.functions_host.hosts import Host, until

APP = """
    import os
    import time
    import azure.functions as func

    app = func.FunctionApp()

    def note(name, text):
        with open(os.path.join(os.environ["OUT"], name), "a") as file:
            file.write(text + "\\n")

    @app.timer_trigger(arg_name="timer", schedule="%EVERY%", run_on_startup=%STARTUP%)
    def tick(timer: func.TimerRequest) -> None:
        note("tick", f"{time.time():.3f} start {timer.past_due}")
        time.sleep(1.5)
        note("tick", f"{time.time():.3f} end")
        if os.environ.get("FAIL"):
            raise ValueError("no good")
"""


def status(blobs, host, function="tick"):
    name = f"timers/{host.settings['AzureFunctionsWebHost__hostid']}/Host.Functions.{function}/status"
    return blobs.get_blob_client("azure-webjobs-hosts", name)


def write(host, every, startup="False"):
    host.settings["EVERY"] = every
    host.write(APP.replace("%STARTUP%", startup))


def test_a_timer_fires_every_second_without_overlap_and_keeps_no_status(host, blobs):
    write(host, "* * * * * *")
    host.start()
    until(lambda: len(host.lines("tick")) >= 5)
    assert host.stop() == 0
    words = [line.split()[1] for line in host.lines("tick")]
    assert words == ["start", "end"] * (len(words) // 2)
    assert not status(blobs, host).exists()


def test_a_first_start_writes_a_status_and_does_not_fire(host, blobs):
    write(host, "0 0 0 1 1 *")
    host.start()
    until(lambda: status(blobs, host).exists())
    assert host.stop() == 0
    assert json.loads(status(blobs, host).download_blob().readall())["Last"] == "0001-01-01T00:00:00"
    assert host.lines("tick") == []


def test_what_was_missed_runs_once_and_the_status_advances_even_if_it_fails(host, blobs):
    write(host, "01:00:00")
    host.settings["FAIL"] = "1"
    ran = datetime.now(UTC) - timedelta(hours=5)
    kept = {"Last": ran.isoformat(), "Next": (ran + timedelta(hours=1)).isoformat(), "LastUpdated": ran.isoformat()}
    container = blobs.get_container_client("azure-webjobs-hosts")
    if not container.exists():
        container.create_container()
    status(blobs, host).upload_blob(json.dumps(kept))
    host.start()
    until(lambda: len(host.lines("tick")) == 2)
    until(lambda: json.loads(status(blobs, host).download_blob().readall()) != kept)
    assert host.stop() == 0
    assert host.lines("tick")[0].endswith("start True")
    after = json.loads(status(blobs, host).download_blob().readall())
    assert datetime.fromisoformat(after["Next"]) > datetime.now(UTC) + timedelta(minutes=50)
    assert len(host.lines("tick")) == 2


def test_a_run_on_startup_is_not_past_due(host):
    write(host, "0 0 0 1 1 *", "True")
    host.start()
    until(lambda: len(host.lines("tick")) == 2)
    assert host.lines("tick")[0].endswith("start False")


def test_only_one_of_two_hosts_fires_and_the_other_takes_over(host, azurite, tmp_path):
    write(host, "* * * * * *")
    host.start()
    until(lambda: host.lines("tick"))
    second = Host(tmp_path / "second", azurite.connection_string)
    second.settings |= host.settings | {"OUT": str(second.out)}
    second.write(APP.replace("%STARTUP%", "False"))
    second.start()
    try:
        time.sleep(2.5)
        assert second.lines("tick") == []
        assert host.stop() == 0
        until(lambda: second.lines("tick"))
    finally:
        second.process.kill()
        second.process.wait()


CLOCKS = """
    import asyncio
    import os
    import sys
    import time
    from datetime import datetime, timezone
    import azure.functions as func

    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="%EVERY%")
    def quarter(timer: func.TimerRequest) -> None:
        with open(os.path.join(os.environ["OUT"], "quarter"), "a") as file:
            file.write(f"{time.time():.3f} {timer.past_due}\\n")

    @app.route(route="clocks", auth_level=func.AuthLevel.ANONYMOUS)
    async def clocks(req: func.HttpRequest) -> func.HttpResponse:
        began = time.monotonic()
        await asyncio.sleep(0.05)
        now = datetime.now(timezone.utc).timestamp()
        patched = "time_machine" in sys.modules
        return func.HttpResponse(f"{time.time()} {now} {time.monotonic() - began} {time.monotonic()} {patched}")
"""


def clocks(host):
    seconds, now, took, monotonic, patched = httpx.get(f"{host.url}/api/clocks").text.split()
    assert abs(float(seconds) - float(now)) < 1
    assert float(took) < 10
    assert abs(float(monotonic) - time.monotonic()) < 30  # one clock for all processes of a machine
    return float(seconds) - time.time(), patched == "True"


def test_an_advance_moves_the_apps_wall_clock_alone_and_a_timer_fires_once_late_over_a_restart_too(host, blobs):
    # Every quarter of an hour, and none within the next seven minutes: neither now nor after an advance by whole hours.
    host.settings["EVERY"] = f"0 {(datetime.now(UTC).minute + 8) % 15}-59/15 * * * *"
    host.write(CLOCKS)
    host.start()
    assert clocks(host) == (pytest.approx(0, abs=30), False)
    until(lambda: status(blobs, host, "quarter").exists())
    advance(host.state_dir, timedelta(hours=9))
    until(lambda: host.lines("quarter"))
    assert clocks(host) == (pytest.approx(9 * 3600, abs=30), True)
    moment, is_late = host.lines("quarter")[0].split()
    assert is_late == "True"
    until(lambda: _next(blobs, host) > float(moment))
    assert _next(blobs, host) - float(moment) <= 15 * 60
    time.sleep(0.5)
    assert len(host.lines("quarter")) == 1

    assert host.stop() == 0
    advance(host.state_dir, timedelta(days=3))
    host.start()
    until(lambda: len(host.lines("quarter")) == 2)
    assert host.lines("quarter")[1].endswith("True")
    assert clocks(host) == (pytest.approx((72 + 9) * 3600, abs=30), True)


def _next(blobs, host):
    document = json.loads(status(blobs, host, "quarter").download_blob().readall())
    return datetime.fromisoformat(document["Next"]).timestamp()
