"""What the conversations are like: lengths, system prompts, and a few of them to read."""

from __future__ import annotations

from collections.abc import Sequence

from shared.dataset.page.charts import histogram
from shared.dataset.page.findings import definitions
from shared.dataset.page.markup import Markup, tag
from shared.dataset.page.words import count, number, percent
from shared.dataset.report import Report
from shared.dataset.rows import Message, Row
from shared.dataset.samples import cut_row, split_rest

_MOST_DISTINCT = 1000  # the report counts no further


def lengths(report: Report) -> Markup:
    """Three histograms."""
    charts = [
        histogram(report.turns, "Turns", "turns"),
        histogram(report.characters, "Characters", "characters"),
        histogram(report.approx_tokens, f"Tokens, {report.tokens}", "tokens"),
    ]
    return tag("div", charts, class_="grid") if any(charts) else Markup("")


def prompts_and_context(report: Report) -> Markup:
    """System prompts, and what does not fit into the model's context window."""
    found = report.system_prompts
    given: list[tuple[str, str]] = []
    if found.rows_with or found.rows_without:
        distinct = f"{found.distinct:,} or more" if found.distinct >= _MOST_DISTINCT else f"{found.distinct:,}"
        given += [
            ("With a system prompt", count(found.rows_with, "conversation")),
            ("Without one", count(found.rows_without, "conversation")),
            ("Different system prompts", distinct),
        ]
    window = report.options.context_window
    if window is not None or report.rows_over_context:
        limit = f"{window:,} tokens" if window is not None else "the context window"
        lost = percent(report.tokens_over_context, report.approx_tokens.total)
        given += [
            (f"Longer than {limit}", count(report.rows_over_context, "conversation")),
            ("Tokens cut off there", f"{number(report.tokens_over_context)} ({lost} of all)"),
        ]
    return tag("div", definitions(given), class_="card") if given else Markup("")


def samples(rows: Sequence[Row]) -> Markup:
    """Conversations as they are read in a chat, long texts cut."""
    if not rows:
        return Markup("")
    shown = [_conversation(number_, cut_row(row)) for number_, row in enumerate(rows, start=1)]
    return tag("div", shown, class_="grid")


def _conversation(place: int, row: Row) -> Markup:
    turns = [_turn(message) for message in row.messages]
    return tag("article", tag("h3", f"Conversation {place}", class_="quiet"), turns, class_="card chat")


def _turn(message: Message) -> Markup:
    said, rest = split_rest(message.content)
    return tag(
        "div",
        tag("p", message.role, class_="role"),
        tag("p", tag("bdi", said, dir="auto"), class_="said", dir="auto"),
        tag("p", rest, class_="rest") if rest else "",
        class_=f"turn {message.role}",
    )
