"""A dataset that comes with a test file of its own."""

from __future__ import annotations

import pytest

from shared.dataset import DatasetRejectedError, PrepareOptions, Samples, prepare


@pytest.fixture
def pair(jsonl, new_sink):
    def run(train_rows, test_rows, samples=None, **options):
        train, test = new_sink(), new_sink()
        report = prepare(
            [jsonl(train_rows)],
            train=train,
            test=test,
            options=PrepareOptions(**options),
            name="train.jsonl",
            test_source=[jsonl(test_rows)],
            test_name="test.jsonl",
            samples=samples,
        )
        return report, train.rows, test.rows

    return run


def test_each_file_is_its_own_side(pair, chat):
    report, train, test = pair([chat(f"t{i}", "a") for i in range(30)], [chat(f"h{i}", "a") for i in range(4)])

    assert sorted(row["prompt"] for row in test) == ["h0", "h1", "h2", "h3"]
    assert len(train) == 30
    assert (report.rows_read, report.rows_kept, report.rows_train, report.rows_test) == (34, 34, 30, 4)
    assert report.test_file.rows_read == 4
    assert report.test_sha256


def test_prompt_of_the_test_file_is_not_trained_on(pair, chat):
    report, train, _ = pair(
        [chat("same", "x"), chat("other", "y"), chat("same", "z", "more", "w")], [chat("same", "v")]
    )

    assert [row["prompt"] for row in train] == ["other"]
    assert report.rejected_by_reason["prompt_in_test"].first_lines == [1, 3]


def test_sums_are_those_of_both_files(pair, chat):
    report, _, _ = pair(
        [chat("a", "b"), chat("a", "b"), chat("c", " ")], [chat("d", "e"), chat("f", " "), {"messages": 1}]
    )

    assert report.rows_read == report.rows_kept + report.rows_duplicate + report.rows_rejected + report.rows_sampled_out
    assert report.rejected_by_reason["blank_turn"].count == 2
    assert report.rejected_by_reason["blank_turn"].first_lines == [3]
    assert report.test_file.rejected_by_reason["blank_turn"].first_lines == [2]


def test_sample_is_of_the_training_file_only(pair, chat):
    report, train, test = pair(
        [chat(f"t{i}", "a") for i in range(400)], [chat(f"h{i}", "a") for i in range(40)], sample_percent=10
    )

    assert len(test) == 40
    assert 15 < len(train) < 75
    assert report.rows_sampled_out == 400 - len(train)


def test_useless_test_file_is_named(pair, chat):
    with pytest.raises(DatasetRejectedError, match=r"the test file test\.jsonl: none of the 2 rows can be used"):
        pair([chat("a", "b"), chat("c", "d")], [chat("e", " "), {"messages": []}])


def test_training_file_with_nothing_of_its_own_is_rejected(pair, chat):
    with pytest.raises(DatasetRejectedError, match="the first user message is in the test file too"):
        pair([chat("a", "b")], [chat("a", "c")])


def test_samples_are_of_what_is_trained_on(pair, chat):
    samples = Samples(3)

    pair([chat(f"t{i}", "a") for i in range(9)], [chat(f"h{i}", "a") for i in range(9)], samples)

    assert [row.messages[0].content[0] for row in samples.rows] == ["t", "t", "t"]
