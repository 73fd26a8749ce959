"""What a person may do to a run. Each refuses, with a reason, what makes no sense; asking twice is asking once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from shared import telemetry
from shared.azureml import registration
from shared.errors import ActionRefusedError, FinetuneError, LeaseLostError, ResourceGoneError, RunBusyError
from shared.runs.announce import announce
from shared.runs.lifecycle import advance
from shared.runs.record import DEPLOY_ANYWAY, Run
from shared.runs.states import MOVING, RETRY_FROM, RunState
from shared.services import Services

_DEPLOYS = (RunState.REGISTERED, RunState.DEPLOYING, RunState.VERIFYING, RunState.LIVE)


def allowed(run: Run) -> list[str]:
    """Return what may be asked of a run now and would change something: approve, cancel, retry, deploy."""
    return [name for name, (is_done, refusal) in _RULES.items() if not is_done(run) and refusal(run) is None]


def approve(services: Services, run_id: str) -> Run:
    """Let a held run go on where it was held; it is not held for the same reason again. The timer moves it on.

    Raises: RunNotFoundError; RunBusyError; ActionRefusedError: it is not held.
    """
    return _change(services, run_id, "approve", _let_go_on)


def deploy(services: Services, run_id: str) -> Run:
    """Deploy a run that the quality gate holds, or bring a retired one back under its endpoint's name.

    Raises: RunNotFoundError; RunBusyError; ActionRefusedError: it has no model yet, or cannot be deployed as it is;
    ResourceGoneError: its model was deleted.
    """

    def begin(services: Services, run: Run) -> None:
        _require_model(services, run)
        _overrule(run, DEPLOY_ANYWAY)
        if run.state == RunState.HELD:
            _let_go_on(services, run)
        else:
            _move(services, run, RunState.REGISTERED, "to be deployed again, as asked for")

    return _change(services, run_id, "deploy", begin)


def cancel(services: Services, run_id: str) -> Run:
    """Cancel a run that has not ended; its job, endpoint and deployment go.

    Raises: RunNotFoundError; ActionRefusedError: it has ended, or it is live.
    """
    run = services.store.get(run_id)
    if _is_done("cancel", run):
        return run
    run = services.store.request_cancel(run_id)
    # Carried out at once when nobody else is at the run; otherwise that worker, or the timer, does it.
    with contextlib.suppress(RunBusyError, LeaseLostError):
        run = advance(services, run_id, trigger="http")
    return run


def retry(services: Services, run_id: str) -> Run:
    """Continue a failed run from the step that failed; the timer moves it on.

    Raises: RunNotFoundError; RunBusyError; ActionRefusedError: it has not failed, or a retry cannot help.
    """

    def begin(services: Services, run: Run) -> None:
        assert run.failure is not None, "a run that may be retried has failed"
        failed_in = run.failure.state
        if run.job_status is not None and RETRY_FROM[failed_in] == RunState.PREPARED:
            run.job_retries += 1  # the job's name is used up
        _move(services, run, RETRY_FROM[failed_in], f"retry after {run.failure.reason} in {failed_in}")
        run.failure = None
        run.cancel_requested, run.cancel_reason = False, None
        run.asked = True

    return _change(services, run_id, "retry", begin)


def _change(services: Services, run_id: str, action: str, change: Callable[[Services, Run], None]) -> Run:
    """Carry an action out once, as the only one who is at the run."""
    if _is_done(action, run := services.store.get(run_id)):
        return run
    refused: FinetuneError | None = None
    with services.store.claim(run_id) as claim, telemetry.of_run(claim.run, "http"):
        run = claim.run
        try:
            if _is_done(action, run):
                return run
            change(services, run)
            announce(services, claim)
        except FinetuneError as fault:
            refused = fault  # raised when the run is free again
    if refused is not None:
        raise refused
    return run


def _is_done(action: str, run: Run) -> bool:
    """Tell whether what is asked for was done already. Raises: ActionRefusedError: it makes no sense."""
    is_done, refusal = _RULES[action]
    if is_done(run):
        return True
    if (reason := refusal(run)) is not None:
        raise ActionRefusedError(f"Run {run.id} is {run.state}: {reason}")
    return False


def _let_go_on(services: Services, run: Run) -> None:
    assert run.hold is not None, "a held run has a hold"
    _overrule(run, run.hold.reason)
    _move(services, run, run.hold.state, f"approved, although held for {run.hold.reason}")


def _overrule(run: Run, reason: str) -> None:
    run.approved = [*dict.fromkeys([*run.approved, reason])]


def _move(services: Services, run: Run, to: RunState, reason: str) -> None:
    run.move(to, now=services.now(), trigger="http", reason=reason)


def _require_model(services: Services, run: Run) -> None:
    if registration.find_model(services.azureml, str(run.model_name), str(run.model_version)) is None:
        raise ResourceGoneError(
            f"Model {run.model_name}:{run.model_version} of run {run.id} is gone: it was deleted outside this app. "
            "Nothing is left to deploy; upload the dataset again to train it anew."
        )


# --- the rules: whether an action was carried out already, and why it makes no sense ---------------------------------


def _not_approvable(run: Run) -> str | None:
    return None if run.state == RunState.HELD else "there is nothing to approve; only a held run waits for it."


def _not_deployable(run: Run) -> str | None:
    if run.state == RunState.RETIRED or _is_held_in(run, RunState.REGISTERED):
        return None
    if run.state == RunState.HELD:
        return f"it has not been trained yet. POST /api/runs/{run.id}/approve lets it go on."
    if run.state in MOVING:
        return "it has no registered model yet; it is deployed by itself when it has one."
    if run.state == RunState.FAILED:
        return f"POST /api/runs/{run.id}/retry goes on from the step that failed."
    return "only a retired run, or one that the quality gate holds, can be deployed."


def _not_cancellable(run: Run) -> str | None:
    if run.state == RunState.LIVE:
        return f"DELETE /api/endpoints/{run.endpoint} removes its endpoint."
    return None if run.state in MOVING or run.state == RunState.HELD else "there is nothing to cancel."


def _not_retryable(run: Run) -> str | None:
    if run.state != RunState.FAILED or run.failure is None:
        return "only a failed run can be retried."
    if run.failure.retry_helps:
        return None
    return (
        f"a retry cannot help ({run.failure.reason}): {run.failure.message} "
        "Correct the dataset or the options and upload again: that makes a new run."
    )


def _is_held_in(run: Run, state: RunState) -> bool:
    return run.state == RunState.HELD and run.hold is not None and run.hold.state == state


_RULES: Mapping[str, tuple[Callable[[Run], bool], Callable[[Run], str | None]]] = {
    "approve": (lambda run: bool(run.approved) and run.state in MOVING | {RunState.LIVE}, _not_approvable),
    "deploy": (lambda run: run.state in _DEPLOYS, _not_deployable),
    "cancel": (lambda run: run.state == RunState.CANCELLED, _not_cancellable),
    "retry": (lambda run: run.state in MOVING, _not_retryable),
}
