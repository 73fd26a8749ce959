"""A call to Azure ML never sleeps in a function for as long as Azure asks to: the run's schedule does the waiting."""

from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import RetryPolicy
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest

from shared.identity import ASKED_ONCE


class Away(HttpTransport[Any, Any]):
    """Answers every request alike, or does not; counts, and notes how long it was asked to sleep."""

    def __init__(self, answer: Any) -> None:
        self.calls, self.slept = 0, 0.0
        self._answer = answer

    def send(self, _request: Any, **_: Any) -> Any:
        self.calls += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def sleep(self, duration: float) -> None:
        self.slept += duration

    def open(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, *_: Any) -> None: ...


class Answer:
    """A refusal, as far as the retry policy looks at it."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status_code, self.headers = status, headers


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_is_returned_at_once_whatever_retry_after_it_names(method: str, status: int) -> None:
    transport = Away(Answer(status, {"Retry-After": "3600"}))
    with Pipeline(transport, [RetryPolicy(**ASKED_ONCE)]) as pipeline:
        answer = pipeline.run(HttpRequest(method, "https://x"))
    assert answer.http_response.status_code == status
    assert (transport.calls, transport.slept) == (1, 0)


def test_a_connection_that_was_refused_is_tried_again_at_once_a_few_times() -> None:
    transport = Away(ServiceRequestError("refused"))
    with pytest.raises(ServiceRequestError), Pipeline(transport, [RetryPolicy(**ASKED_ONCE)]) as pipeline:
        pipeline.run(HttpRequest("GET", "https://x"))
    assert 1 < transport.calls <= 3
    assert transport.slept < 10
