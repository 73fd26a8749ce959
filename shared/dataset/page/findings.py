"""What was found in the rows: the verdict, the counts, what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping

from shared.dataset.page.charts import Part, parts_bar
from shared.dataset.page.markup import Markup, foreign, tag
from shared.dataset.page.words import count, number, percent, size
from shared.dataset.reasons import NOTES, REJECTED
from shared.dataset.report import Report, Tally

REPAIRED = "repaired.jsonl"


def section(title: str, *content: Markup, id_: str | None = None) -> Markup:
    """A part of the page with its heading; nothing when it would be empty."""
    return tag("section", tag("h2", title), content, id=id_) if any(content) else Markup("")


def verdict(report: Report) -> Markup:
    """The answer to the first question, and what to do next."""
    if report.usable:
        held_out = f", {report.rows_test:,} to test on" if report.rows_test else ", none held out to test on"
        word, why = "✓ Usable", f"{count(report.rows_train, 'conversation')} to train on{held_out}."
    else:
        reason = report.reason or "The dataset cannot be used"
        word, why = "✗ Rejected", reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") else ".")
    return tag(
        "div",
        tag("p", word, class_="word"),
        tag("p", foreign(why)),
        tag("ul", [tag("li", step) for step in _next(report)]),
        class_="verdict" if report.usable else "verdict rejected",
    )


def _next(report: Report) -> list[Markup]:
    steps = []
    if report.rows_rejected:
        words = f"{report.rows_rejected:,} of {count(report.rows_read, 'row')}"
        left_out = tag("a", f"{words} {_was(report.rows_rejected)} left out", href="#left-out")
        steps.append(tag("span", left_out, f": why, and in which {report.numbered_by}s, is below."))
    if report.rows_mendable:
        steps.append(
            tag(
                "span",
                f"{count(report.rows_mendable, 'row')} can be mended without you: ",
                tag("a", REPAIRED, href=REPAIRED),
                " is the dataset with the mends in it (of a very large one, only the rows that were left out, mended). "
                "Look at it, then upload it.",
            )
        )
    if report.warnings:
        steps.append(tag("a", f"Read {count(len(report.warnings), 'warning')}", href="#warnings"))
    if not report.usable:
        steps.append(tag("span", "Nothing was trained. Correct the file and upload it again."))
    elif not steps:
        steps.append(tag("span", "Nothing to do: every row is as it should be, and training can start."))
    else:
        steps.append(tag("span", "Training can start as it is; a corrected file can be uploaded at any time."))
    return steps


def _was(rows: int) -> str:
    return "was" if rows == 1 else "were"


def facts(report: Report) -> Markup:
    """What kind of file it is."""
    kept = percent(report.rows_kept, report.rows_read)
    given = [
        ("Format", report.format or "not recognised"),
        ("Compression", report.compression or "none"),
        ("Layout", report.layout or "not recognised"),
        ("Size", size(report.bytes_read)),
        ("Rows", f"{report.rows_read:,}, {kept} kept"),
        ("Tokens", f"{number(report.approx_tokens.total)} {report.tokens}"),
    ]
    return definitions(given)


def definitions(given: list[tuple[str, str]]) -> Markup:
    """Names and what they are, side by side."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", foreign(value))) for name, value in given], class_="facts")


def rows(report: Report) -> Markup:
    """Where every row went."""
    parts = [
        Part("Train", report.rows_train, "train"),
        Part("Test", report.rows_test, "test"),
        Part("Duplicates", report.rows_duplicate, "duplicate"),
        Part("Sampled out", report.rows_sampled_out, "sampled"),
        Part("Left out", report.rows_rejected, "dropped"),
    ]
    lines = [
        tag(
            "tr",
            tag("th", _key(part.colour), part.name, scope="row"),
            tag("td", number(part.rows), class_="figure"),
            tag("td", percent(part.rows, report.rows_read), class_="figure"),
        )
        for part in parts
    ]
    total = tag(
        "tr",
        tag("th", "Read", scope="row"),
        tag("td", number(report.rows_read), class_="figure"),
        tag("td", f"{report.rows_kept:,} kept", class_="figure"),
        class_="total",
    )
    return tag(
        "div",
        parts_bar(parts, f"Where the {count(report.rows_read, 'row')} went"),
        tag("table", tag("tbody", lines, total)),
        class_="card",
    )


def _key(colour: str) -> Markup:
    square = tag("rect", width=12, height=12, class_=colour)
    return tag("svg", square, class_="key", viewBox="0 0 12 12", aria_hidden="true")


def warnings(report: Report) -> Markup:
    """What a person should think about before training."""
    return (
        tag("ul", [tag("li", foreign(words)) for words in report.warnings], class_="warnings")
        if report.warnings
        else Markup("")
    )


def left_out(report: Report) -> Markup:
    """Reasons, most frequent first, with rows to look at."""
    return _tallies(report.rejected_by_reason, REJECTED, report, "Why")


def notes(report: Report) -> Markup:
    """What was mended or passed over in rows that were read."""
    return _tallies(report.notes, NOTES, report, "What")


def _tallies(tallies: Mapping[str, Tally], words: Mapping[str, str], report: Report, title: str) -> Markup:
    if not tallies:
        return Markup("")
    lines = [
        tag(
            "tr",
            tag("td", foreign(_sentence(words.get(code, code))), " ", tag("code", code, class_="quiet")),
            tag("td", count(tally.count, "row"), class_="figure"),
            tag("td", _where(tally, report.numbered_by)),
        )
        for code, tally in tallies.items()
    ]
    head = [
        tag("th", title, scope="col"),
        tag("th", "How many", scope="col", class_="figure"),
        tag("th", "Where", scope="col"),
    ]
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", lines), class_="found")
    return tag("div", table, class_="card")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _where(tally: Tally, numbered_by: str) -> str:
    """The first places, and how many more there are."""
    if not tally.first_lines:
        return ""
    places = ", ".join(f"{line:,}" for line in tally.first_lines)
    more = tally.count - len(tally.first_lines)
    noun = numbered_by if tally.count == 1 else f"{numbered_by}s"
    return f"{noun} {places}" + (f" and {more:,} more" if more > 0 else "")
