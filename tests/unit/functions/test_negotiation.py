import azure.functions as func
import pytest

from functions.parsing import wants_page
from functions.responses import page_response
from shared.errors import InvalidRequestError

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


def request(accept: str | None = None, **query: str) -> func.HttpRequest:
    headers = {} if accept is None else {"Accept": accept}
    return func.HttpRequest(method="GET", url="/api/x", headers=headers, params=query, body=b"")


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        (CHROMIUM, True),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("text/*", True),
        ("text/html, application/json", False),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("text/html;q=0.4, application/json;q=0.5", False),
        ("text/html;q=0", False),
        ("application/*;q=0.2, text/html;q=0.1", False),
        ("text/html;q=lots", False),
        ("text/html;q=nan", False),
        (";;;,,,=", False),
    ],
)
def test_a_browser_gets_a_page_and_a_program_json(accept: str | None, page: bool) -> None:
    assert wants_page(request(accept)) is page


def test_the_query_decides_before_the_header() -> None:
    assert wants_page(request("application/json", format="html"))
    assert not wants_page(request(CHROMIUM, format="json"))
    with pytest.raises(InvalidRequestError, match="format is 'pdf', expected html or json"):
        wants_page(request(CHROMIUM, format="pdf"))


def test_a_page_runs_nothing_loads_nothing_and_is_kept_nowhere() -> None:
    answer = page_response(b"<!doctype html>")
    assert (answer.status_code, answer.mimetype, answer.charset) == (200, "text/html", "utf-8")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Vary"] == "Accept"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy
