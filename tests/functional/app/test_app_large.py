"""A dataset too large for the function is prepared by its job; everything after that finds what it always finds."""

import io
import json
import time
import zipfile

import pytest

from functions.job_events import job_event
from shared.errors import ActionRefusedError, DatasetGoneError
from shared.runs import actions, reception
from shared.runs.context import Context
from shared.runs.record import Run
from shared.runs.reports import report_of, report_page_of
from shared.runs.siblings import settle
from shared.runs.states import RunState
from tests.functional.app.driving import LIFE, TOWN, App, conversations, lines, states
from tests.functional.app.test_app_crashes import die_everywhere, wait_for_cancelled_job
from tests.functional.app.test_app_deliveries import event

STEP = "prepare_dataset"
RESULTS = {"train.jsonl", "test.jsonl", "report.json", "task.json"}
PAGE = "report.html"


@pytest.fixture
def app(app: App) -> App:
    """Everything is too large."""
    return app.configured(PREPARE_IN_FUNCTION_MAX_MB="0")


@pytest.fixture(scope="module")
def live(module_app: App) -> Run:
    large = module_app.configured(PREPARE_IN_FUNCTION_MAX_MB="0")
    return large.one_live(data=conversations(60), yaml="sample_percent: 50\ntest_fraction: 0.2\nseed: 7\n")


def rejected(app: App, run: Run) -> Run:
    run = app.until(run, "rejected", "failed", "live")
    assert run.state == "rejected", run.failure
    return run


def test_the_job_prepares_the_dataset_and_trains_on_it(app: App, live: Run) -> None:
    assert states(live) == list(LIFE)
    assert live.prepared_by == "job"
    handed_over, submitted = live.history[2], live.history[3]
    assert "more than PREPARE_IN_FUNCTION_MAX_MB (0): the job will prepare the dataset" in handed_over.reason
    assert "first it prepares the dataset on serverless (Standard_E4ds_v4)" in submitted.reason
    app.assert_one_of_everything(live)


def test_results_lie_where_the_function_would_have_put_them(app: App, live: Run) -> None:
    assert app.blobs_of(live) == RESULTS
    report = app.blob_json("prepared", f"{live.id}/report.json")
    assert report["usable"] is True
    assert report["dataset"] == live.dataset.path
    assert report["bytes_read"] == live.dataset.size
    for file in ("train", "test"):
        rows = app.blob(f"{live.id}/{file}.jsonl", "prepared").download_blob().readall().splitlines()
        assert len(rows) == report[f"rows_{file}"] == live.rows[f"rows_{file}"] > 0
    assert live.test_sha256 == report["test_sha256"]
    assert report_of(app.services, live.id).rows_read == 60
    assert PAGE in app.blobs_of(live, "runs")
    page = report_page_of(app.services, live.id).decode()
    assert live.dataset.path.rpartition("/")[2] in page
    assert TOWN in page  # sample conversations, as the function shows them
    assert live.findings is not None
    assert (live.findings.layout, live.findings.left_out) == (report["layout"], [])


def test_the_options_of_the_run_travel_to_the_job(app: App, live: Run) -> None:
    options = app.blob_json("prepared", f"{live.id}/report.json")["options"]
    assert (options["sample_percent"], options["test_fraction"], options["seed"]) == (50, 0.2, 7)
    assert live.rows["rows_sampled_out"] == 60 - live.rows["rows_kept"]


def test_the_function_and_the_job_prepare_alike(app: App, live: Run, module_app: App) -> None:
    data = app.blob(live.dataset.blob).download_blob().readall()
    small = module_app.until(module_app.received(data, options=live.options), "training")
    assert small.prepared_by == "function"
    for file in ("train.jsonl", "test.jsonl"):
        ours, theirs = (app.blob(f"{run.id}/{file}", "prepared").download_blob().readall() for run in (small, live))
        assert ours == theirs
    actions.cancel(app.services, small.id)


def test_the_smoke_test_asks_what_the_job_held_out(live: Run) -> None:
    assert live.smoke_test is not None
    assert live.smoke_test["asked"] == 2


def test_the_job_shows_the_preparation_as_a_step_of_its_own(app: App, live: Run) -> None:
    steps = app.services.plane.steps(live.id)
    assert [step["displayName"] for step in steps][:2] == [STEP, "ft_nlp_common_validation"]
    assert {step["status"] for step in steps} == {"Completed"}
    nodes = app.azure("GET", f"jobs/{live.id}").json()["properties"]["jobs"]
    assert nodes[STEP]["resources"] == {"instance_count": 1, "instance_type": "Standard_E4ds_v4"}
    assert nodes[STEP]["computeId"].endswith("/computes/serverless")  # as the SDK writes it


