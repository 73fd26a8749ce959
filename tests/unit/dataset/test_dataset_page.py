"""report.html: it holds every finding, and nothing of a dataset can break out of its place in it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset import PrepareOptions
from shared.dataset.page import Range, Training, render
from shared.dataset.page.words import percent
from shared.dataset.reasons import NOTES, REJECTED
from shared.dataset.report import Bucket, Histogram, Report, SystemPrompts, Tally
from shared.dataset.rows import Message, Row

VOID = {"meta"}
ELEMENTS = """
html head meta title style body main h1 h2 h3 p ul li a div span section dl dt dd b bdi code table thead tbody tr th td
figure figcaption details summary svg desc rect line text article footer
"""
ATTRIBUTES = """
lang charset http-equiv content name class id href role viewbox preserveaspectratio x y x1 x2 y1 y2 width height scope
text-anchor dir aria-hidden
"""


class Page(HTMLParser):
    """The elements of a page, their texts, and whether they are closed in order."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.places: list[tuple[str, ...]] = []
        self._open: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        self.places.append(tuple(self._open))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"the page holds a comment: {data}")

    @property
    def text(self) -> str:
        """What a person reads, runs of white space as one space."""
        shown = [text for text, place in zip(self.texts, self.places, strict=True) if "style" not in place]
        return " ".join(" ".join(shown).split())

    def within(self, tag: str) -> list[str]:
        return [text for text, place in zip(self.texts, self.places, strict=True) if tag in place]


def histogram(first: int = 3) -> Histogram:
    return Histogram(7, 9_871, first, 8_765, 1_410.14, [Bucket(first, first, 5), Bucket(8_192, 16_383, 2)])


def report(**other: Any) -> Report:
    values: dict[str, Any] = {
        "dataset": "bot/a.jsonl",
        "usable": True,
        "reason": None,
        "format": "jsonl",
        "layout": "sharegpt",
        "bytes_read": 12_345_678,
        "rows_read": 1_111,
        "rows_kept": 777,
        "rows_train": 702,
        "rows_test": 75,
        "rows_duplicate": 123,
        "rows_sampled_out": 156,
        "rows_rejected": 55,
        "rejected_by_reason": {"unknown_role": Tally(54, [3, 1_999]), "blank_turn": Tally(1, [88])},
        "notes": {"role_spelling": Tally(66, list(range(201, 211)))},
        "turns": histogram(2),
        "characters": histogram(33),
        "approx_tokens": histogram(9),
        "content_hash": "xxh3_128:abc123",
        "test_sha256": "feed5",
        "options": PrepareOptions(seed=4_242, context_window=2_048),
        "compression": "zstd",
        "system_prompts": SystemPrompts(rows_with=311, rows_without=466, distinct=17),
        "rows_over_context": 19,
        "tokens_over_context": 4_321,
        "rows_mendable": 44,
        "warnings": ["Conversations differ in their system prompts."],
    }
    return Report(**(values | other))


def training(**other: Any) -> Training:
    values: dict[str, Any] = {
        "foundation_model": "Phi-4",
        "instance_type": "Standard_NC48ads_A100_v4",
        "gpu": "NVIDIA A100 80 GB",
        "gpus": 2,
        "nodes": 1,
        "lora": True,
        "epochs": 3,
        "train_rows": 702,
        "tokens": 555_444,
        "tokens_cut": 1_234,
        "tokens_computed": 1_666_332,
        "steps": 1_053,
        "steps_per_epoch": 351,
        "training_hours": Range(1.25, 3.5),
        "hours": Range(1.61, 4.5),
        "gpu_hours": Range(3.2, 9.0),
        "usd_per_hour": 7.346,
        "price_usd": Range(11.83, 33.06),
        "price_region": "eastus",
        "price_as_of": "2026-11-24",
        "assumptions": ["A step takes 2 conversations."],
        "notes": ["One GPU was assumed."],
    }
    return Training(**(values | other))


def conversation(*texts: str) -> Row:
    roles = ("user", "assistant")
    return Row(messages=[Message(said, roles[place % 2]) for place, said in enumerate(texts)])  # type: ignore[arg-type]


def page(found: Report | None = None, samples: tuple[Row, ...] = (), estimate: Training | None = None) -> Page:
    return Page(render(found or report(), samples, estimate))


# What it says


def test_every_number_of_a_report_is_on_the_page() -> None:
    found = report()
    shown = page(found, estimate=training()).text
    numbers = [
        value for value in msgspec.structs.asdict(found).values() if isinstance(value, int) and value is not True
    ]
    for tally in [*found.rejected_by_reason.values(), *found.notes.values()]:
        numbers += [tally.count, *tally.first_lines]
    for distribution in (found.turns, found.characters, found.approx_tokens):
        numbers += [distribution.total, distribution.minimum, distribution.maximum]
        numbers += [n for bucket in distribution.buckets for n in (bucket.lower, bucket.upper, bucket.count)]
    numbers += [17, 311, 466, 4_242, 2_048]
    numbers.remove(found.bytes_read)
    for number in numbers:
        assert re.search(rf"(?<![\d,]){number:,}(?![\d,]*\d)", shown), number
    assert "12.3 MB" in shown
    for text in ("zstd", "sharegpt", "jsonl", "xxh3_128:abc123", "feed5"):
        assert text in shown


def test_reasons_and_notes_are_sentences_with_places() -> None:
    shown = page(report(numbered_by="row")).text
    for words in (REJECTED["unknown_role"], NOTES["role_spelling"]):
        assert words[1:] in shown
    assert "rows 3, 1,999 and 52 more" in shown
    assert "row 88" in shown
    assert "rows 201, 202, 203, 204, 205, 206, 207, 208, 209, 210 and 56 more" in shown


def test_lines_are_called_lines() -> None:
    assert "lines 3, 1,999 and 52 more" in page().text


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert "Brand_new" in page(report(rejected_by_reason={"brand_new": Tally(1, [2])})).text


def test_a_usable_dataset_says_so_first() -> None:
    shown = page()
    assert "✓ Usable 702 conversations to train on, 75 to test on." in shown.text
    assert "55 of 1,111 rows were left out" in shown.text
    assert ("a", {"href": "repaired.jsonl"}) in shown.elements


def test_a_rejected_dataset_says_why_and_what_to_do() -> None:
    shown = page(report(usable=False, reason="the file is empty", rows_mendable=0)).text
    assert "✗ Rejected The file is empty." in shown
    assert "Correct the file and upload it again" in shown
    assert "repaired.jsonl" not in shown


def test_a_clean_dataset_needs_nothing() -> None:
    clean = report(rows_rejected=0, rejected_by_reason={}, notes={}, rows_mendable=0, warnings=[])
    shown = page(clean).text
    assert "Nothing to do" in shown
    assert "Left out, and why" not in shown and "Warnings" not in shown


def test_a_page_without_rows_is_a_page() -> None:
    none = Histogram(0, 0, 0, 0, 0.0, [])
    counts = dict.fromkeys([name for name in Report.__struct_fields__ if name.startswith("rows_")], 0)
    empty = {"turns": none, "characters": none, "approx_tokens": none, "format": None, "layout": None, "notes": {}}
    found = report(**counts, **empty, usable=False, reason="the file is empty", rejected_by_reason={}, bytes_read=0)
    shown = page(found)
    assert "The file is empty." in shown.text
    assert "svg" not in [name for name, _ in shown.elements]


def test_the_test_file_has_findings_of_its_own() -> None:
    own = report(
        dataset="held-out.jsonl", rows_read=98_765, rejected_by_reason={"too_long": Tally(7, [31])}, test_file=None
    )
    shown = page(report(test_file=own)).text
    assert "held-out.jsonl" in shown and "98,765" in shown and REJECTED["too_long"][1:] in shown


def test_training_is_shown_with_its_assumptions() -> None:
    shown = page(estimate=training()).text
    for words in ("12 to 33 USD, 1.6 to 4.5 hours", "555,444", "1,234", "1,666,332", "1,053 (351 a pass)", "7.35 USD"):
        assert words in shown
    assert "A step takes 2 conversations." in shown and "One GPU was assumed." in shown
    assert "What training would take" not in page().text


def test_training_without_a_price_or_hours_says_so() -> None:
    assert "price not known, 1.6 to 4.5 hours" in page(estimate=training(price_usd=None, usd_per_hour=None)).text
    nothing = training(price_usd=None, usd_per_hour=None, hours=None, gpu_hours=None, training_hours=None, gpu="")
    assert "1,053 steps; hours and price not known" in page(estimate=nothing).text


def test_samples_are_shown_and_long_ones_cut() -> None:
    shown = page(samples=(conversation("Why?", "x" * 9_000), conversation("How?", "So.")))
    said = shown.within("article")
    assert "Why?" in said and "So." in said
    assert "… 8,400 characters more" in shown.text
    assert "x" * 601 not in shown.text


