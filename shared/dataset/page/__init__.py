"""report.html: what was found in a dataset, as one page that needs nothing else.

No script, no style but its own, nothing loaded from anywhere: the page's content security policy says so, and texts of
the dataset are escaped besides. Conversations are shown here and nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from shared.dataset.options import PrepareOptions
from shared.dataset.page import conversations, findings
from shared.dataset.page.estimate import Range, Training
from shared.dataset.page.findings import section
from shared.dataset.page.markup import Markup, foreign, join, tag, void
from shared.dataset.page.training import training as training_section
from shared.dataset.report import Report
from shared.dataset.rows import Row

__all__ = ["Range", "Training", "render"]


def render(report: Report, samples: Sequence[Row], training: Training | None) -> bytes:
    """Make the page.

    Args: samples: conversations to show, see `Samples`. training: what the rows mean in training, None to say nothing.
    Returns: HTML in UTF-8, the same for the same arguments.
    """
    head = tag("head", _head(report))
    body = tag("body", tag("main", _main(report, samples, training)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n".encode()


def _head(report: Report) -> Markup:
    style, digest = _style()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return join(
        [
            void("meta", charset="utf-8"),
            void("meta", http_equiv="Content-Security-Policy", content=policy),
            void("meta", name="viewport", content="width=device-width, initial-scale=1"),
            void("meta", name="referrer", content="no-referrer"),
            void("meta", name="color-scheme", content="light dark"),
            tag("title", f"{'Usable' if report.usable else 'Rejected'}: {report.dataset}"),
            Markup(f"<style>{style}</style>"),
        ]
    )


@cache
def _style() -> tuple[str, str]:
    """The style sheet, and its digest for the policy."""
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    return style, base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _main(report: Report, samples: Sequence[Row], training: Training | None) -> Markup:
    return join(
        [
            tag("h1", "Dataset ", foreign(report.dataset)),
            findings.verdict(report),
            section("Warnings", findings.warnings(report), id_="warnings"),
            section("What was found", tag("div", findings.facts(report), class_="card")),
            section("Where the rows went", findings.rows(report)) if report.rows_read else "",
            section("Left out, and why", findings.left_out(report), id_="left-out"),
            section("Mended or passed over", findings.notes(report)),
            section("What training would take", training_section(training)),
            section("How long the conversations are", conversations.lengths(report)),
            section("System prompts and context window", conversations.prompts_and_context(report)),
            section("Conversations to look at", conversations.samples(samples)),
            _test_file(report.test_file),
            section("Options", _options(report.options)),
            _foot(report),
        ]
    )


def _test_file(report: Report | None) -> Markup:
    """The findings of the test file alone; the counts above are those of both files."""
    if report is None:
        return Markup("")
    return section(
        "The test file",
        tag("p", "The counts above are of both files together. Of ", foreign(report.dataset), " alone:"),
        tag("div", findings.facts(report), class_="card"),
        _under("Where its rows went", findings.rows(report)),
        _under("Warnings", findings.warnings(report)),
        _under("Left out, and why", findings.left_out(report)),
        _under("Mended or passed over", findings.notes(report)),
    )


def _under(title: str, content: Markup) -> Markup:
    return tag("div", tag("h3", title), content) if content else content


def _options(options: PrepareOptions) -> Markup:
    """What was chosen; what was not stands there too, more quietly."""
    defaults = msgspec.to_builtins(PrepareOptions())
    given = msgspec.to_builtins(options)
    lines = [
        tag(
            "tr",
            tag("th", tag("code", name), scope="row"),
            tag("td", foreign(_value(value))),
            tag("td", "default" if value == defaults[name] else "chosen", class_="quiet"),
        )
        for name, value in given.items()
    ]
    table = tag("table", tag("tbody", lines))
    return tag("details", tag("summary", "How the dataset was prepared"), table, class_="card")


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {item}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _foot(report: Report) -> Markup:
    hashes = [tag("p", "Bytes read: ", tag("code", report.content_hash))]
    if report.test_sha256:
        hashes.append(tag("p", "test.jsonl: ", tag("code", f"sha256:{report.test_sha256}")))
    return tag("footer", tag("p", "The same findings for programs: ", tag("code", "report.json")), hashes)
