"""Faults are counted exactly, whoever reads the file, and a new rule counts anew."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from local import clock
from local.faults import changes
from local.faults.book import Book
from local.faults.rules import JobFault, RequestFault, RuleError

ROOT = Path(__file__).resolve().parents[4]
USER = """
import sys
from pathlib import Path
from local.faults.book import Book
from local.faults.rules import RequestFault
book = Book(Path(sys.argv[1]))
print(sum(book.find(RequestFault) is not None for _ in range(50)))
"""


def write(state_dir: Path, **faults: object) -> None:
    (state_dir / "faults.json").write_text(json.dumps(faults))


def test_times_is_exact_over_threads_and_processes(tmp_path: Path) -> None:
    write(tmp_path, requests=[{"status": 500, "times": 60}])
    command = [sys.executable, "-c", USER, str(tmp_path)]
    others = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    book = Book(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        mine = sum(rule is not None for rule in pool.map(lambda _: book.find(RequestFault), range(40)))
    assert mine + sum(int(other.communicate()[0]) for other in others) == 60


def test_a_rule_written_again_is_new(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for number in range(2):
        write(tmp_path, requests=[{"status": 500, "times": 1}])
        os.utime(tmp_path / "faults.json", (number, number))
        assert book.find(RequestFault) is not None
        assert book.find(RequestFault) is None


def test_a_rule_keeps_its_count_when_others_come_and_go(tmp_path: Path) -> None:
    write(tmp_path, requests=[{"status": 500, "times": 2}])
    book = Book(tmp_path)
    assert book.find(RequestFault) is not None
    (other,) = changes.add(tmp_path, {"requests": {"status": 503, "times": 1}})
    assert [rule.status for rule in (book.find(RequestFault), book.find(RequestFault)) if rule] == [500, 503]
    assert changes.remove(tmp_path, other)
    assert book.find(RequestFault) is None
    assert [one["used"] for one in changes.listing(tmp_path)] == [2]


def test_a_rule_ends_after_its_seconds(tmp_path: Path) -> None:
    now = 1000.0
    book = Book(tmp_path, lambda: now)
    write(tmp_path, requests=[{"status": 500, "seconds": 10}])
    os.utime(tmp_path / "faults.json", (995, 995))
    assert book.find(RequestFault) is not None
    now = 1006.0
    assert book.find(RequestFault) is None


def test_an_advance_of_the_clock_ends_a_rule_and_one_that_was_made_later_holds(tmp_path: Path) -> None:
    changes.add(tmp_path, {"requests": {"status": 500, "seconds": 120}})
    assert Book(tmp_path).entries()
    clock.advance(tmp_path, timedelta(hours=9))
    assert Book(tmp_path).entries() == []
    write(tmp_path, requests=[{"status": 503, "seconds": 120}])
    assert Book(tmp_path).find(RequestFault) is not None
    changes.add(tmp_path, {"requests": {"status": 429, "seconds": 120}})
    assert len(Book(tmp_path).entries()) == 2
    clock.advance(tmp_path, timedelta(minutes=2))
    assert Book(tmp_path).entries() == []


def test_one_thing_uses_a_rule_once_however_often_it_asks(tmp_path: Path) -> None:
    write(tmp_path, job={"step": "finetune", "times": 2})
    book = Book(tmp_path)
    found = [book.find(JobFault, who=who) is not None for who in ("a", "a", "b", "c", "c", "a")]
    assert found == [True, True, True, False, False, True]


def test_chance_with_a_seed_repeats(tmp_path: Path) -> None:
    rule = {"status": 500, "probability": 0.3, "seed": 7}
    write(tmp_path, requests=rule)
    first = [Book(tmp_path).find(RequestFault) is not None for _ in range(200)]
    changes.clear(tmp_path)
    changes.add(tmp_path, {"requests": rule})
    book = Book(tmp_path)
    assert [book.find(RequestFault) is not None for _ in range(200)] == first
    assert 30 < sum(first) < 90


def test_a_rule_that_cannot_be_is_said_once_and_the_others_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, requests=[{"status": "many"}, {"status": 500}], lose_outputs=True, events=None)
    book = Book(tmp_path)
    assert [entry.kind for entry in book.entries()] == ["requests", "lose_outputs"]
    book.entries()
    assert len(caplog.records) == 1
    assert "this rule is not used" in caplog.text


def test_of_rules_added_together_all_are_or_none(tmp_path: Path) -> None:
    with pytest.raises(RuleError):
        changes.add(tmp_path, {"requests": [{"status": 500}, {"status": 1}]})
    assert changes.listing(tmp_path) == []


def test_clearing_takes_rules_and_counts(tmp_path: Path) -> None:
    changes.add(tmp_path, {"requests": {"id": "one", "status": 500, "times": 1}})
    assert Book(tmp_path).find(RequestFault) is not None
    changes.clear(tmp_path)
    assert Book(tmp_path).entries() == []
    changes.add(tmp_path, {"requests": {"id": "one", "status": 500, "times": 1}})
    assert Book(tmp_path).find(RequestFault) is not None


def test_a_kill_on_request_is_known_once(tmp_path: Path) -> None:
    book = Book(tmp_path)
    assert not book.was_killed(42)
    book.note_kill(42)
    assert book.was_killed(42)
    assert not book.was_killed(42)
