"""What people see of a preparation: the page, the repaired file, status.json; and what they must not see elsewhere."""

import gzip
import io
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import azure.functions as func
import pyarrow
import pytest
from pyarrow import parquet

from functions import http_api
from shared.runs import actions, reports
from shared.runs.lifecycle import advance
from shared.runs.record import Run
from shared.services import Services
from shared.storage import Blobs
from tests.functional.app.driving import App, conversations, lines

SECRET = "Zanzibar"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def talk(*texts: str) -> str:
    roles = ("user", "assistant")
    return json.dumps({"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]})


MENDABLE = lines(
    [*(talk(f"{SECRET} {i}?", "Yes.") for i in range(5)), talk("Cut?", "Yes.", f"{SECRET} at the end?"), "x"]
)
BROKEN = lines([json.dumps({"messages": [{"role": "user", "content": SECRET}, {"role": "narrator", "content": "?"}]})])


@pytest.fixture
def prepared(app: App) -> Iterator[Run]:
    run = app.until(app.received(MENDABLE), "training", "rejected")
    yield run
    actions.cancel(app.services, run.id)


def asked(run_id: str, accept: str | None = None, **query: str) -> func.HttpResponse:
    headers = {"Accept": accept} if accept else {}
    request = func.HttpRequest(
        method="GET", url="/api/x", headers=headers, params=query, route_params={"run_id": run_id}, body=b""
    )
    return http_api.show_report(request)


def page_of(app: App, run: Run) -> str:
    return str(app.blob(f"{run.id}/report.html", "runs").download_blob(encoding="utf-8").readall())


def test_a_page_for_people_lies_in_the_container_of_runs(app: App, prepared: Run) -> None:
    blob = app.blob(f"{prepared.id}/report.html", "runs")
    assert blob.get_blob_properties().content_settings.content_type == "text/html; charset=utf-8"
    page = page_of(app, prepared)
    assert page.startswith("<!doctype html>")
    assert SECRET in page
    assert prepared.dataset.path in page


def test_a_rejected_dataset_has_a_page_too(app: App) -> None:
    run = app.advance(app.received(BROKEN))
    assert run.state == "rejected"
    assert "the only row cannot be used" in page_of(app, run).lower()
    assert "repaired.jsonl" not in app.blobs_of(run, "runs")
    status = app.blob_json("runs", f"{run.id}/status.json")
    (finding,) = status["findings"]["left_out"]
    assert (finding["reason"], finding["rows"], finding["first"]) == ("unknown_role", 1, "line 1")
    assert any("a role is not one of" in sentence and "line 1" in sentence for sentence in status["summary"])
    assert set(status["files"]) == {"report_page", "report"}


def test_what_can_be_mended_lies_there_mended_and_can_be_uploaded_again(app: App, prepared: Run) -> None:
    assert prepared.findings is not None
    assert prepared.findings.repaired
    data = app.blob(f"{prepared.id}/repaired.jsonl", "runs").download_blob().readall()
    rows = [json.loads(line) for line in data.splitlines()]
    assert len(rows) == 6
    assert [message["role"] for message in rows[-1]["messages"]] == ["user", "assistant"]
    again = app.until(app.received(data), "training", "rejected")
    assert again.findings is not None
    assert (again.rows["rows_kept"], again.findings.repaired) == (6, False)
    assert "repaired.jsonl" not in app.blobs_of(again, "runs")
    actions.cancel(app.services, again.id)


def test_the_repaired_file_holds_every_row_of_a_sampled_dataset(app: App) -> None:
    data = lines(talk(f"Question {i}?", "Yes.", *(["And?"] if i % 2 else [])) for i in range(100))
    run = app.until(app.received(data, options={"sample_percent": 30}), "training")
    mended = app.blob(f"{run.id}/repaired.jsonl", "runs").download_blob().readall()
    assert run.rows["rows_kept"] < 60
    assert len(mended.splitlines()) == 100
    actions.cancel(app.services, run.id)


def test_a_person_with_nothing_but_the_storage_account_reads_what_happened(app: App, prepared: Run) -> None:
    status = app.blob_json("runs", f"{prepared.id}/status.json")
    assert list(status)[:2] == ["summary", "files"]
    said = " ".join(status["summary"])
    assert f"The run on {prepared.dataset.path} is training" in said
    assert "Of 7 rows 6 were kept" in said
    assert "Left out, 1 row: the line is not valid JSON (first in line 7)." in said
    assert "repaired.jsonl is the dataset" in said
    for name in ("report_page", "report", "repaired", "train", "test"):
        assert prepared.id in status["files"][name]
        path = status["files"][name].partition(prepared.id)[0].rstrip("/").rpartition("/")[2]
        file = status["files"][name].rpartition("/")[2]
        assert app.blob(f"{prepared.id}/{file}", path).exists()


def test_conversations_are_in_the_page_and_in_no_record(
    app: App, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, logger="shared"):
        run = app.until(app.received(MENDABLE), "training")
    assert SECRET in page_of(app, run)
    for container, file in (("prepared", "report.json"), ("runs", "status.json")):
        assert SECRET not in json.dumps(app.blob_json(container, f"{run.id}/{file}"))
    assert SECRET not in str(dict(app.services.store.entity(run.id)))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("shared", "functions"))]
    assert ours
    assert SECRET not in " ".join(ours)
    assert SECRET not in "".join(capfd.readouterr())
    actions.cancel(app.services, run.id)


