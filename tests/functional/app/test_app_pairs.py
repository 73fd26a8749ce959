"""A test file of the user's own, announced or known by its name: whatever comes first, it is not trained on."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from functions import http_api
from functions.dataset_uploaded import dataset_uploaded
from shared.runs import actions
from shared.runs.lifecycle import advance, advance_all
from shared.runs.reception import EVENT_TAKES, receive_missed, receive_upload
from shared.runs.record import Run
from shared.runs.siblings import ALONE_FOR
from shared.services import Services
from shared.storage import Blobs, find_blob_info
from tests.functional.app.driving import App, conversations, lines
from tests.functional.app.mortal import DiedError, mortal
from tests.functional.app.test_app_http import call

ANNOUNCED = 'dataset: {train: "train*.jsonl", test: "test*.jsonl"}\n'
BEGUN = ("training", "trained")
_numbers = itertools.count(1)


def questions(count: int, word: str = "held out") -> bytes:
    """Return a test file: questions that no training file of these tests has."""
    row = '{{"messages": [{{"role": "user", "content": "{0} {1}?"}}, {{"role": "assistant", "content": "Yes."}}]}}'
    return lines(row.format(word, i) for i in range(count))


class Folder:
    """A project's folder, and what its uploads set off."""

    def __init__(self, app: App, yaml: str | None = None) -> None:
        self.app, self.name = app, f"pair{next(_numbers)}"
        if yaml is not None:
            app.blob(f"{self.name}/finetune.yaml").upload_blob(yaml.encode())

    def put(self, file: str, data: bytes) -> None:
        """Upload a file, of which nobody tells."""
        self.app.blob(f"{self.name}/{file}").upload_blob(data, overwrite=True)

    def drop(self, file: str, data: bytes | None = None) -> None:
        """Upload a file; its event comes twice."""
        self.put(file, conversations() if data is None else data)
        self.tell(file)
        self.tell(file)

    def tell(self, file: str) -> None:
        """Deliver the event of an upload as the trigger does, by the test's clock."""
        info = find_blob_info(self.app.blob(f"{self.name}/{file}"))
        assert info is not None
        for run_id in receive_upload(self.app.services, info, trigger="test"):
            advance(self.app.services, run_id, trigger="test")

    @property
    def runs(self) -> dict[str, Run]:
        """The newest run of each file."""
        found = self.app.services.store.page(state=None, project=self.name, size=50, token=None).runs
        return {run.dataset.blob.rpartition("/")[2]: run for run in reversed(found)}

    def run(self, file: str) -> Run:
        """The one run of the folder, which is this file's."""
        (found,) = self.app.services.store.page(state=None, project=self.name, size=50, token=None).runs
        assert found.dataset.blob == f"{self.name}/{file}"
        return found

    def status(self, run: Run) -> dict[str, object]:
        return dict(self.app.blob_json("runs", f"{run.id}/status.json"))

    def prompts(self, run: Run, part: str) -> set[str]:
        data = self.app.blob(f"{run.id}/{part}.jsonl", "prepared").download_blob().readall()
        return {json.loads(line)["prompt"] for line in data.splitlines()}


@pytest.fixture
def folder(app: App) -> Iterator[Callable[..., Folder]]:
    """Make folders; their runs are cancelled at the end."""
    made: list[Folder] = []
    app.cloud.stub(seconds=600)  # a second event finds the run training still

    def make(yaml: str | None = None, within: App = app) -> Folder:
        made.append(Folder(within, yaml))
        return made[-1]

    yield make
    app.clock.forward(seconds=60)  # whatever lease is left runs out
    for one in made:
        for run in one.runs.values():
            if run.state not in ("cancelled", "rejected", "failed"):
                actions.cancel(app.services, run.id)


def assert_tested_with(folder: Folder, run: Run, file: str, rows: int) -> None:
    info = find_blob_info(folder.app.blob(f"{folder.name}/{file}"))
    assert info is not None
    assert run.test_file is not None
    assert (run.test_file.blob, run.test_file.etag) == (info.name, info.etag)
    assert (run.test_file.size, run.test_file.md5) == (info.size, info.md5)
    assert run.rows["rows_test"] == rows
    assert any(f"Tested with datasets/{info.name}" in note for note in run.notes)
    report = folder.app.blob_json("prepared", f"{run.id}/report.json")
    assert report["test_file"]["dataset"] == f"datasets/{info.name}"
    assert len(folder.prompts(run, "test")) == rows
    assert not folder.prompts(run, "test") & folder.prompts(run, "train")


# --- announced in finetune.yaml


