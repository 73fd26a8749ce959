"""Does the deployment answer? Held-out questions, asked before it gets any traffic."""

from __future__ import annotations

from typing import Any

import msgspec

from shared import typed
from shared.azureml import endpoints
from shared.azureml.scoring import ask, similarity
from shared.errors import SmokeTestError, TransientError
from shared.runs.context import Context
from shared.runs.evaluation import prompt_tokens
from shared.runs.names import PREPARED, RUNS
from shared.storage import Blobs
from shared.traffic import own

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

    Returns: what may be shown anywhere: prompt ids, latencies, lengths, similarities, and whether it renders the chat
    template as the training did. The texts go to the container `runs` only.
    Raises: TransientError: it does not answer yet. SmokeTestError: it answers, but with nothing, or with what has less
    in common with the truth than `deploy.min_similarity` asks for.
    """
    run, services = context.run, context.services
    assert run.endpoint is not None, "a run with a deployment has an endpoint"
    assert run.scoring_uri is not None, "an endpoint that Succeeded has a URI"
    key = endpoints.credential_of(services.azureml, run.endpoint)
    results: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    for row in held_out(services.blobs, run.id, context.options.smoke_tests):
        began = context.now
        try:
            answer = ask(run.scoring_uri, key, row.question, deployment=run.deployment)
        except TransientError as trouble:
            if run.attempts + 1 >= MOST_ATTEMPTS:
                raise SmokeTestError(
                    f"Deployment {run.endpoint}/{run.deployment} is up, but after {MOST_ATTEMPTS} attempts: {trouble}"
                ) from trouble
            raise
        own.record(services, run.endpoint, answer.deployment or run.deployment, began, context.now)
        context.still_alive()
        results.append(
            {
                "prompt_id": row.prompt_id,
                "latency_ms": round(answer.latency_ms),
                "characters": len(answer.text),
                "similarity": round(similarity(answer.text, row.truth), 3),
                "prompt_tokens": answer.prompt_tokens,
            }
        )
        texts.append({"question": row.question, "truth": row.truth, "answer": answer.text, **results[-1]})
    services.blobs.write_small(RUNS, f"{run.id}/smoke_test.json", msgspec.json.format(msgspec.json.encode(texts)))
    report: dict[str, Any] = {
        "asked": len(results),
        "similarity": round(sum(result["similarity"] for result in results) / max(1, len(results)), 3),
        "chat_template": _compare_templates(context, results),
        "answers": results,
    }
    _require_sense(context, report)
    return report


def _require_sense(context: Context, report: dict[str, Any]) -> None:
    """Raise SmokeTestError: the answers are clearly worse than what anyone should get."""
    run, least = context.run, context.options.deploy.min_similarity
    where = f"Deployment {run.endpoint}/{run.deployment} is up, but"
    if not any(result["characters"] for result in report["answers"]):
        raise SmokeTestError(f"{where} all its {report['asked']} answers are empty.")
    if least is not None and report["similarity"] < least:
        raise SmokeTestError(
            f"{where} its {report['asked']} answers are on average {report['similarity']:.2f} like the true ones; "
            f"deploy.min_similarity asks for {least:g}."
        )


def _compare_templates(context: Context, results: list[dict[str, Any]]) -> str:
    """Say whether the deployment was asked as many tokens for a chat as the training made of it.

    A difference is said, not punished: whether a begin-of-text token counts is not the same everywhere.
    """
    said = {result["prompt_id"]: result["prompt_tokens"] for result in results if result["prompt_tokens"] is not None}
    if not said:
        return "not checked: the endpoint does not say how many tokens it was asked"
    counted = prompt_tokens(context)
    common = said.keys() & counted.keys()
    if not common:
        return "not checked: the training did not say how many tokens its prompts have"
    if different := sorted(prompt_id for prompt_id in common if said[prompt_id] != counted[prompt_id]):
        one = different[0]
        context.run.note(
            f"The deployment does not render the chat template as the training did: prompt {one} has {said[one]} "
            f"tokens there and had {counted[one]} in training."
        )
        return f"differs for {len(different)} of {len(common)} prompts"
    return f"the same for {len(common)} prompts"


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
        rows += [typed.decode(line, HeldOut) for line in lines[: count - len(rows)] if line]
        if len(rows) >= count:
            break
    return rows
