"""Lists written as text, as CSV files hold them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset.errors import RowError
from shared.dataset.layouts.literals import read_list

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)


@given(value=st.lists(_PLAIN, max_size=4))
def test_what_python_prints_is_read_back(value):
    assert read_list(str(value))[0] == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"a": "b"}]', [{"a": "b"}]),
        (" \n['x', \"it's\"] ", ["x", "it's"]),
        ("[{'a': 1}\n {'a': 2}]", [{"a": 1}, {"a": 2}]),
        ("[{'a': None}, {'a': True}]", [{"a": None}, {"a": True}]),
        ("[{'a': array(['x' 'y'], dtype='<U1')} {'a': array([], dtype=float64)}]", [{"a": ["x", "y"]}, {"a": []}]),
        ("[{'a': array(['x', 'y'], dtype=object)}\n {'a': array(['z'])}]", [{"a": ["x", "y"]}, {"a": ["z"]}]),
        ("[('x', 'y'), ('z', 'w')]", [["x", "y"], ["z", "w"]]),
        (r"['a\nb', 'c\'d', 'e\\f', '\x41\u00e9\U0001f600']", ["a\nb", "c'd", "e\\f", "Aé😀"]),
        ("[1, -2.5, 1e3]", [1, -2.5, 1000.0]),
        ("['true', 'None']", ["true", "None"]),
        ("[]", []),
    ],
)
def test_list_is_read_from_text(text, expected):
    assert read_list(text)[0] == expected


@pytest.mark.parametrize("text", ["", "text", "{'a': 1}", "(1, 2)", '"[1]"'])
def test_other_text_is_no_list(text):
    assert read_list(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "[", "['x'", "['x', y]", "[__import__('os')]", "[1 + 1]", "[f'x']", "[b'x']", "[x for x in y]",
        "['x']]", "['x')", "[1] [2]", "['\\U00ffffff']", "[...]", "[" * 50_000, "[(" * 50_000,
        "[" * 50_000 + "]" * 50_000,
        "[{'a': 1}, {'a'}]", "[1,,2]",
    ],
)  # fmt: skip
def test_text_that_begins_like_a_list_is_refused(text):
    with pytest.raises(RowError) as caught:
        read_list(text)

    assert caught.value.reason == "messages_unreadable"


def test_object_that_names_a_key_twice_is_refused():
    for text in ('[{"a": 1, "a": 2}]', "[{'a': 1, 'a': 2}]"):
        with pytest.raises(RowError, match="duplicate_key"):
            read_list(text)


@pytest.mark.parametrize(
    "text",
    ["['" + "x" * 3_000_000, "['" + "\\" * 3_000_001, "[" + " " * 3_000_000 + "x", "['x'," + " " * 3_000_000 + "dtype"],
)
def test_hostile_text_takes_no_long_time(text):
    started = time.process_time()

    with pytest.raises(RowError):
        read_list(text)

    assert time.process_time() - started < 2
