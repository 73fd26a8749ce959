"""The samples are what their README says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.fixture(scope="module")
def facts():
    return json.loads((SAMPLES / "vendlebury.facts.json").read_bytes())


@pytest.fixture(scope="module")
def vendlebury(prepared):
    return prepared((SAMPLES / "vendlebury.jsonl").read_bytes())


def test_every_row_of_the_sample_is_kept(vendlebury):
    assert (vendlebury.report.rows_read, vendlebury.report.rows_kept) == (87, 87)
    assert vendlebury.notes == {}
    assert vendlebury.report.rows_test >= 3


def test_every_fact_to_learn_is_trained_in_several_wordings(vendlebury, facts):
    learned = {fact["fact"] for fact in facts if fact["kind"] == "learned"}
    answers = [row["messages"][-1]["content"] for row in vendlebury.train]

    assert len(learned) == 8
    assert all(sum(fact in answer for answer in answers) >= 6 for fact in learned)


def test_held_out_questions_are_not_in_the_dataset(vendlebury, facts):
    asked = {message["content"].casefold() for row in vendlebury.rows for message in row["messages"]}

    assert not asked & {fact["question"].casefold() for fact in facts}
    assert {fact["kind"] for fact in facts} == {"learned", "general"}


def test_dirty_sample_is_usable_but_for_15_rows(prepared):
    found = prepared((SAMPLES / "dirty.jsonl").read_bytes())

    assert (found.report.rows_read, found.report.rows_kept, found.report.rows_rejected) == (22, 6, 15)


def test_broken_sample_is_rejected_row_by_row(prepared):
    found = prepared((SAMPLES / "broken.jsonl").read_bytes(), name="broken.jsonl")

    assert not found.report.usable
    assert found.report.rows_rejected == 15
    assert f"broken.jsonl: {found.report.reason}" in (SAMPLES / "README.md").read_text(encoding="utf-8")