def test_the_step_brings_this_apps_own_package_along(app: App, live: Run) -> None:
    node = app.azure("GET", f"jobs/{live.id}").json()["properties"]["jobs"][STEP]
    path = node["inputs"]["package"]["uri"].rpartition("/paths/")[2]
    archive = zipfile.ZipFile(io.BytesIO(app.blob(path, "prepared").download_blob().readall()))
    assert {"shared/__init__.py", "shared/dataset/step.py", "shared/dataset/prepare.py"} <= set(archive.namelist())
    assert not any("azureml" in name or "runs" in name or "settings" in name for name in archive.namelist())


def test_a_second_run_registers_nothing_anew(app: App, live: Run) -> None:
    def registered() -> list[str]:
        return [
            version["id"]
            for container in ("components/azureml_anonymous", "environments/finetune-dataset-preparation")
            for version in app.azure("GET", f"{container}/versions").json()["value"]
        ]

    before = registered()
    assert len(before) == 2
    run = app.until(app.received(), "training")
    assert registered() == before
    actions.cancel(app.services, run.id)


def test_a_dataset_that_is_not_too_large_is_prepared_by_the_function(module_app: App) -> None:
    barely = module_app.configured(PREPARE_IN_FUNCTION_MAX_MB="1")
    for padding, by in ((80_000, "function"), (90_000, "job")):
        run = barely.until(barely.received(conversations(12, padding="x" * padding)), "training")
        assert run.prepared_by == by, run.dataset.size
        actions.cancel(barely.services, run.id)


def test_a_dataset_that_the_job_rejects_ends_the_run_as_rejected_with_the_reports_reason(app: App) -> None:
    run = app.received(lines(["{'single': 'quotes'}", "[]"]))
    run = rejected(app, run)
    assert states(run) == [*LIFE[:4], "rejected"]
    assert run.failure is not None
    assert (run.failure.reason, run.failure.retry_helps) == ("dataset", False)
    assert run.failure.message.startswith(f"{run.dataset.path}: none of the 2 rows can be used")
    assert run.rows["rows_rejected"] == 2
    assert app.blobs_of(run) == {"report.json", "task.json"}
    assert app.job_status(run.id) == "Failed"
    assert states(app.advance(run)) == states(run)
    with pytest.raises(ActionRefusedError, match="only a failed run"):
        actions.retry(app.services, run.id)


def test_a_job_whose_preparation_failed_never_trains(app: App) -> None:
    run = rejected(app, app.received(b"\n\n"))
    statuses = {step["displayName"]: step["status"] for step in app.services.plane.steps(run.id)}
    assert statuses.pop(STEP) == "Failed"
    assert set(statuses.values()) == {"Canceled"}


def test_a_dataset_that_was_replaced_before_it_was_prepared_fails_its_run_for_good(app: App) -> None:
    run = app.received()
    app.blob(run.dataset.blob).upload_blob(conversations(20), overwrite=True)
    run = app.advance(run)
    assert run.failure is not None
    assert (run.state, run.failure.reason, run.failure.retry_helps) == ("failed", "dataset_gone", False)
    assert "was replaced before it was prepared" in run.failure.message
    app.assert_nothing_submitted(run)


def test_a_dataset_that_was_removed_before_it_was_prepared_fails_its_run(app: App) -> None:
    run = app.received()
    app.blob(run.dataset.blob).delete_blob()
    run = app.advance(run)
    assert run.failure is not None
    assert (run.state, run.failure.reason) == ("failed", "dataset_gone")


def test_the_same_file_uploaded_again_is_prepared_all_the_same(app: App) -> None:
    run = app.received()
    app.blob(run.dataset.blob).upload_blob(conversations(), overwrite=True)
    run = app.until(run, "live", "failed")
    assert run.failure is None


def test_what_is_uploaded_after_the_submit_does_not_get_into_the_job(app: App) -> None:
    run = app.until(app.received(), "training")
    app.blob(run.dataset.blob).upload_blob(conversations(40), overwrite=True)
    run = app.until(run, "live", "failed")
    assert run.failure is None
    assert run.rows["rows_read"] == 12


def test_a_step_that_finds_another_version_fails_the_run_and_says_so(app: App) -> None:
    first = app.received()
    app.cloud.stub(endless=[first.id])
    first = app.until(first, "training")
    while app.job_status(first.id) != "Running":  # one job at a time: the second one is queued behind it
        time.sleep(0.05)
    run = app.until(app.received(), "training")
    assert app.job_status(run.id) in ("NotStarted", "Preparing", "Queued")
    app.blob(f"{run.id}/source/dataset", "prepared").upload_blob(conversations(20), overwrite=True)
    actions.cancel(app.services, first.id)
    run = app.until(run, "failed", "live")
    assert run.failure is not None
    assert (run.failure.state, run.failure.reason) == ("training", "dataset_gone")
    assert f"{run.dataset.path} was replaced before it was prepared: it has" in run.failure.message
    assert f"expected {run.dataset.size:,}" in run.failure.message
    assert app.blobs_of(run) == {"task.json", "failure.json"}


