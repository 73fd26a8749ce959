"""Whole datasets: what comes out of them."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from shared.dataset import DatasetRejectedError, PrepareOptions, PrepareOptionsError, Progress, Report, prepare


def _questions(chat, count, **fields):
    return [chat(f"question {i}", f"answer {i}", **fields) for i in range(count)]


def test_rows_come_out_in_the_seed_layout(prepared, chat, jsonl):
    found = prepared(jsonl([chat("Hi", "Hello", system="Be kind"), chat("Bye", "See you")]))

    row = next(row for row in found.rows if row["prompt"] == "Hi")
    assert list(row) == ["prompt", "messages", "prompt_id"]
    assert [list(message) for message in row["messages"]] == [["content", "role"]] * 3
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant"]
    assert row["prompt_id"] == hashlib.sha256(b"Hi").hexdigest()
    assert found.report.layout == "openai"


def test_given_prompt_id_is_kept(prepared, chat, jsonl):
    rows = [chat(q, "a", prompt=q, prompt_id=f"id-{q}") for q in ("one", "two")]

    found = prepared(jsonl(rows))

    assert {row["prompt_id"] for row in found.rows} == {"id-one", "id-two"}
    assert found.report.layout == "prompt_messages"
    assert found.notes == {}


def test_bom_crlf_blank_lines_and_missing_last_newline_change_nothing(prepared, chat, jsonl):
    plain = jsonl(_questions(chat, 30))
    dressed = b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n\r\n").rstrip()

    found, expected = prepared(dressed), prepared(plain)

    assert (found.train, found.test) == (expected.train, expected.test)
    assert found.reasons == {}
    assert found.notes == {"bom_removed": 1, "blank_line": 29}


def test_duplicates_are_found_by_content(prepared, chat):
    row = chat("Où ?", "Là.")
    other_bytes = json.dumps({"id": 7, "messages": [dict(reversed(m.items())) for m in row["messages"]]}, indent=None)
    lines = [json.dumps(row), json.dumps(row, ensure_ascii=False), other_bytes, json.dumps(chat("Où ?", "Ici."))]

    found = prepared("\n".join([*lines, json.dumps(chat("Qui ?", "Moi."))]).encode())

    assert found.report.rows_duplicate == 2
    assert found.report.rows_kept == 3


def test_contents_that_join_to_the_same_text_are_no_duplicates(prepared, chat, jsonl):
    found = prepared(jsonl([chat("ab", "c"), chat("a", "bc"), chat("a", "b", "c", "d"), chat("a", "b", system="c")]))

    assert found.report.rows_duplicate == 0


def test_a_prompt_is_never_in_both_splits(prepared, chat, jsonl):
    rows = [chat(f"question {i % 40}", f"answer {i}") for i in range(400)]

    found = prepared(jsonl(rows), test_fraction=0.3)

    assert found.train
    assert found.test
    assert not {row["prompt"] for row in found.train} & {row["prompt"] for row in found.test}


def test_split_keeps_its_share(prepared, chat, jsonl):
    found = prepared(jsonl(_questions(chat, 4_000)), test_fraction=0.1)

    assert 340 <= found.report.rows_test <= 460


def test_split_stays_when_rows_are_added(prepared, chat, jsonl):
    rows = _questions(chat, 600)

    before, after = prepared(jsonl(rows[:400])), prepared(jsonl(rows))

    assert {r["prompt"] for r in before.test} <= {r["prompt"] for r in after.test}
    assert {r["prompt"] for r in before.train} <= {r["prompt"] for r in after.train}


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("fraction", [0.0001, 0.05, 0.5, 0.9999])
def test_small_dataset_gets_both_splits_in_any_order(count, fraction, prepared, chat, jsonl):
    rows = [chat(f"question {i}", f"answer {k}") for i in range(count) for k in range(3)]
    splits = set()
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        found = prepared(jsonl(rows), test_fraction=fraction)
        assert found.report.usable
        assert found.train
        assert found.test
        splits.add(frozenset(row["prompt"] for row in found.test))

    assert len(splits) == 1


def test_rows_held_back_beyond_memory_are_kept(prepared, chat, jsonl):
    rows = [chat("the same question", f"{i} " + "x" * 50_000) for i in range(150)] + [chat("other", "answer")]

    found = prepared(jsonl(rows), test_fraction=0.0001)

    assert {found.report.rows_train, found.report.rows_test} == {150, 1}


def test_no_test_set_when_none_is_asked_for(prepared, chat, jsonl):
    found = prepared(jsonl(_questions(chat, 50)), test_fraction=0)

    assert (found.report.rows_train, found.report.rows_test) == (50, 0)


def test_sample_is_a_share_of_the_prompts_and_grows_with_it(prepared, chat, jsonl):
    data = jsonl(_questions(chat, 2_000))

    small, large = (prepared(data, sample_percent=percent) for percent in (10, 30))

    assert 150 <= small.report.rows_kept <= 250
    assert small.report.rows_sampled_out == 2_000 - small.report.rows_kept
    assert {r["prompt"] for r in small.rows} < {r["prompt"] for r in large.rows}
    assert {r["prompt"] for r in small.test} <= {r["prompt"] for r in large.test}


def test_another_seed_draws_another_split(prepared, chat, jsonl):
    data = jsonl(_questions(chat, 500))

    first, same, other = (prepared(data, seed=seed).test_bytes for seed in (1, 1, 2))

    assert first == same != other


def test_report_counts_lengths_bytes_and_hashes(prepared, chat, jsonl):
    data = jsonl([chat("ab", "cdef", system="s"), chat("a", "b", "c", "d")])

    report = prepared(data).report

    assert (report.turns.minimum, report.turns.maximum, report.turns.total) == (2, 4, 6)
    assert (report.characters.minimum, report.characters.maximum) == (4, 7)
    assert report.characters.mean == 5.5
    assert [(b.lower, b.upper, b.count) for b in report.characters.buckets] == [(4, 7, 2)]
    assert report.approx_tokens.count == 2
    assert report.bytes_read == len(data)
    assert report.content_hash.startswith("xxh3_128:")
    assert report.format == "jsonl"


def test_test_hash_is_that_of_the_test_rows(prepared, chat, jsonl):
    found = prepared(jsonl(_questions(chat, 40)))

    assert found.report.test_sha256 == hashlib.sha256(found.test_bytes).hexdigest()


def test_tokens_are_estimated_by_script(prepared, chat, jsonl):
    english = prepared(jsonl([chat("word " * 100, "word " * 100), chat("a", "b")]), min_rows=1).report
    japanese = prepared(jsonl([chat("日本語" * 100, "日本語" * 100), chat("a", "b")]), min_rows=1).report

    assert 200 <= english.approx_tokens.maximum <= 300
    assert 450 <= japanese.approx_tokens.maximum <= 700


def test_report_survives_json(prepared, chat, jsonl):
    report = prepared(jsonl([*_questions(chat, 5), {"messages": []}])).report

    assert Report.from_json(report.to_json()) == report


def test_progress_comes_about_every_four_mebibytes(chat, jsonl):
    data = jsonl([chat(f"question {i}", "x" * 1_000) for i in range(9_000)])
    seen: list[Progress] = []

    class Nowhere:
        def write(self, data: bytes | bytearray) -> None:
            assert data

    blocks = (data[start : start + 100_000] for start in range(0, len(data), 100_000))
    prepare(blocks, train=Nowhere(), test=Nowhere(), options=PrepareOptions(), name="x", on_progress=seen.append)

    assert [round(p.bytes_read / 4 / 2**20) for p in seen] == [1, 2]
    assert 0 < seen[0].rows_read < seen[1].rows_read < 9_000


def test_caller_can_stop_from_the_progress(chat, jsonl):
    class StopError(Exception):
        pass

    def stop(_: Progress) -> None:
        raise StopError

    class Nowhere:
        def write(self, data: bytes | bytearray) -> None:
            assert data

    data = jsonl([chat(f"question {i}", "x" * 1_000) for i in range(5_000)])
    with pytest.raises(StopError):
        prepare([data], train=Nowhere(), test=Nowhere(), options=PrepareOptions(), name="x", on_progress=stop)


def test_stopping_lets_go_of_rows_held_on_disk(chat, jsonl):
    class StopError(Exception):
        pass

    def stop(_: Progress) -> None:
        raise StopError

    class Nowhere:
        def write(self, data: bytes | bytearray) -> None:
            assert data

    data = jsonl([chat("the same question", "x" * 100_000 + str(i)) for i in range(100)])
    options = PrepareOptions(test_fraction=0.0001)
    with pytest.raises(StopError):  # an unclosed file would be a warning, and warnings are errors
        prepare([data], train=Nowhere(), test=Nowhere(), options=options, name="x", on_progress=stop)


def test_layout_is_known_after_twenty_bad_lines(prepared, chat, jsonl):
    found = prepared(b"nonsense\n" * 30 + jsonl(_questions(chat, 5)))

    assert found.report.layout == "openai"


def test_rejected_error_says_why_in_one_line(chat, jsonl):
    class Nowhere:
        def write(self, data: bytes | bytearray) -> None:
            assert data

    with pytest.raises(DatasetRejectedError) as caught:
        prepare([b"nonsense\n"], train=Nowhere(), test=Nowhere(), options=PrepareOptions(), name="bot/a.jsonl")

    assert str(caught.value) == (
        "bot/a.jsonl: the only row cannot be used: the line is not valid JSON (1 row, first in line 1)"
    )
    assert not caught.value.report.usable


def test_options_name_every_fault():
    with pytest.raises(PrepareOptionsError) as caught:
        PrepareOptions(sample_percent=0, test_fraction=1, seed=1.5, min_rows=0)  # type: ignore[arg-type]

    for name in ("sample_percent is 0", "test_fraction is 1", "seed is 1.5", "min_rows is 0"):
        assert name in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 101, True, "5"])
def test_odd_sample_percent_is_refused(value):
    with pytest.raises(PrepareOptionsError, match="sample_percent"):
        PrepareOptions(sample_percent=value)
