"""`python -m local sweeps [ID]`: what the app's sweeps for idle endpoints found, did and saved."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from local.status import NotFoundError, ask_app

_TEXT, _NUMBER = "<", ">"


def show(up: dict[str, Any], sweep_id: str | None = None) -> None:
    """Print the sweeps, newest first as the app lists them, or the endpoints of one. up: the line that `up` printed.

    Raises: NotAnsweringError: nothing is printed then. NotFoundError: there is no such sweep.
    """
    if sweep_id is None:
        found = ask_app(up, "sweeps")["value"]
        print(overview(found) if found else "no sweep yet; SWEEP_SCHEDULE says when the next one is")
        return
    try:
        sweep = ask_app(up, f"sweeps/{quote(sweep_id, safe='')}")
    except NotFoundError as fault:
        raise NotFoundError(f"there is no sweep {sweep_id}; `sweeps` lists those there are") from fault
    print(endpoints(sweep["endpoints"]) if sweep["endpoints"] else f"sweep {sweep_id} met no endpoint")


def overview(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of sweeps."""
    columns = {
        "sweep": _TEXT, "started (UTC)": _TEXT, "took": _NUMBER, "by": _TEXT, "looked at": _NUMBER, "idle": _NUMBER,
        "warned": _NUMBER, "acted": _NUMBER, "errors": _NUMBER, "USD/h": _NUMBER, "idle USD/h": _NUMBER,
        "saved USD": _NUMBER, "": _TEXT,
    }  # fmt: skip
    return _table(columns, (_sweep(one) for one in found))


def endpoints(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of one sweep's endpoints."""
    columns = {"endpoint": _TEXT, "action": _TEXT, "code": _TEXT, "USD/h": _NUMBER, "reason": _TEXT}
    rows = ([one["name"], one["action"], one["code"], _money(one["usd_per_hour"]), one["reason"]] for one in found)
    return _table(columns, rows)


def _sweep(one: dict[str, Any]) -> list[str]:
    counts = [str(_count(one[name])) for name in ("looked_at", "idle", "warned", "acted", "errors")]
    money = [_money(one[name]) for name in ("usd_per_hour", "idle_usd_per_hour", "saved_usd")]
    notes = [text for text, holds in (("dry run", one["dry_run"]), ("not complete", not one["complete"])) if holds]
    began, ended = one["started_at"], one["finished_at"]
    return [one["id"], _moment(began), _took(began, ended), one["trigger"], *counts, *money, ", ".join(notes)]


def _count(value: Any) -> Any:
    return len(value) if isinstance(value, list) else value


def _money(amount: float | None) -> str:
    """What is not known is never shown as nothing."""
    return "unknown" if amount is None else f"{amount:,.2f}"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _took(began: str, ended: str | None) -> str:
    if ended is None:
        return "-"
    return f"{(datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds():.1f} s"


def _table(columns: dict[str, str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(columns), *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    sides = list(columns.values())
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)).rstrip()
        for line in lines
    )
