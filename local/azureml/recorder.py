"""Which of Azure's operations were asked for: what a role in Azure would have to allow.

Every request is translated into the operation that Azure's role-based access control checks for it, and each operation
is written down once, with whose token asked, the app's or a job's run: `{state_dir}/azureml/operations.txt`, a line
`app Microsoft.../read`.

Sources: operations of Azure Resource Manager are the type's path and a verb
(https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations); Azure ML's data plane:
https://learn.microsoft.com/azure/machine-learning/how-to-assign-roles (experiments, runs, metrics).
"""

import re
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from local.azureml import identity

FILE = "operations.txt"
OBSERVER = "x-local-observer"
"""Header of requests that only look on, such as those of tests: in Azure nobody would send them."""
_ML = "Microsoft.MachineLearningServices"
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
_PROVIDER = re.compile(r".*?/providers/(?P<namespace>[^/]+)(?P<rest>/.+)?", re.IGNORECASE)
# The data plane's services put their name before the workspace's id.
_DATA_PLANE = re.compile(r"/(?P<service>history|mlflow)/", re.IGNORECASE)
_METRICS_BATCH = re.compile(r"/subscriptions/[^/]+/metrics:getBatch", re.IGNORECASE)
# Paths that Azure opens to everybody, or by a key or signature instead of a role: metadata and discovery, the public
# registry of foundation models, scoring with the endpoint's key, signed storage addresses and logs.
_NO_ROLE = re.compile(
    r"/(local|metadata|discovery|registrymanagement|mferp|inference|logs|[^/]*\.blob\.core\.windows\.net)(/|$)",
    re.IGNORECASE,
)


def operation_of(method: str, path: str) -> str | None:
    """Return the operation that a role must allow for a request, None when no role is asked.

    >>> operation_of("PUT", "/subscriptions/s/resourceGroups/g/providers/Microsoft.X/workspaces/w/onlineEndpoints/e")
    'Microsoft.X/workspaces/onlineEndpoints/write'
    """
    if _NO_ROLE.match(path):
        return None
    if _METRICS_BATCH.match(path):
        return "Microsoft.Insights/metrics/read"
    if _DATA_PLANE.match(path):
        # rundata is a question, although it is posted.
        reads = method in ("GET", "HEAD") or path.lower().endswith("/rundata")
        return f"{_ML}/workspaces/experiments/runs/{'read' if reads else 'write'}"
    provider = _last_provider(path)
    if provider is None:
        return None
    namespace, names = provider
    if names and names[0].lower() == "locations":
        return f"{namespace}/locations/{names[2]}/{_VERBS[method]}" if len(names) > 2 else None
    if method == "POST":
        # /type/name/.../listKeys: what comes last is the action.
        return "/".join([namespace, *names[:-1:2], names[-1], "action"])
    return "/".join([namespace, *names[::2], _VERBS.get(method, "read")])


def _last_provider(path: str) -> tuple[str, list[str]] | None:
    """Return the namespace and the rest of the last provider: metrics are a provider's part of any resource."""
    start = path.lower().rfind("/providers/")
    match = _PROVIDER.fullmatch(path[start:].rstrip("/")) if start >= 0 else None
    if match is None:
        return None
    return match["namespace"], [part for part in (match["rest"] or "").split("/") if part]


class Recorder:
    """ASGI middleware: writes down the operation of every request that passes."""

    def __init__(self, app: ASGIApp, state_dir: Path) -> None:
        self._app, self._file = app, state_dir / "azureml" / FILE
        self._known: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            line = self._line(scope)
            if line is not None and line not in self._known:
                self._known.add(line)
                await run_in_threadpool(self._write, line)
        await self._app(scope, receive, send)

    def _line(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if OBSERVER in headers:
            return None
        operation = operation_of(scope["method"], re.sub(r"^/{2,}", "/", scope["path"]))
        who = "run" if identity.job_of(headers.get("Authorization")) else "app"
        return f"{who} {operation}" if operation is not None else None

    def _write(self, line: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def recorded(state_dir: Path) -> set[str]:
    """Return what was written down: lines `app Microsoft.../read`."""
    file = state_dir / "azureml" / FILE
    return set(file.read_text("utf-8").split("\n")) - {""} if file.is_file() else set()
