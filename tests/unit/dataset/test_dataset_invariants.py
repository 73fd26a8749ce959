"""What holds for any dataset."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x7f") | st.sampled_from('\n\t\r"\\'),
    max_size=20,
)
_SPOKEN = _TEXT.filter(lambda text: text and not text.isspace())


@st.composite
def conversations(draw):
    pairs = draw(st.lists(st.tuples(_SPOKEN, _SPOKEN), min_size=1, max_size=3))
    messages = [{"role": "system", "content": draw(_SPOKEN)}] if draw(st.booleans()) else []
    for question, answer in pairs:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["messages", "role", "content", "prompt", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_LINES = st.lists(
    st.one_of(
        conversations().map(lambda row: json.dumps(row).encode()),
        conversations().map(lambda row: json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()),
        _JSON.map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=30).filter(lambda data: b"\n" not in data),
    ),
    max_size=12,
)
_PLAIN_FIRST = b'{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":"\xc3\xa9"}]}'


def _key(row):
    return json.dumps(row["messages"], sort_keys=True)


def _content(rows):
    return sorted(map(_key, rows))


@given(lines=_LINES, sample=st.sampled_from([100, 50, 1]), fraction=st.sampled_from([0, 0.05, 0.5]))
def test_every_row_is_accounted_for(lines, sample, fraction, prepared):
    found = prepared(b"\n".join([_PLAIN_FIRST, *lines]), sample_percent=sample, test_fraction=fraction)

    report = found.report
    assert report.rows_read == report.rows_kept + report.rows_duplicate + report.rows_sampled_out + report.rows_rejected
    assert report.rows_kept == report.rows_train + report.rows_test
    assert report.rows_rejected == sum(found.reasons.values())
    assert report.turns.count == report.characters.count == report.approx_tokens.count == report.rows_kept
    if report.usable:
        assert (len(found.train), len(found.test)) == (report.rows_train, report.rows_test)
        assert report.rows_test or not fraction


@given(data=st.binary(max_size=300), size=st.integers(1, 50))
def test_any_bytes_end_in_a_report(data, size, prepared):
    found = prepared([data[at : at + size] for at in range(0, len(data), size)])

    assert found.report.bytes_read == len(data)
    assert found.report.usable or found.report.reason


@given(rows=st.lists(conversations(), min_size=3, max_size=10), size=st.integers(1, 400))
def test_block_boundaries_change_nothing(rows, size, prepared, jsonl):
    data = jsonl(rows)
    blocks = [data[at : at + size] for at in range(0, len(data), size)]

    cut, whole = prepared(blocks), prepared(data)

    assert cut == whole


@given(rows=st.lists(conversations(), min_size=2, max_size=10), shuffled=st.randoms(use_true_random=False))
def test_order_changes_no_rows_split(rows, shuffled, prepared, jsonl):
    before = prepared(jsonl(rows), test_fraction=0.3)
    shuffled.shuffle(rows)
    after = prepared(jsonl(rows), test_fraction=0.3)

    assert _content(before.test) == _content(after.test)
    assert _content(before.train) == _content(after.train)


@given(rows=st.lists(conversations(), min_size=2, max_size=10))
def test_good_conversations_are_kept_whole(rows, prepared, jsonl):
    found = prepared(jsonl(rows), test_fraction=0)

    assert found.reasons == {}
    assert set(map(_key, found.rows)) == set(map(_key, rows)) or not found.report.usable


@given(rows=st.lists(conversations(), min_size=3, max_size=10))
def test_preparing_its_own_output_changes_nothing(rows, prepared, jsonl):
    first = prepared(jsonl(rows), test_fraction=0.3)
    again = prepared(jsonl(first.rows), test_fraction=0.3)

    assert _content(again.train) == _content(first.train)
    assert _content(again.test) == _content(first.test)
    if first.report.usable:
        assert again.notes == {}
        assert again.report.rows_duplicate == 0


@given(rows=st.lists(conversations(), min_size=2, max_size=8))
def test_writing_style_changes_nothing(rows, prepared):
    styles = [{}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"separators": (" , ", " : ")}]
    found = [prepared("\n".join(json.dumps(row, **style) for row in rows).encode()) for style in styles]

    assert all(f.train == found[0].train and f.test == found[0].test for f in found)
    assert all(f.reasons == {} for f in found)
