"""What can be asked to go wrong: one type per kind of fault. Pure.

A rule without limits holds until it is taken away. `times`: so often; `seconds`: so long since it was written or added;
`probability`: only for this share of what it could spoil, always the same ones for one `seed`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Times = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Status = Annotated[int, Meta(ge=400, le=599)]
Plane = Literal["arm", "data", "scoring", "events"]
QUOTA = "quota"


class Limits(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often and how long. `id` and `added` (seconds since 1970) are given by whoever adds a rule to others."""

    id: str | None = None
    added: float | None = None
    times: Times | None = None
    seconds: Seconds | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: int | None = None


class RequestFault(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request that is refused, dropped or slow. `method` and `path` are regular expressions; `plane` None: any of
    Azure's, but not Event Grid. `when` "after": it is carried out first, only its answer is lost, replaced or late.
    `until` "job_ended": the answer waits until the job that was put has ended, at most `delay_s`.
    """

    method: str | None = None
    path: str | None = None
    plane: Plane | None = None
    status: Status | None = None
    retry_after: Seconds | None = None
    body: dict[str, Any] | Literal["quota"] | None = None
    drop: bool = False
    delay_s: Seconds = 0
    when: Literal["before", "after"] = "before"
    until: Literal["job_ended"] | None = None

    def concerns(self, method: str, path: str, plane: str) -> bool:
        is_meant = plane == self.plane if self.plane else plane != "events"
        return is_meant and _is_method(self.method, method) and _is_in(self.path, path)


class EventFault(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An event that is lost, comes twice, late or in another order.

    `type`, `subject` and `status` (what a RunStatusChanged says) are regular expressions. Of Azure ML's events those of
    a job's steps are left alone, unless `steps`: nobody means them who wants a job's completion to be lost.
    """

    do: Literal["lose", "double", "delay", "shuffle"]
    type: str | None = None
    subject: str | None = None
    status: str | None = None
    steps: bool = False
    delay_s: Seconds = 5

    def concerns(self, event: Mapping[str, Any]) -> bool:
        sent = event.get("data")
        data = sent if isinstance(sent, dict) else {}
        if data.get("runType") == "azureml.StepRun" and not self.steps:
            return False
        kind = str(event.get("eventType") or event.get("type"))
        is_status = self.status is None or ("runStatus" in data and _is_in(self.status, str(data["runStatus"])))
        return is_status and _is_in(self.type, kind) and _is_in(self.subject, str(event.get("subject", "")))


class JobFault(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A job that fails in a step: the step of this name, else the first whose name contains it."""

    step: str
    message: str = "The step failed on request."
    code: str = "UserError"
    match: str | None = None

    def concerns(self, job: str) -> bool:
        return _is_in(self.match, job)


class DeploymentFault(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A deployment that fails (`message`), never ends, or is refused for quota. `match`: in ENDPOINT/DEPLOYMENT."""

    message: str | None = None
    never_ends: bool = False
    quota: bool = False
    match: str | None = None
    instance_type: str | None = None

    def concerns(self, name: str, instance_type: str) -> bool:
        return _is_in(self.match, name) and _is_in(self.instance_type, instance_type)


class ComputeFault(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """A cluster that is refused (`message`) or fails while it is made (`provisioning`)."""

    vm_priority: str | None = None
    message: str | None = None
    provisioning: str | None = None


class Preemption(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A job's node that is taken away while a step runs."""

    step: str = "finetune"
    match: str | None = None

    def concerns(self, job: str) -> bool:
        return _is_in(self.match, job)


class LostOutputs(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A completed job whose outputs are gone."""

    match: str | None = None

    def concerns(self, job: str) -> bool:
        return _is_in(self.match, job)


class TakenEndpoint(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An endpoint's name that is somebody else's: in the workspace (it exists), or elsewhere in the region."""

    endpoint: str
    where: Literal["workspace", "region"] = "workspace"

    def concerns(self, endpoint: str) -> bool:
        return re.fullmatch(self.endpoint, endpoint, re.IGNORECASE) is not None


class HostKill(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """kill -9 of the Functions host before or after one of its requests is carried out; once, unless told otherwise."""

    kill: Literal["before", "after"]
    method: str | None = None
    path: str | None = None
    times: Times | None = 1

    def concerns(self, method: str, path: str) -> bool:
        return _is_method(self.method, method) and _is_in(self.path, path)


class ClockSkew(Limits, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Events whose time is so many seconds ahead of now (negative: behind)."""

    by_s: float


KINDS: Mapping[str, type[Limits]] = {
    "requests": RequestFault,
    "events": EventFault,
    "job": JobFault,
    "deployment": DeploymentFault,
    "compute": ComputeFault,
    "preempt": Preemption,
    "lose_outputs": LostOutputs,
    "taken": TakenEndpoint,
    "host": HostKill,
    "clock_skew_s": ClockSkew,
}
for _kind in KINDS.values():
    msgspec.json.Decoder(_kind)  # ready before threads ask: two that make one ready at once crash the process
_EXPRESSIONS = ("method", "path", "type", "subject", "status", "match", "instance_type", "endpoint")


class RuleError(ValueError):
    """What is asked for cannot be; the message names the kind, the field and what is expected."""


def parse(kind: str, asked: Any) -> Limits:
    """Read one rule. `true` stands for a rule without conditions, a number for a clock skew.

    Raises: RuleError.
    """
    if kind not in KINDS:
        raise RuleError(f"{kind} is no kind of fault; there are {', '.join(KINDS)}")
    if asked is True:
        asked = {}
    if kind == "clock_skew_s" and isinstance(asked, int | float):
        asked = {"by_s": asked}
    try:
        rule = msgspec.convert(asked, KINDS[kind])
    except msgspec.ValidationError as fault:
        raise RuleError(f"{kind}: {fault}") from fault
    for field in _EXPRESSIONS:
        text = getattr(rule, field, None)
        _check_expression(kind, field, text if isinstance(text, str) else None)
    _check_sense(kind, rule)
    return rule


def _check_expression(kind: str, field: str, text: str | None) -> None:
    try:
        re.compile(text or "")
    except re.error as fault:
        raise RuleError(f"{kind}: {field} {text!r} is no regular expression: {fault}") from fault


def _check_sense(kind: str, rule: Limits) -> None:
    if isinstance(rule, RequestFault) and rule.status is None and not rule.drop and not rule.delay_s:
        raise RuleError(f"{kind}: a rule needs status, drop or delay_s; else it changes nothing")
    if isinstance(rule, RequestFault) and rule.status is not None and rule.drop:
        raise RuleError(f"{kind}: a request is answered with status {rule.status} or dropped, not both")
    if isinstance(rule, DeploymentFault) and [bool(rule.message), rule.never_ends, rule.quota].count(True) != 1:
        raise RuleError(f"{kind}: a rule needs one of message, never_ends and quota")
    if isinstance(rule, ComputeFault) and not rule.message and not rule.provisioning:
        raise RuleError(f"{kind}: a rule needs message or provisioning")


def _is_method(expression: str | None, method: str) -> bool:
    return expression is None or re.fullmatch(expression, method, re.IGNORECASE) is not None


def _is_in(expression: str | None, text: str) -> bool:
    return expression is None or re.search(expression, text, re.IGNORECASE) is not None
