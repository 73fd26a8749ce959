"""The function app itself: its runtime, its time limit, and who may be named in `functions/...`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tools.infra.app import App
from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import Deployment
from tools.infra.settings import settings_of, site_of

_VERSIONS = ("3.11", "3.12", "3.13")
_COMMENT = re.compile(r"(?<!:)//.*")
_NAMED = re.compile(r"(?:/functions/|functionName=Host\.Functions\.|AzureWebJobs\.)([A-Za-z_]\w*)")


def check(app: App, deployment: Deployment) -> Iterator[Complaint]:
    site = site_of(deployment)
    if site is None:
        return
    runtime = site.at("properties", "functionAppConfig", "runtime")
    for key, allowed in (("name", ("python",)), ("version", _VERSIONS)):
        value = runtime.at(key) if runtime is not None else None
        if value is None or not set(value.texts) <= set(allowed):
            what = f"the runtime's {key} is {' or '.join(value.texts) if value else 'not said'}"
            yield Complaint(value.where if value else site.where, what, " or ".join(allowed), "Set it")
    yield from _schedules(app, deployment)
    yield from _names(app, deployment)


def _schedules(app: App, deployment: Deployment) -> Iterator[Complaint]:
    """Every `%SETTING%` of a binding must be there: the host replaces it and knows no default."""
    found = settings_of(deployment)
    site = site_of(deployment)
    for function in app.functions:
        for name in re.findall(r"%(\w+)%", json.dumps(function.binding, default=str)):
            if name not in found and name not in app.settings and site is not None:
                what = f"the trigger of {function.name} reads {name}, which is not set"
                yield Complaint(site.where, what, "every setting that a binding names", "Add it")


def _names(app: App, deployment: Deployment) -> Iterator[Complaint]:
    """A function's name in Bicep: in a resource id, in the address of the blob webhook, in a setting."""
    known = {function.name for function in app.functions}
    for name in deployment.names:
        for number, line in enumerate((deployment.folder / name).read_text("utf-8").splitlines(), start=1):
            for found in _NAMED.findall(_COMMENT.sub("", line)):
                if found not in known:
                    yield unknown_function(name, number, found, known)


def unknown_function(file: str, line: int, name: str, known: set[str]) -> Complaint:
    near = ", ".join(sorted(one for one in known if not one.startswith(("show_", "list_", "start_"))))
    what = f"no function is called {name!r}"
    return Complaint(Where(file, line), what, f"a function of the app, such as {near}", "Mend the name")
