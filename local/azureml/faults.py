"""Failures on request in the emulator: STATE/faults.json says what is to fail, and is read when something could.

What can be asked for is in `local.faults.rules`; here is what each part of the emulator asks.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from local.faults import rules
from local.faults.book import book_of
from local.faults.rules import ComputeFault, DeploymentFault, JobFault, LostOutputs, Preemption, TakenEndpoint

_ARM_PATH = re.compile(r"/(subscriptions|providers)(/|$)", re.IGNORECASE)
_SCORING_PATH = re.compile(r"/inference(/|$)", re.IGNORECASE)


def plane_of(path: str) -> str:
    """Tell whose a path is: Azure Resource Manager's, an online endpoint's, or Azure ML's data plane."""
    if _SCORING_PATH.match(path):
        return "scoring"
    return "arm" if _ARM_PATH.match(path) else "data"


def read(state_dir: Path, kind: str) -> dict[str, Any] | None:
    """Answer the first fault of a kind that holds now, or None. It is not counted."""
    assert kind in rules.KINDS, kind
    held = book_of(state_dir).entries(kind)
    return msgspec.to_builtins(held[0].rule) if held else None


def job_failure(state_dir: Path, job: str, steps: Iterable[str], names: Iterable[str]) -> dict[str, str] | None:
    """Answer which of a job's steps is to fail and how, or None. A job is counted once, however often it starts.

    Args: steps: all of the job's. names: those for which it is asked now: a fault of another step is not for them.
    """
    every = tuple(steps)
    fault = book_of(state_dir).find(
        JobFault, lambda rule: rule.concerns(job) and _step(rule.step, every) is not None, who=job
    )
    step = _step(fault.step, every) if fault is not None else None
    if fault is None or step is None or step not in names:
        return None
    return {"step": step, "code": fault.code, "message": fault.message}


def _step(asked: str, steps: Iterable[str]) -> str | None:
    found = [step for step in steps if asked.lower() in step.lower()]
    return asked if asked in found else next(iter(found), None)


def is_preempted(state_dir: Path, job: str, attempt: int, running: Iterable[str]) -> bool:
    """Tell whether the node of a job is to be taken away now, while these steps run. Counted once per attempt."""
    steps = tuple(running)
    book = book_of(state_dir)
    if not steps or not book.entries("preempt"):
        return False
    fault = book.find(
        Preemption, lambda rule: rule.concerns(job) and _step(rule.step, steps) is not None, who=f"{job}/{attempt}"
    )
    return fault is not None


def has_lost_outputs(state_dir: Path, job: str) -> bool:
    """Tell whether the outputs of a completed job are to be gone."""
    return book_of(state_dir).find(LostOutputs, lambda rule: rule.concerns(job), who=job) is not None


def deployment_failure(state_dir: Path, name: str, size: str, operation: str) -> DeploymentFault | None:
    """Answer how a deployment's beginning is to go wrong, or None. It is counted once per operation."""
    return book_of(state_dir).find(
        DeploymentFault, lambda rule: not rule.quota and rule.concerns(name, size), who=operation
    )


def lacks_quota(state_dir: Path, name: str, size: str) -> bool:
    """Tell whether the PUT of a deployment is to be refused for want of quota."""
    fault = book_of(state_dir).find(DeploymentFault, lambda rule: rule.quota and rule.concerns(name, size))
    return fault is not None


def cluster_failure(state_dir: Path, priority: str, *, refused: bool) -> str | None:
    """Answer why a cluster's PUT is to be refused, or else (not `refused`) why the cluster is to fail; or None."""

    def concerns(rule: ComputeFault) -> bool:
        return rule.vm_priority in (None, priority) and bool(rule.message if refused else rule.provisioning)

    fault = book_of(state_dir).find(ComputeFault, concerns)
    return None if fault is None else fault.message if refused else fault.provisioning


def taken(state_dir: Path, endpoint: str) -> str | None:
    """Answer where an endpoint's name is to be somebody else's ("workspace" or "region"), or None.

    A name is taken once: when its owner has deleted the endpoint, it is free.
    """
    book = book_of(state_dir)
    fault = book.find(TakenEndpoint, lambda rule: rule.concerns(endpoint) and rule.where == "workspace", who=endpoint)
    if fault is None:
        fault = book.find(TakenEndpoint, lambda rule: rule.concerns(endpoint) and rule.where == "region", who=endpoint)
    return fault.where if fault is not None else None