def test_every_event_may_come_twice(app: App) -> None:
    info = app.upload()
    run, _ = reception.receive(app.services, info, trigger="test")
    for _ in range(2):
        again, is_new = reception.receive(app.services, info, trigger="test")
        assert (again.id, is_new) == (run.id, False)
        app.until(run, "training", "live")
    while app.job_status(run.id) != "Completed":
        time.sleep(0.05)
    for _ in range(2):
        job_event(event(run.id))
        job_event(event(run.id, "RunStatusChanged", "Completed"))
    run = app.until(run, "live", "failed")
    assert states(run) == list(LIFE)
    app.assert_one_of_everything(run)


def test_a_training_that_fails_after_the_preparation_is_retried_without_preparing_again(app: App) -> None:
    fire = {"step": "chat_completion_finetune", "code": "UserError", "message": "The GPU is on fire."}
    app.cloud.faults(job=fire)
    run = app.until(app.received(), "failed", "live")
    assert run.failure is not None
    assert "step chat_completion_finetune: The GPU is on fire." in run.failure.message
    assert run.rows["rows_read"] == 12
    app.cloud.faults()
    written = app.blob(f"{run.id}/report.json", "prepared").get_blob_properties().etag
    actions.retry(app.services, run.id)
    (run,) = app.live(run)
    assert run.state == "live", run.failure
    assert run.job_name == f"{run.id}-r1"
    assert STEP not in [step["displayName"] for step in app.services.plane.steps(run.job_name)]
    assert app.blob(f"{run.id}/report.json", "prepared").get_blob_properties().etag == written


def test_a_preparation_that_fails_by_itself_is_repeated_by_a_retry(app: App) -> None:
    app.cloud.faults(job={"step": STEP, "code": "SystemError", "message": "The node was lost."})
    run = app.until(app.received(), "failed", "live")
    assert run.failure is not None
    assert (run.failure.reason, run.failure.retry_helps) == ("job_failed", True)
    assert f"step {STEP}: The node was lost." in run.failure.message
    app.cloud.faults()
    # The dataset is gone meanwhile; the run has its own copy.
    app.blob(run.dataset.blob).delete_blob()
    actions.retry(app.services, run.id)
    (run,) = app.live(run)
    assert run.state == "live", run.failure
    assert app.blobs_of(run) == RESULTS


def test_a_cancelled_run_leaves_no_copy_of_the_dataset(app: App) -> None:
    app.cloud.stub(seconds=600)
    run = app.until(app.received(), "training")
    assert actions.cancel(app.services, run.id).state == "cancelled"
    wait_for_cancelled_job(app, run.id)
    assert not any(name.startswith("source/") for name in app.blobs_of(run))


def test_a_size_that_the_region_does_not_offer_fails_before_a_job_is_submitted(module_app: App) -> None:
    wrong = module_app.configured(PREPARE_IN_FUNCTION_MAX_MB="0", PREPARATION_INSTANCE_TYPE="Standard_X1")
    run = wrong.until(wrong.received(), "failed")
    assert run.failure is not None
    assert (run.failure.state, run.failure.reason) == ("prepared", "compute_size_unknown")
    assert "Set PREPARATION_INSTANCE_TYPE" in run.failure.message
    wrong.assert_nothing_submitted(run)


def test_a_cluster_for_the_preparation_is_made_when_it_is_absent(module_app: App) -> None:
    app = module_app.configured(PREPARE_IN_FUNCTION_MAX_MB="0", PREPARATION_COMPUTE="cpu-large")
    run = app.received()
    deadline = time.monotonic() + 120
    while (seen := app.advance(run)).state != "training":
        assert seen.state == "prepared", seen.failure
        assert time.monotonic() < deadline
        app.clock.forward(minutes=1)
    node = app.azure("GET", f"jobs/{run.id}").json()["properties"]["jobs"][STEP]
    assert node["computeId"].endswith("/computes/cpu-large")
    assert "resources" not in node
    actions.cancel(app.services, run.id)


def test_workers_that_die_at_every_single_point_leave_one_of_everything(app: App) -> None:
    dying = app.configured(RUN_LEASE="1s", PREPARE_IN_FUNCTION_MAX_MB="0")
    run = dying.received()
    deaths = die_everywhere(dying, run, time.monotonic() + 300)
    run = dying.run(run)
    assert run.state == "live", run.failure
    assert states(run) == list(LIFE)
    assert deaths > 50
    dying.assert_one_of_everything(run)
    assert dying.blobs_of(run) == RESULTS