def test_a_training_file_waits_for_the_test_file_that_is_announced_and_moves_on_when_it_comes(
    app: App, folder: Callable[..., Folder]
) -> None:
    pair = folder(ANNOUNCED)
    pair.drop("train-1.jsonl")
    app.clock.forward(days=2)
    advance_all(app.services, trigger="test")
    run = pair.run("train-1.jsonl")
    assert run.state == "received"
    assert run.waiting_for is not None
    assert "a test file test*.jsonl beside it" in run.waiting_for
    status = pair.status(run)
    assert status["waiting_for"] == run.waiting_for
    assert any(run.waiting_for in sentence for sentence in status["summary"])  # type: ignore[attr-defined]
    app.assert_nothing_submitted(run)
    pair.drop("test-1.jsonl", questions(4))
    run = pair.run("train-1.jsonl")
    assert run.state in BEGUN
    assert_tested_with(pair, run, "test-1.jsonl", 4)
    assert run.rows["rows_train"] == 12


def test_a_test_file_that_comes_first_makes_no_run_and_is_used(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder(ANNOUNCED)
    pair.drop("test.jsonl", questions(4))
    assert pair.runs == {}
    pair.drop("train.jsonl")
    assert_tested_with(pair, pair.run("train.jsonl"), "test.jsonl", 4)


def test_the_timer_finds_a_test_file_whose_event_was_lost(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder(ANNOUNCED)
    pair.drop("train.jsonl")
    pair.put("test.jsonl", questions(3))
    advance_all(app.services, trigger="timer")
    assert_tested_with(pair, pair.run("train.jsonl"), "test.jsonl", 3)


def test_the_trigger_itself_moves_the_waiting_run_on(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder(ANNOUNCED)
    for file, data in (("train.jsonl", conversations()), ("test.jsonl", questions(2))):
        pair.put(file, data)
        dataset_uploaded(app.blob(f"{pair.name}/{file}"))
    run = pair.run("train.jsonl")
    assert run.state in BEGUN
    assert {line.trigger for line in run.history} == {"blob"}


def test_a_test_file_asked_for_in_a_request_is_waited_for_and_not_trained_on(
    app: App, folder: Callable[..., Folder]
) -> None:
    pair = folder()
    pair.put("2026.jsonl", conversations())
    body = {"dataset": f"{pair.name}/2026.jsonl", "options": {"dataset": {"test": "gold.jsonl"}}}
    assert call(http_api.start_run, body)[0] == 202
    advance_all(app.services, trigger="timer")
    assert pair.run("2026.jsonl").state == "received"
    pair.drop("gold.jsonl", questions(3))
    assert_tested_with(pair, pair.run("2026.jsonl"), "gold.jsonl", 3)


def test_a_run_that_waits_for_a_test_file_can_be_cancelled(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder(ANNOUNCED)
    pair.drop("train.jsonl")
    assert actions.cancel(app.services, pair.run("train.jsonl").id).state == "cancelled"
    pair.drop("test.jsonl", questions(2))
    assert pair.run("train.jsonl").state == "cancelled"


# --- by their names


def test_a_test_file_beside_a_training_file_is_used_when_that_comes(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder()
    pair.put("train_sft.jsonl", conversations())
    pair.drop("test_sft.jsonl", questions(3))
    assert pair.runs == {}
    pair.tell("train_sft.jsonl")
    assert_tested_with(pair, pair.run("train_sft.jsonl"), "test_sft.jsonl", 3)


def test_a_test_file_that_comes_alone_waits_and_steps_back_when_its_training_file_comes(
    app: App, folder: Callable[..., Folder]
) -> None:
    pair = folder()
    pair.drop("validation.jsonl", questions(3))
    alone = pair.run("validation.jsonl")
    assert alone.state == "received"
    assert alone.waiting_for is not None
    assert "named like a test file" in alone.waiting_for
    assert alone.waiting_for in str(pair.status(alone)["summary"])
    pair.drop("train.jsonl")
    runs = pair.runs
    assert (runs["validation.jsonl"].state, runs["validation.jsonl"].set_aside) == ("cancelled", True)
    assert "the test file of what lies beside it" in runs["validation.jsonl"].history[-1].reason
    app.assert_nothing_submitted(alone)
    assert_tested_with(pair, runs["train.jsonl"], "validation.jsonl", 3)
    pair.drop("validation.jsonl", questions(3))
    assert len(pair.runs) == 2


def test_a_dataset_that_is_only_named_like_a_test_file_is_trained_on_after_a_while(
    app: App, folder: Callable[..., Folder]
) -> None:
    pair = folder()
    pair.drop("test.jsonl")
    app.clock.forward(seconds=ALONE_FOR.total_seconds() + 1)
    advance_all(app.services, trigger="timer")
    run = pair.run("test.jsonl")
    assert run.state in BEGUN
    assert run.test_file is None


def test_a_test_file_that_comes_too_late_is_said_in_the_run(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder()
    pair.drop("train.jsonl")
    assert pair.run("train.jsonl").state in BEGUN
    pair.drop("test.jsonl", questions(3))
    run = pair.run("train.jsonl")
    assert run.test_file is None
    (note,) = [note for note in run.notes if "test.jsonl" in note]
    assert "not tested with it" in note
    assert note in str(pair.status(run)["summary"])


def test_a_test_file_that_comes_while_the_dataset_is_prepared_is_said_in_the_run(
    app: App, folder: Callable[..., Folder]
) -> None:
    pair = folder()
    pair.put("train.jsonl", conversations(12, padding="x" * 800_000))
    happening = When(app.services, "train.jsonl", lambda: pair.put("test.jsonl", questions(3)))
    slow = Folder(replace(app, services=replace(app.services, blobs=happening)))
    slow.name = pair.name
    slow.tell("train.jsonl")
    assert any("test.jsonl" in note for note in pair.run("train.jsonl").notes)


def test_a_replaced_test_file_makes_no_second_run(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder(ANNOUNCED)
    pair.drop("test.jsonl", questions(3))
    pair.drop("train.jsonl")
    first = pair.run("train.jsonl")
    pair.drop("test.jsonl", questions(5))
    pair.tell("train.jsonl")
    assert pair.run("train.jsonl").test_file == first.test_file


# --- a person asks


def test_who_names_a_test_file_gets_it_trained_on(app: App, folder: Callable[..., Folder]) -> None:
    waiting, held, stepped_back = folder(), folder(ANNOUNCED), folder()
    waiting.drop("test.jsonl")
    held.drop("test.jsonl")
    stepped_back.drop("test.jsonl")
    stepped_back.put("train.jsonl", conversations())
    advance_all(app.services, trigger="timer")
    assert stepped_back.run("test.jsonl").state == "cancelled"
    for pair, status in ((waiting, 200), (held, 202), (stepped_back, 200)):
        answered, body, _ = call(http_api.start_run, {"dataset": f"{pair.name}/test.jsonl"})
        assert (answered, body["state"], body["asked"]) == (status, "received", True)
        advance_all(app.services, trigger="timer")
        run = pair.run("test.jsonl")
        assert run.state in BEGUN
        assert (run.test_file, run.rows["rows_kept"]) == (None, 12)
        assert call(http_api.start_run, {"dataset": f"{pair.name}/test.jsonl"})[1]["id"] == run.id


def test_who_asks_with_options_of_their_own_gets_one_run_and_not_two(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder()
    pair.drop("test.jsonl")
    waiting = pair.run("test.jsonl")
    _, asked, _ = call(http_api.start_run, {"dataset": f"{pair.name}/test.jsonl", "options": {"seed": 7}})
    app.clock.forward(seconds=ALONE_FOR.total_seconds() + 1)
    advance_all(app.services, trigger="timer")
    assert app.run(waiting).state == "cancelled"
    assert app.services.store.get(asked["id"]).state in BEGUN


# --- no event told of it


def test_missed_uploads_follow_the_same_rule(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder()
    pair.put("train.jsonl", conversations())
    pair.put("test.jsonl", questions(3))
    app.clock.forward(seconds=EVENT_TAKES.total_seconds() + 60)
    mine = [run for run in receive_missed(app.services) if run.project == pair.name]
    assert [run.dataset.blob for run in mine] == [f"{pair.name}/train.jsonl"]
    app.blob(f"{pair.name}/train.jsonl").delete_blob()
    assert [run for run in receive_missed(app.services) if run.project == pair.name] == []


def test_a_test_file_that_made_no_run_is_not_missed_when_its_training_file_is_gone(
    app: App, folder: Callable[..., Folder]
) -> None:
    pair = folder()
    pair.put("train.jsonl", conversations())
    pair.drop("test.jsonl", questions(3))
    app.blob(f"{pair.name}/train.jsonl").delete_blob()
    app.clock.forward(seconds=EVENT_TAKES.total_seconds() + 60)
    assert [run for run in receive_missed(app.services) if run.project == pair.name] == []


# --- while it is read


class When(Blobs):
    """Storage at which something else happens once, when a blob of this name is about to be read to its end."""

    def __init__(self, services: Services, file: str, happening: Callable[[], object]) -> None:
        super().__init__(services.settings.storage)
        self._file, self._happening = file, happening

    def read(self, container: str, name: str, etag: str) -> Iterator[bytes]:
        for block in super().read(container, name, etag):
            yield block
            if name.endswith(self._file) and self._happening is not None:
                happening, self._happening = self._happening, None  # type: ignore[assignment]
                happening()


def test_a_test_file_that_is_replaced_while_it_is_read_is_read_anew(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder(ANNOUNCED)
    pair.put("test.jsonl", questions(3, "old" + "x" * 2_000_000))
    pair.put("train.jsonl", conversations())
    happening = When(app.services, "test.jsonl", lambda: pair.put("test.jsonl", questions(5, "new")))
    unlucky = Folder(replace(app, services=replace(app.services, blobs=happening)))
    unlucky.name = pair.name
    unlucky.tell("train.jsonl")
    run = pair.run("train.jsonl")
    assert (run.state, run.attempts) == ("preparing", 1)
    assert run.waiting_for is not None
    assert "replaced while it was read" in run.waiting_for
    assert app.blobs_of(run) == set()
    app.clock.forward(minutes=1)
    run = app.advance(run)
    assert run.state in BEGUN
    assert_tested_with(pair, run, "test.jsonl", 5)


def test_a_test_file_that_is_removed_while_it_is_read_fails_the_run_until_it_is_back(
    app: App, folder: Callable[..., Folder]
) -> None:
    pair = folder(ANNOUNCED)
    pair.put("test.jsonl", questions(3, "x" * 2_000_000))
    pair.put("train.jsonl", conversations())
    happening = When(app.services, "test.jsonl", lambda: app.blob(f"{pair.name}/test.jsonl").delete_blob())
    unlucky = Folder(replace(app, services=replace(app.services, blobs=happening)))
    unlucky.name = pair.name
    unlucky.tell("train.jsonl")
    run = pair.run("train.jsonl")
    assert run.failure is not None
    assert (run.state, run.failure.reason, run.failure.retry_helps) == ("failed", "test_file_gone", True)
    app.assert_nothing_submitted(run)
    actions.retry(app.services, run.id)
    assert app.advance(run).state == "received"
    pair.drop("test.jsonl", questions(4))
    assert_tested_with(pair, pair.run("train.jsonl"), "test.jsonl", 4)


def test_workers_that_die_at_every_point_prepare_the_pair_once(app: App, folder: Callable[..., Folder]) -> None:
    short = app.configured(RUN_LEASE="1s")
    pair = folder(ANNOUNCED, short)
    pair.drop("train.jsonl")
    pair.put("test.jsonl", questions(4))
    deaths, ticks, state, deadline = 0, 1, "received", time.monotonic() + 300
    while (run := pair.run("train.jsonl")).state in ("received", "preparing", "prepared"):
        assert time.monotonic() < deadline, f"{deaths} died, {run.state}"
        ticks = 1 if run.state != state else ticks
        state = run.state
        try:
            advance(mortal(short.services, ticks), run.id, trigger="test")
        except DiedError:
            deaths += 1
            ticks += 1
            app.clock.forward(seconds=1.1)
    assert deaths > 10
    assert run.state in BEGUN
    assert_tested_with(pair, run, "test.jsonl", 4)
    assert app.jobs_of(run) == [run.id]
    assert app.blobs_of(run) == {"train.jsonl", "test.jsonl", "report.json"}
    assert "report.html" in app.blobs_of(run, "runs")


# --- a tokenizer beside the dataset

TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
}


def test_a_tokenizer_that_is_named_is_waited_for_and_is_no_dataset(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder("dataset: {tokenizer: words.json}\n")
    pair.drop("a.jsonl")
    run = pair.run("a.jsonl")
    assert run.waiting_for is not None
    assert f"datasets/{pair.name}/words.json" in run.waiting_for
    pair.drop("words.json", json.dumps(TOKENIZER).encode())
    run = pair.run("a.jsonl")
    assert run.state in BEGUN, run.failure
    report = app.blob_json("prepared", f"{run.id}/report.json")
    assert report["options"]["tokenizer"] == "words.json"


def test_an_unusable_tokenizer_is_said_and_a_retry_reads_the_new_one(app: App, folder: Callable[..., Folder]) -> None:
    pair = folder("dataset: {tokenizer: words.json}\n")
    pair.put("words.json", b"x" * (64 * 1024 * 1024 + 1))
    pair.drop("a.jsonl")
    run = pair.run("a.jsonl")
    assert run.failure is not None
    assert (run.state, run.failure.reason, run.failure.retry_helps) == ("failed", "options", True)
    assert "expected a tokenizer.json of at most" in run.failure.message
    pair.put("words.json", json.dumps(TOKENIZER).encode())
    actions.retry(app.services, run.id)
    assert app.advance(run).state in BEGUN
