"""Datasets and options that cannot be used: rejected with the reason; nothing was submitted, nothing bills."""

import json

import pytest

from shared.errors import ActionRefusedError, OptionsError
from shared.runs import actions, reception
from shared.runs.states import RunState
from tests.functional.app.driving import App, conversations, lines, states


def row(role: str, content: str = "x") -> str:
    return json.dumps({"messages": [{"role": "user", "content": "Hello?"}, {"role": role, "content": content}]})


@pytest.mark.parametrize(
    ("data", "reasons", "message"),
    [
        (b"\x00\x01 this is not a dataset\n{", {}, "datasets/"),
        (b"", {}, "the file is empty"),
        (b"\n \n\n", {}, "the file holds only blank lines"),
        (
            lines([row("narrator"), "{'single': 'quotes'}", row("assistant", "  ")]),
            {"unknown_role": [1], "invalid_json": [2], "blank_turn": [3]},
            "none of the 3 rows can be used",
        ),
        (lines([row("assistant"), row("assistant", "y")]), {}, "start with the same user message"),
    ],
    ids=["not-json", "empty", "blank", "no-usable-row", "one-prompt"],
)
def test_a_broken_dataset_is_rejected_and_its_report_names_lines_and_reasons(
    app: App, data: bytes, reasons: dict[str, list[int]], message: str
) -> None:
    run = app.advance(app.received(data))
    assert states(run) == ["received", "preparing", "rejected"]
    assert run.failure is not None
    assert (run.failure.reason, run.failure.retry_helps) == ("dataset", False)
    assert message in run.failure.message
    report = app.blob_json("prepared", f"{run.id}/report.json")
    assert report["usable"] is False
    found = report["rejected_by_reason"]
    assert {reason: found[reason]["first_lines"] for reason in reasons} == reasons
    assert run.rows["rows_rejected"] == report["rows_rejected"]
    assert app.blobs_of(run) == {"report.json"}
    app.assert_nothing_submitted(run)


def test_a_rejected_run_stays_rejected(app: App) -> None:
    run = app.advance(app.received(b"[]"))
    assert states(app.advance(run)) == states(run)
    with pytest.raises(ActionRefusedError, match="only a failed run"):
        actions.retry(app.services, run.id)
    with pytest.raises(ActionRefusedError, match="nothing to cancel"):
        actions.cancel(app.services, run.id)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("foundation_modell: Phi-4\n", "unknown option `foundation_modell`"),
        ("sample_percent: 200\n", "sample_percent is 200, expected above 0 and up to 100"),
        ("a: [1, 2\nb: 3\n", "not valid YAML"),
        ("- just\n- a list\n", "expected options"),
        ("idle_after: soon\n", "idle_after is 'soon'"),
        ("dataset: {layout: shargpt}\n", "layout is 'shargpt', expected one of"),
        ("dataset: {columns: {answr: a}}\n", "'answr'"),
        ("dataset: {drop: [everything]}\n", "'everything'"),
    ],
)
def test_options_beside_the_dataset_that_cannot_be_used_reject_the_run(app: App, yaml: str, message: str) -> None:
    run = app.received(yaml=yaml)
    assert run.state == RunState.REJECTED
    assert run.failure is not None
    assert run.failure.reason == "options"
    assert message in run.failure.message
    assert f"{run.project}/finetune.yaml" in run.failure.message
    assert app.advance(run).state == RunState.REJECTED
    assert app.blob_json("runs", f"{run.id}/status.json")["state"] == "rejected"
    assert app.blobs_of(run) == set()
    app.assert_nothing_submitted(run)


def test_corrected_options_make_the_same_upload_a_new_run(app: App) -> None:
    info = app.upload(yaml="seed: many\n")
    rejected, _ = reception.receive(app.services, info, trigger="test")
    again, is_new = reception.receive(app.services, info, trigger="test")
    assert (rejected.state, again.id, is_new) == ("rejected", rejected.id, False)
    app.blob(f"{rejected.project}/finetune.yaml").upload_blob(b"seed: 3\n", overwrite=True)
    run, is_new = reception.receive(app.services, info, trigger="test")
    assert (run.state, run.options, is_new) == ("received", {"seed": 3}, True)
    actions.cancel(app.services, run.id)


def test_options_of_the_call_itself_are_refused_and_recorded_nowhere(app: App) -> None:
    before = app.services.store.page(state=None, project=None, size=500, token=None).runs
    with pytest.raises(OptionsError, match="unknown option `speed`"):
        reception.receive(app.services, app.upload(), trigger="test", options={"speed": 1})
    after = app.services.store.page(state=None, project=None, size=500, token=None).runs
    assert len(after) == len(before)


def test_metadata_that_cannot_be_used_rejects_the_run(app: App) -> None:
    run = app.received(metadata={"finetune_sample_percent": "all"})
    assert run.failure is not None
    assert (run.state, "blob metadata" in run.failure.message) == ("rejected", True)


def test_a_sample_is_drawn_from_the_dataset(app: App) -> None:
    run = app.until(app.received(conversations(200), options={"sample_percent": 25}), "training")
    assert 20 < run.rows["rows_kept"] < 80
    assert run.rows["rows_sampled_out"] == 200 - run.rows["rows_kept"]
    actions.cancel(app.services, run.id)


def test_a_dataset_that_was_replaced_before_it_was_read_fails_its_run_for_good(app: App) -> None:
    run = app.received()
    app.blob(run.dataset.blob).upload_blob(conversations(20), overwrite=True)
    run = app.advance(run)
    assert run.failure is not None
    assert (run.state, run.failure.reason, run.failure.retry_helps) == ("failed", "dataset_gone", False)
    with pytest.raises(ActionRefusedError, match="cannot help"):
        actions.retry(app.services, run.id)


def test_a_dataset_that_was_removed_before_it_was_read_fails_its_run(app: App) -> None:
    run = app.received()
    app.blob(run.dataset.blob).delete_blob()
    run = app.advance(run)
    assert run.failure is not None
    assert (run.state, run.failure.reason) == ("failed", "dataset_gone")
    app.assert_nothing_submitted(run)