def test_a_copy_is_of_one_version_and_is_made_once(app: App) -> None:
    info = app.upload(b"first")
    blobs, to = app.services.blobs, ("prepared", "copied/source")
    assert blobs.copy(info.container, info.name, info.etag, to)
    made = app.blob(to[1], to[0]).get_blob_properties().etag
    assert blobs.copy(info.container, info.name, info.etag, to)
    assert app.blob(to[1], to[0]).get_blob_properties().etag == made
    app.blob(info.name).upload_blob(b"second", overwrite=True)
    # The copy stays what it is; another one of that version cannot be made any more.
    assert blobs.copy(info.container, info.name, info.etag, to)
    with pytest.raises(DatasetGoneError, match="was replaced before it was prepared"):
        blobs.copy(info.container, info.name, info.etag, ("prepared", "copied/other"))
    assert app.blob(to[1], to[0]).download_blob().readall() == b"first"
    for _ in range(2):
        blobs.delete(*to)
    assert not app.blob(to[1], to[0]).exists()


def test_the_task_names_no_text_of_the_dataset(app: App, live: Run) -> None:
    task = app.blob_json("prepared", f"{live.id}/task.json")
    assert task["dataset"]["name"] == live.dataset.path
    assert set(task) == {"dataset", "test", "tokenizer", "options", "training"}
    assert task["training"]["foundation_model"] == "SmolLM2-135M-Instruct"
    assert "Vendlebury" not in json.dumps(task)


def test_a_test_file_beside_a_large_dataset_is_what_the_job_tests_with(app: App) -> None:
    folder = f"pair{time.monotonic_ns()}"
    own = conversations(30)[-1000:].partition(b"\n")[2]
    app.blob(f"{folder}/test.jsonl").upload_blob(own)
    run, _ = reception.receive_by_name(app.services, uploaded(app, f"{folder}/train.jsonl"), options={})
    run = app.until(run, "training")
    assert run.test_file is not None
    run = app.until(run, "live", "failed")
    assert run.failure is None
    report = app.blob_json("prepared", f"{run.id}/report.json")
    assert report["test_file"]["dataset"] == f"datasets/{folder}/test.jsonl"
    assert report["rows_test"] == len(own.splitlines())
    assert app.blobs_of(run) == RESULTS


def test_a_test_file_that_is_replaced_before_it_is_copied_is_taken_as_it_is_then(app: App) -> None:
    folder = f"pair{time.monotonic_ns()}"
    app.blob(f"{folder}/test.jsonl").upload_blob(conversations(40)[-1000:].partition(b"\n")[2])
    run, _ = reception.receive_by_name(app.services, uploaded(app, f"{folder}/train.jsonl"), options={})
    with app.services.store.claim(run.id) as claim:
        settle(Context(claim, app.services))
        claim.run.move(RunState.PREPARING, now=app.clock(), trigger="test", reason="")
    one = conversations(50).splitlines(keepends=True)[-1]
    app.blob(f"{folder}/test.jsonl").upload_blob(one, overwrite=True)
    while (run := app.advance(run)).state != "training":
        assert run.failure is None
        app.clock.forward(minutes=1)
    run = app.until(run, "live", "failed")
    assert run.rows["rows_test"] == 1


def test_what_the_job_could_mend_is_put_where_people_find_it(app: App) -> None:
    cut = {"messages": [*json.loads(conversations(50).splitlines()[-1])["messages"], *blank_turns()]}
    run = app.until(app.received(conversations() + lines([json.dumps(cut)])), "live", "failed")
    assert run.failure is None
    assert run.findings is not None
    assert (run.findings.repaired, run.findings.rows_mendable) == (True, 1)
    assert {"repaired.jsonl", PAGE} <= app.blobs_of(run, "runs")
    assert app.blobs_of(run) == RESULTS


def test_a_tokenizer_that_cannot_be_read_fails_the_run_with_the_steps_words(app: App) -> None:
    folder = f"pair{time.monotonic_ns()}"
    app.blob(f"{folder}/words.json").upload_blob(b"no tokenizer")
    options = {"dataset": {"tokenizer": "words.json"}}
    run, _ = reception.receive_by_name(app.services, uploaded(app, f"{folder}/a.jsonl"), options=options)
    run = app.until(run, "failed", "live")
    assert run.failure is not None
    assert (run.failure.state, run.failure.reason) == ("training", "options")
    assert "is not a tokenizer.json that can be read" in run.failure.message


def uploaded(app: App, name: str) -> str:
    app.blob(name).upload_blob(conversations())
    return name


def blank_turns() -> list[dict[str, str]]:
    return [{"role": "user", "content": "More?"}, {"role": "assistant", "content": " "}]
