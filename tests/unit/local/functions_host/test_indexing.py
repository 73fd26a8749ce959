"""What the Python worker refuses is refused here, with its words."""

import pytest

from local.functions_host.indexing import AppLoadError, index

TIMER = '@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")\n'
EVENT = '@app.event_grid_trigger(arg_name="event")\n'
ROUTE = '@app.route("x")\n'


def test_every_supported_trigger_is_indexed(load):
    functions = load(
        """
        import azurefunctions.extensions.bindings.blob as blob

        @app.route("runs/{id}")
        async def run(req: func.HttpRequest, context: func.Context) -> func.HttpResponse: ...
        @app.event_grid_trigger(arg_name="event")
        def job_event(event: func.EventGridEvent) -> None: ...
        @app.blob_trigger(arg_name="b", path="c/{name}", connection="S", source=func.BlobSource.EVENT_GRID)
        def uploaded(b: blob.BlobClient) -> None: ...
        @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
        def tick(timer: func.TimerRequest) -> None: ...
        """
    )
    assert [(one.name, one.kind) for one in functions] == [
        ("run", "httpTrigger"),
        ("job_event", "eventGridTrigger"),
        ("uploaded", "blobTrigger"),
        ("tick", "timerTrigger"),
    ]
    run, _, uploaded, _ = functions
    assert run.is_async
    assert run.wants_context
    assert run.return_binding == "http"
    assert uploaded.parameter.deferred
    assert uploaded.trigger["source"] == "EventGrid"


def test_annotations_of_the_future_and_cloud_events_are_fine(load):
    (function,) = load(
        EVENT + "def f(event: func.CloudEvent) -> None: ...\n", "from __future__ import annotations\n" + HEAD
    )
    assert function.kind == "eventGridTrigger"


HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"

REFUSED = {
    "syntax error": ("def (", "SyntaxError"),
    "raises at import": (
        "raise RuntimeError('config missing: X_ENDPOINT')",
        "RuntimeError: config missing: X_ENDPOINT",
    ),
    "missing module": (
        "import no_such_module_here",
        "ModuleNotFoundError: No module named 'no_such_module_here'. Cannot",
    ),
    "exits at import": ("import sys\nsys.exit(3)", r"SystemExit: .* sys.exit\(3\)"),
    "two apps": ("other = func.FunctionApp()", "ValueError: More than one FunctionApp or other top level"),
    "an alias of the app": ("other = app", "ValueError: More than one FunctionApp"),
    "zero functions": ("", "registers no function"),
    "no trigger": ("@app.function_name('x')\ndef f(): ...", "ValueError: Function x does not have a trigger"),
    "two triggers": (TIMER + EVENT + "def f(timer, event): ...", "ValueError: A trigger was already registered"),
    "same name twice": (
        TIMER + "def f(timer): ...\n" + TIMER + "def f(timer): ...",
        "does not have a unique function name",
    ),
    "another argument name": (
        TIMER + "def x(t: func.TimerRequest) -> None: ...",
        r"FunctionLoadError: cannot load the x function: the following parameters are declared in Python but not .*'t'",
    ),
    "a parameter missing": (
        TIMER + "def x(): ...",
        r"cannot load the x function: .* not present in Python: \{'timer'\}",
    ),
    "wrong annotation": (
        TIMER + "def x(timer: func.HttpRequest): ...",
        '"\'timer\'" and dataType "timerTrigger" .* do not match .* annotation HttpRequest',
    ),
    "union annotation": (
        EVENT + "def x(event: func.EventGridEvent | func.CloudEvent): ...",
        "binding event has invalid non-type annotation",
    ),
    "optional return": (
        "from typing import Optional\n" + ROUTE + "def x(req: func.HttpRequest) -> Optional[str]: ...",
        "has invalid non-type return annotation",
    ),
    "dict return": (
        ROUTE + "def x(req: func.HttpRequest) -> dict: ...",
        'Python return annotation "dict" does not match binding type "http"',
    ),
    "decorator without wraps": (
        "def own(f):\n    def inner(*a, **k): return f(*a, **k)\n    return inner\n"
        + TIMER
        + "@own\ndef x(timer): ...",
        "declared in Python but not in the function definition",
    ),
    "wrong context": (
        TIMER + "def x(timer: func.TimerRequest, context: str): ...",
        "expected to be of type azure.functions.Context",
    ),
    "retry count no number": (
        '@app.retry(strategy="fixed_delay", max_retry_count="many", delay_interval="00:00:01")\n'
        + TIMER
        + "def x(timer): ...",
        "invalid literal",
    ),
    "unknown retry strategy": (
        '@app.retry(strategy="nope", max_retry_count="1", delay_interval="00:00:01")\n' + TIMER + "def x(timer): ...",
        'unknown enum label "nope"',
    ),
}


@pytest.mark.parametrize("defect", REFUSED)
def test_a_defect_loses_the_whole_app(load, defect):
    source, message = REFUSED[defect]
    with pytest.raises(AppLoadError, match=message):
        load(source)


def test_an_app_without_function_app_is_refused(load):
    with pytest.raises(AppLoadError, match="Could not find top level function app instances in app_under_test"):
        load("", "import azure.functions as func\nbp = func.Blueprint()\n")


def test_a_missing_script_is_refused_although_the_worker_is_silent(tmp_path):
    with pytest.raises(AppLoadError, match=r"function_app\.py does not exist"):
        index(tmp_path)


def test_wrapped_functions_are_fine(load):
    own = "import functools\ndef own(f):\n    @functools.wraps(f)\n    def inner(*a): return f(*a)\n    return inner\n"
    (function,) = load(own + TIMER + "@own\ndef x(timer: func.TimerRequest) -> None: ...")
    assert function.name == "x"


def test_a_retry_policy_is_read(load):
    retry = '@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:01:05")\n'
    (function,) = load(retry + TIMER + "def x(timer: func.TimerRequest) -> None: ...")
    assert (function.retry.max_retries, function.retry.delay_s) == (3, 65)