def test_charts_are_told_in_words_and_as_a_table() -> None:
    shown = page()
    charts = [attributes for name, attributes in shown.elements if name == "svg" and "aria-hidden" not in attributes]
    assert len(charts) == 4
    assert all(chart["role"] == "img" for chart in charts)
    titles = [text for text, place in zip(shown.texts, shown.places, strict=True) if place[-2:] == ("svg", "title")]
    assert titles == ["Where the 1,111 rows went", "Turns", "Characters", "Tokens, estimated"]
    assert any("8,192 – 16,383: 2 conversations" in text for text in shown.within("desc"))
    assert "8,192 – 16,383" in " ".join(shown.within("table"))


# What it must not do


def test_the_page_is_the_same_for_the_same_report() -> None:
    assert render(report(), [conversation("a", "b")], training()) == render(
        report(), [conversation("a", "b")], training()
    )


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    made = render(report(), [], None)
    policies = [a["content"] for name, a in Page(made).elements if a.get("http-equiv") == "Content-Security-Policy"]
    style = made.split(b"<style>")[1].split(b"</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert policies == [f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"]
    assert b"url(" not in style and b"@import" not in style


def check_harmless(shown: Page) -> None:
    """Only our own elements and attributes, and links to nowhere else."""
    assert {name for name, _ in shown.elements} <= set(ELEMENTS.split())
    for _, attributes in shown.elements:
        assert set(attributes) <= set(ATTRIBUTES.split())
        assert attributes.get("href") in (None, "repaired.jsonl", "#left-out", "#warnings")


HOSTILE = [
    "</bdi></p></div><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<!-- --><svg onload=alert(1)>",
    "&lt;script&gt; &#60; &amp;",
    "</title></style><style>*{display:none}</style>",
    "]]><![CDATA[",
    "\x00\x08\x1b\x7f\x85 half \ud800 pair \udfff",
    "\u202eright to left\u2066\u2067",
]


def filled_with(words: str) -> bytes:
    """A page that shows a text in every place which a dataset, a model or an option can fill."""
    tally = {words: Tally(2, [1])}
    found = report(
        dataset=words,
        usable=False,
        reason=words,
        format=words,
        layout=words,
        compression=words,
        tokens=words,
        numbered_by=words,
        rejected_by_reason=tally,
        notes=tally,
        warnings=[words],
        content_hash=words,
        test_sha256=words,
        options=PrepareOptions(columns={"user": f"x{words}", "assistant": "answer"}, tokenizer=words),
        test_file=report(dataset=words, warnings=[words]),
    )
    estimate = training(foundation_model=words, instance_type=words, gpu=words, assumptions=[words], notes=[words])
    return render(found, [conversation(words, words)], estimate)


@pytest.mark.parametrize("words", HOSTILE)
def test_known_attacks_stay_text(words: str) -> None:
    check_harmless(Page(filled_with(words)))


ANYTHING = st.text(st.characters(exclude_categories=[]), min_size=1)
LIKE_HTML = st.text(st.sampled_from("<>&'\"/!-=;ab \n\u202e\x00"), min_size=1, max_size=40)


@given(ANYTHING | LIKE_HTML)
def test_no_text_breaks_out_of_its_place(words: str) -> None:
    plain, hostile = Page(filled_with("plain")), Page(filled_with(words))
    check_harmless(hostile)
    assert [name for name, _ in hostile.elements] == [name for name, _ in plain.elements]


def test_texts_of_a_dataset_are_isolated_from_the_direction_of_the_page() -> None:
    words = "\u202etxet"
    found = report(dataset=words, usable=False, reason=words, warnings=[words], options=PrepareOptions(tokenizer=words))
    shown = page(found, samples=(conversation(words, words),))
    places = [place for text, place in zip(shown.texts, shown.places, strict=True) if words in text]
    assert len(places) == 7
    assert [place for place in places if "bdi" not in place] == [("html", "head", "title")]


def test_control_characters_are_made_visible() -> None:
    made = filled_with("\x00\x1b[31m").decode()
    assert "␀␛[31m" in made
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", made)


def test_a_share_never_claims_that_a_little_is_nothing_or_most_is_all() -> None:
    shares = [percent(part, 100_000) for part in (0, 1, 100, 925, 50_000, 99_999, 100_000)]
    assert shares == ["0 %", "< 0.1 %", "0.1 %", "0.9 %", "50 %", "> 99.9 %", "100 %"]
