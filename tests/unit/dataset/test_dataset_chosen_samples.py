"""The conversations that a person is shown."""

from __future__ import annotations

import hashlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset.rows import Message, Row, encode_row
from shared.dataset.samples import SHOWN_CHARACTERS, SHOWN_MESSAGES, Samples, cut, cut_row, split_rest


def row(said: str, messages: int = 2) -> Row:
    roles = ("user", "assistant")
    return Row(messages=[Message(f"{said}", roles[place % 2]) for place in range(messages)])  # type: ignore[arg-type]


def key(said: str) -> bytes:
    return hashlib.sha256(said.encode()).digest()


def first_words(samples: Samples) -> list[str]:
    return [row.messages[0].content for row in samples.rows]


def chosen(texts: list[str], count: int = 3) -> list[str]:
    samples = Samples(count)
    for said in texts:
        samples.offer(key(said), encode_row(row(said)))
    return first_words(samples)


@given(st.lists(st.integers(0, 500).map(str), unique=True), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_rows(texts, chance) -> None:
    shuffled = texts[:]
    chance.shuffle(shuffled)
    assert chosen(shuffled) == chosen(texts) == sorted(texts, key=key)[:3]


def test_fewer_rows_than_asked_for_are_all_kept() -> None:
    assert sorted(chosen(["a", "b"])) == ["a", "b"]
    assert chosen([]) == []
    assert chosen(["a"], count=0) == []


def test_rows_of_one_key_are_shown_once() -> None:
    samples = Samples(3)
    for said in ("first", "second"):
        samples.offer(b"same", row(said))
    assert first_words(samples) == ["first"]


def test_a_row_that_is_not_kept_is_not_looked_at() -> None:
    samples = Samples(1)
    samples.offer(b"a", encode_row(row("kept")))
    samples.offer(b"b", b"this is not even JSON")
    assert first_words(samples) == ["kept"]


def test_a_later_row_takes_the_place_of_one_with_a_higher_key() -> None:
    samples = Samples(2)
    for said in ("d", "c", "b", "a"):
        samples.offer(said.encode(), row(said))
    assert first_words(samples) == ["a", "b"]


def test_a_huge_row_does_not_stay_in_memory() -> None:
    samples = Samples(1)
    samples.offer(b"a", encode_row(row("x" * 2_000_000, messages=50)))
    kept = samples._kept[0][1]
    assert isinstance(kept, Row)
    assert sum(sys.getsizeof(message.content) for message in kept.messages) < 20_000


def test_cuts_say_what_is_missing() -> None:
    long = cut_row(row("x" * (SHOWN_CHARACTERS + 5000), messages=SHOWN_MESSAGES + 4))
    assert len(long.messages) == SHOWN_MESSAGES
    assert split_rest(long.messages[0].content) == ("x" * SHOWN_CHARACTERS, "… 5,000 characters more")
    assert split_rest(long.messages[-1].content)[1] == "… 5,000 characters more, and 4 messages more"
    assert split_rest(cut_row(row("x", messages=SHOWN_MESSAGES + 1)).messages[-1].content) == ("x", "… 1 message more")


@pytest.mark.parametrize("beyond", [0, 1, 63, 64, 65, 100, 128, 129, 10_000, 1_000_000])
def test_cutting_twice_is_cutting_once(beyond: int) -> None:
    once = cut_row(row("y" * (SHOWN_CHARACTERS + beyond), messages=SHOWN_MESSAGES * 2))
    assert cut_row(once) == once
    assert len(once.messages[0].content) <= SHOWN_CHARACTERS + 64


def test_a_text_that_claims_to_be_cut_is_cut_all_the_same() -> None:
    assert len(cut("z" * 5000 + "\n… 5 characters more", 100)) < 200
