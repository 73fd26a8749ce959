"""What the host refuses disables one function and leaves the others."""

import pytest

from local.functions_host import host_rules
from local.functions_host.settings import HostConfig

ENVIRON = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "EVERY": "0 */5 * * * *"}
BUNDLE = HostConfig(has_extension_bundle=True)


def errors(functions, environ=ENVIRON, config=BUNDLE):
    host_rules.check(functions, config, environ)
    return {one.name: one.errors for one in functions}


def timer(schedule):
    return f'@app.timer_trigger(arg_name="t", schedule="{schedule}")\ndef x(t: func.TimerRequest) -> None: ...\n'


def http(name, route, methods="None"):
    return f'@app.route("{route}", methods={methods})\ndef {name}(req: func.HttpRequest) -> func.HttpResponse: ...\n'


def blob(path="c/{name}", connection="AzureWebJobsStorage", source="func.BlobSource.EVENT_GRID"):
    trigger = f'@app.blob_trigger(arg_name="b", path="{path}", connection="{connection}", source={source})\n'
    return trigger + "def x(b: func.InputStream) -> None: ...\n"


@pytest.mark.parametrize("schedule", ["%EVERY%", "*/5 * * * *", "00:05:00"])
def test_a_usable_schedule_has_no_error(load, schedule):
    assert errors(load(timer(schedule))) == {"x": []}


REFUSED = {
    "bad cron": (timer("0 99 * * * *"), "'0 99 * * * *' was not recognized as a valid cron expression"),
    "unknown setting in a schedule": (timer("%NOPE%"), "'%NOPE%' does not resolve to a value."),
    "reserved route": (http("x", "administration"), "conflicts with one or more built in routes"),
    "bad route template": (http("x", "a/{b:nope}"), "constraint reference 'nope'"),
    "unclosed route parameter": (http("x", "a/{b"), "invalid segment"),
    "unknown connection": (blob(connection="NOPE"), "connection string 'NOPE' does not exist"),
    "unknown setting in a path": (blob(path="%NOPE%/{name}"), "'%NOPE%' does not resolve"),
    "container scan": (blob(source="None"), "use source EventGrid"),
    "reserved name": (http("host", "a"), "'host' is not a valid function name"),
    "foreign trigger": (
        '@app.queue_trigger(arg_name="m", queue_name="q", connection="S")\ndef x(m: func.QueueMessage) -> None: ...\n',
        "'queueTrigger' are not offered by this local host",
    ),
    "retry without delay": (
        '@app.retry(strategy="fixed_delay", max_retry_count="1")\n' + timer("00:05:00"),
        "needs a delay_interval",
    ),
}


@pytest.mark.parametrize("defect", REFUSED)
def test_a_defect_disables_the_function(load, defect):
    source, message = REFUSED[defect]
    (found,) = errors(load(source)).values()
    assert any(message in error for error in found), found


def test_without_a_bundle_event_grid_and_blob_triggers_do_not_exist(load):
    found = errors(load(blob()), config=HostConfig())
    assert "not registered" in found["x"][0]


def test_names_that_differ_in_case_only_are_refused(load):
    found = errors(load(http("same", "a") + http("SAME", "b")))
    assert all("not unique" in one[0] for one in found.values())


def test_the_second_of_two_functions_with_one_route_is_refused(load):
    found = errors(load(http("a", "Runs/{id}", '["GET"]') + http("b", "runs/{id}", '["GET", "POST"]')))
    assert found == {"a": [], "b": ["The route specified conflicts with the route defined by function 'a'."]}


def test_one_route_with_different_methods_is_fine(load):
    found = errors(load(http("a", "runs", '["GET"]') + http("b", "runs", '["POST"]')))
    assert found == {"a": [], "b": []}


def test_an_identity_needs_no_connection_string(load):
    environ = ENVIRON | {"DATA__blobServiceUri": "https://x", "DATA__queueServiceUri": "https://y"}
    assert errors(load(blob(connection="DATA")), environ) == {"x": []}
