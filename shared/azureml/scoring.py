"""Asking an endpoint. Not through `online_endpoints.invoke`: it needs a file and leaks headers to other endpoints."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import RefusedByAzureError, TransientError
from shared.evaluation.similarity import similarity as similarity

TIMEOUT_S = 95  # a little more than the deployment's own request timeout
GREEDY: Mapping[str, Any] = {"do_sample": False, "max_new_tokens": 200}
Message = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What a deployment said. latency_ms is measured here, network included.

    prompt_tokens: how many tokens it says it was asked, chat template included; None: it does not say.
    """

    text: str
    latency_ms: float
    deployment: str | None
    prompt_tokens: int | None = None


def ask(
    scoring_uri: str,
    key: str,
    messages: Sequence[Message],
    *,
    parameters: Mapping[str, Any] = GREEDY,
    deployment: str | None = None,
) -> Answer:
    """Send a conversation to an endpoint and return the model's next turn.

    Args: deployment: ask this deployment, whatever the traffic rules say.
    Raises: TransientError: busy, starting or away; RefusedByAzureError: it answered, but not as a chat model.
    """
    import requests

    body = {
        "input_data": {"input_string": [dict(message) for message in messages], "parameters": dict(parameters)},
        "params": {},
    }
    headers = {"Authorization": f"Bearer {key}"}
    if deployment:
        headers["azureml-model-deployment"] = deployment
    began = time.perf_counter()
    try:
        response = requests.post(scoring_uri, json=body, headers=headers, timeout=TIMEOUT_S)
    except requests.RequestException as fault:
        raise TransientError(f"{scoring_uri} did not answer ({type(fault).__name__})") from fault
    latency_ms = (time.perf_counter() - began) * 1000
    if response.status_code in (408, 424, 429) or response.status_code >= 500:
        # 424: the container behind the endpoint failed or is not ready.
        raise TransientError(f"{scoring_uri} answered {response.status_code}")
    if not response.ok:
        # Without the body: a model's refusal may quote the conversation.
        raise RefusedByAzureError(f"{scoring_uri} answered {response.status_code}")
    text, prompt_tokens = _read(response, scoring_uri)
    return Answer(text, latency_ms, response.headers.get("azureml-model-deployment"), prompt_tokens)


def _read(response: Any, scoring_uri: str) -> tuple[str, int | None]:
    """Azure's chat models answer {"output": text}; a batch of one comes as a list. Some say their `usage`, too."""
    try:
        value = response.json()
    except ValueError as fault:
        raise RefusedByAzureError(
            f"{scoring_uri} answered {response.status_code} with something that is not JSON"
        ) from fault
    output = value.get("output") if isinstance(value, dict) else value
    if isinstance(output, list) and len(output) == 1:
        output = output[0]
    if not isinstance(output, str):
        raise RefusedByAzureError(f"{scoring_uri} answered, but not with a chat model's {{'output': text}}")
    usage = value.get("usage") if isinstance(value, dict) else None
    prompt_tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return output, prompt_tokens if isinstance(prompt_tokens, int) else None
