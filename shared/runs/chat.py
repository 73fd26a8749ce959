"""Asking a live run's endpoint on a person's behalf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.azureml import endpoints
from shared.azureml.scoring import GREEDY, Answer, ask
from shared.errors import ActionRefusedError, InvalidRequestError
from shared.runs.states import RunState
from shared.services import Services
from shared.traffic import own

_ROLES = ("system", "user", "assistant")


def chat(
    services: Services, run_id: str, messages: Sequence[Mapping[str, str]], parameters: Mapping[str, Any]
) -> Answer:
    """Send a conversation to the run's endpoint and return the answer. Nothing of it is logged or kept.

    That it was asked is kept: somebody who tries the model out is no reason to keep its endpoint.
    Raises: RunNotFoundError; InvalidRequestError: not a conversation that ends with the user; ActionRefusedError: the
    run is not live; TransientError, RefusedByAzureError.
    """
    for i, message in enumerate(messages):
        if message.get("role") not in _ROLES or not message.get("content", "").strip():
            raise InvalidRequestError(
                f"messages[{i}]: expected a role ({', '.join(_ROLES)}) and a content that is not blank"
            )
    if not messages or messages[-1]["role"] != "user":
        raise InvalidRequestError("messages: expected a conversation whose last turn is the user's")
    run = services.store.get(run_id)
    if run.state != RunState.LIVE or not run.endpoint or not run.scoring_uri:
        raise ActionRefusedError(f"Run {run_id} is {run.state}: only a live run can be asked.")
    key = endpoints.credential_of(services.azureml, run.endpoint)
    # At an endpoint that runs share, another one's deployment may have a part of the traffic just now.
    deployment = run.deployment if run.rollout is not None else None
    began = services.now()
    answer = ask(run.scoring_uri, key, messages, parameters={**GREEDY, **parameters}, deployment=deployment)
    own.record(services, run.endpoint, answer.deployment or deployment, began, services.now())
    return answer