def alpaca_csv() -> bytes:
    return lines(["instruction,input,output", *(f'"Who keeps lighthouse {i}?",,Odalys {i}.' for i in range(12))])


def sharegpt_parquet() -> bytes:
    turns = [[{"from": "human", "value": f"Lighthouse {i}?"}, {"from": "gpt", "value": "Odalys."}] for i in range(12)]
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"conversations": turns}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "format_name", "layout"),
    [
        (alpaca_csv(), "csv", "alpaca"),
        (sharegpt_parquet(), "parquet", "sharegpt"),
        (gzip.compress(conversations()), "jsonl", "openai"),
    ],
    ids=["csv", "parquet", "gzip"],
)
def test_a_dataset_of_any_kind_is_trained_on(app: App, data: bytes, format_name: str, layout: str) -> None:
    run = app.until(app.received(data), "training", "rejected")
    assert run.findings is not None
    assert (run.state, run.findings.format, run.findings.layout) == ("training", format_name, layout)
    assert run.rows["rows_kept"] == 12
    actions.cancel(app.services, run.id)


# --- over HTTP


def test_a_browser_is_shown_the_page_and_a_program_the_json(app: App, prepared: Run) -> None:
    for answer in (asked(prepared.id), asked(prepared.id, BROWSER, format="json"), asked(prepared.id, "*/*")):
        assert (answer.status_code, answer.mimetype, answer.headers["Vary"]) == (200, "application/json", "Accept")
        assert json.loads(answer.get_body())["rows_kept"] == 6
    for answer in (asked(prepared.id, BROWSER), asked(prepared.id, format="html")):
        assert (answer.status_code, answer.mimetype, answer.headers["Vary"]) == (200, "text/html", "Accept")
        assert answer.get_body().decode() == page_of(app, prepared)


def test_what_has_no_report_is_a_problem_in_either_form(app: App) -> None:
    fresh = app.received()
    for run_id, status in ((fresh.id, 409), ("bot-20260101000000-01234567", 404)):
        for answer in (asked(run_id), asked(run_id, BROWSER)):
            assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert asked(fresh.id, format="pdf").status_code == 400
    actions.cancel(app.services, fresh.id)


def test_a_run_whose_page_was_never_written_is_shown_one_without_conversations(app: App, prepared: Run) -> None:
    app.blob(f"{prepared.id}/report.html", "runs").delete_blob()
    answer = asked(prepared.id, BROWSER)
    assert answer.status_code == 200
    assert prepared.dataset.path in answer.get_body().decode()
    assert SECRET not in answer.get_body().decode()


# --- extras never stop a run


class Refusing(Blobs):
    """Storage that lets nobody write what is nice to have."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.settings.storage)

    def write_small(self, container: str, name: str, data: bytes, content_type: str = "application/json") -> None:
        if name.endswith(".html"):
            raise OSError(f"no space for {SECRET}")
        super().write_small(container, name, data, content_type)

    def writer(self, container: str, name: str) -> Any:
        if container == "runs":
            raise OSError(f"no space for {SECRET}")
        return super().writer(container, name)


def test_a_page_and_a_repaired_file_that_cannot_be_written_are_noted_and_stop_nothing(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    run = app.received(MENDABLE)
    with app.cloud.holding():
        run = advance(replace(app.services, blobs=Refusing(app.services)), run.id, trigger="test")
    assert run.state == "training"
    for file in ("report.html", "repaired.jsonl"):
        assert any(f"{file} could not be written (OSError)" in note for note in run.notes)
    assert SECRET not in caplog.text
    assert asked(run.id, BROWSER).status_code == 200
    actions.cancel(app.services, run.id)


def test_a_repaired_file_larger_than_anybody_looks_at_is_not_written(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for most in (10, len(MENDABLE) + 1):
        monkeypatch.setattr(reports, "MOST_REPAIRED", most)
        run = app.until(app.received(MENDABLE), "training")
        assert any("repaired.jsonl was not written: it would be larger" in note for note in run.notes)
        assert "repaired.jsonl" not in app.blobs_of(run, "runs")
        actions.cancel(app.services, run.id)


def test_the_costs_on_the_page_are_those_of_the_size_that_was_chosen(app: App) -> None:
    options: Mapping[str, Any] = {"compute": {"instance_type": "Standard_NC4as_T4_v3"}}
    run = app.received(conversations(30), options=options)
    run = app.until(run, "training", "failed")
    assert "Standard_NC4as_T4_v3" in page_of(app, run)
    if run.state == "training":
        actions.cancel(app.services, run.id)
