"""Does the deployment answer? Held-out questions, asked before it gets any traffic."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.azureml import endpoints
from shared.azureml.scoring import ask, similarity
from shared.errors import SmokeTestError, TransientError
from shared.runs.context import Context
from shared.runs.names import PREPARED, RUNS
from shared.storage import Blobs

MOST_ATTEMPTS = 8
"""About fifteen minutes: a model that still fails then will not start to answer, and its GPU bills."""


class HeldOut(msgspec.Struct, frozen=True):
    """A row of test.jsonl: a conversation whose last turn is the true answer."""

    prompt_id: str
    messages: list[dict[str, str]]

    @property
    def question(self) -> list[dict[str, str]]:
        """The conversation without its last turn."""
        return self.messages[:-1]

    @property
    def truth(self) -> str:
        """The last turn, the assistant's."""
        return self.messages[-1]["content"]


def smoke_test(context: Context) -> dict[str, Any]:
    """Ask the new deployment, past the traffic rules, and compare its answers with the true ones.

    Returns: what may be shown anywhere: prompt ids, latencies, lengths, similarities. The texts go to the container
    `runs` only.
    Raises: TransientError: it does not answer yet. SmokeTestError: it answers, but with nothing.
    """
    run, services = context.run, context.services
    assert run.endpoint is not None, "a run with a deployment has an endpoint"
    assert run.scoring_uri is not None, "an endpoint that Succeeded has a URI"
    key = endpoints.primary_key(services.azureml, run.endpoint)
    results, texts = [], []
    for row in held_out(services.blobs, run.id, context.options.smoke_tests):
        try:
            answer = ask(run.scoring_uri, key, row.question, deployment=run.deployment)
        except TransientError as trouble:
            if run.attempts + 1 >= MOST_ATTEMPTS:
                raise SmokeTestError(
                    f"Deployment {run.endpoint}/{run.deployment} is up, but after {MOST_ATTEMPTS} attempts: {trouble}"
                ) from trouble
            raise
        context.still_alive()
        results.append(
            {
                "prompt_id": row.prompt_id,
                "latency_ms": round(answer.latency_ms),
                "characters": len(answer.text),
                "similarity": round(similarity(answer.text, row.truth), 3),
            }
        )
        texts.append({"question": row.question, "truth": row.truth, "answer": answer.text, **results[-1]})
    services.blobs.write_small(RUNS, f"{run.id}/smoke_test.json", msgspec.json.format(msgspec.json.encode(texts)))
    if not any(result["characters"] for result in results):
        raise SmokeTestError(
            f"Deployment {run.endpoint}/{run.deployment} is up, but all its {len(results)} answers are empty."
        )
    return {"asked": len(results), "answers": results}


def held_out(blobs: Blobs, run_id: str, count: int) -> list[HeldOut]:
    """Return the first rows of a run's test.jsonl; reads no more of it than it needs."""
    name = f"{run_id}/test.jsonl"
    info = blobs.describe(PREPARED, name)
    if info is None:
        raise SmokeTestError(f"{PREPARED}/{name} is gone, so there is no question to ask. Upload the dataset again.")
    rows: list[HeldOut] = []
    rest = b""
    for block in blobs.read(PREPARED, name, info.etag):
        *lines, rest = (rest + block).split(b"\n")
        rows += [msgspec.json.decode(line, type=HeldOut) for line in lines[: count - len(rows)] if line]
        if len(rows) >= count:
            break
    return rows
