"""The part of the page about training: steps, hours, price, and what they rest on."""

from __future__ import annotations

from shared.dataset.page.estimate import Training
from shared.dataset.page.findings import definitions
from shared.dataset.page.markup import Markup, foreign, tag
from shared.dataset.page.words import count, number, span


def training(found: Training | None) -> Markup:
    """An estimate in figures, and its assumptions in words."""
    if found is None:
        return Markup("")
    return tag(
        "div",
        tag("p", _headline(found), class_="estimate"),
        tag("p", _machine(found), class_="quiet"),
        definitions(_figures(found)),
        _sentences("Note", found.notes),
        _sentences("This assumes", found.assumptions),
        class_="card",
    )


def _headline(found: Training) -> str:
    if found.hours is None:
        return f"{count(found.steps, 'step')}; hours and price not known"
    price = f"{span(found.price_usd, 'USD')}" if found.price_usd else "price not known"
    return f"{price}, {span(found.hours, 'hours')}"


def _machine(found: Training) -> Markup:
    nodes = f"{found.nodes} × " if found.nodes > 1 else ""
    gpu = f" ({found.gpus} × {found.gpu})" if found.gpu else ""
    how = " with LoRA on" if found.lora else ", all its weights, on"
    return tag(
        "span",
        "An estimate: ",
        foreign(found.foundation_model),
        f"{how} {nodes}",
        foreign(found.instance_type),
        gpu,
    )


def _figures(found: Training) -> list[tuple[str, str]]:
    figures = [
        ("Conversations", number(found.train_rows)),
        ("Their tokens", number(found.tokens)),
        ("Passes", number(found.epochs)),
        ("Steps", f"{found.steps:,} ({found.steps_per_epoch:,} a pass)"),
        ("Tokens computed", number(found.tokens_computed)),
    ]
    if found.tokens_cut:
        figures.insert(2, ("Tokens cut off", number(found.tokens_cut)))
    if found.training_hours and found.gpu_hours:
        figures += [
            ("Training alone", span(found.training_hours, "hours")),
            ("GPU hours", span(found.gpu_hours)),
        ]
    if found.usd_per_hour is not None:
        figures.append(("An hour of the machine", f"{found.usd_per_hour:,.2f} USD"))
    return figures


def _sentences(title: str, sentences: list[str]) -> Markup:
    if not sentences:
        return Markup("")
    return tag("div", tag("h3", title), tag("ul", [tag("li", foreign(sentence)) for sentence in sentences]))
